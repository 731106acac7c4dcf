"""Your own images: a folder with one subfolder for each class, and, if you have them, `train` and `test` above those.

The layout is that of torchvision's `ImageFolder`; all images are decoded once and kept in memory as one tensor.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.data.base import Raw, Source, existing
from nnlab.errors import UserError
from nnlab.types import Task
from nnlab.validation import check

Item = TypeVar("Item")

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclasses.dataclass(kw_only=True)
class ImageFolder(Source):
    """Images (3, H, W), or (1, H, W) in grey, with pixels in [0, 1]; classes are the folders in alphabetical order.

    Args:
        path: the folder; relative to the working directory, or else to `data_root`.
        size: height and width of the result: the shorter side is scaled to it, the centre cut out. None: images as
            they are, which then must have equal sizes. [1, inf)
        grayscale: one grey channel instead of three colours.
    """

    path: str
    size: int | None = None
    grayscale: bool = False
    test: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None:
            check("size", self.size, "[1, inf)")

    def read(self, seed: int, root: Path) -> Raw:
        """All images as bytes; a `test` folder beside `train` is the data set's own test split.

        Raises:
            UserError: no folder, classes or images; an image that cannot be read; images of different sizes.
        """
        folder = existing(self.path, root)
        if not folder.is_dir():
            raise UserError(f"`data.path` must be a folder with one folder for each class, got {folder}")
        split = (folder / "train").is_dir()
        train = folder / "train" if split else folder
        classes = class_folders(train)
        if len(classes) < 2:
            raise UserError(
                f"{train} has {len(classes)} class folders; it needs one folder for each of at least two classes"
            )
        task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
        images, labels = self._read_classes(train, classes)
        test = None
        if split and (folder / "test").is_dir():
            for unknown in sorted(set(class_folders(folder / "test")) - set(classes)):
                raise UserError(f"{folder / 'test'} has the class `{unknown}`, which {train} does not have")
            test = self._read_classes(folder / "test", classes)
            if test[0].shape[1:] != images.shape[1:]:
                raise UserError(
                    f"images in {folder / 'test'} have shape {tuple(test[0].shape[1:])}, those in {train} "
                    f"{tuple(images.shape[1:])}; set `data.size` to bring them to one size"
                )
        return Raw(images, labels, task, tuple(classes), str(folder), test)

    def _read_classes(self, folder: Path, classes: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Images (n, K, H, W) uint8 and labels (n,) of all classes below `folder`."""
        files = [(path, label) for label, name in enumerate(classes) for path in image_files(folder / name)]
        if not files:
            raise UserError(
                f"{folder} has no images; it needs files ({', '.join(SUFFIXES)}) in one folder for each class"
            )
        first = decode(files[0][0], self.size, self.grayscale)
        images = np.empty((len(files), *first.shape), dtype=np.uint8)
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            decoded = pool.map(lambda file: decode(file[0], self.size, self.grayscale), files)
            for position, image in enumerate(track(decoded, len(files), f"reading {folder.name}")):
                if image.shape != first.shape:
                    raise UserError(
                        f"images must have equal sizes, but {files[0][0]} has {_size(first)} and "
                        f"{files[position][0]} {_size(image)} pixels; set `data.size`, such as `data.size=32`"
                    )
                images[position] = image
        finally:
            pool.shutdown(cancel_futures=True)  # after an error, do not decode the rest
        return torch.from_numpy(images), torch.tensor([label for _, label in files])


def class_folders(folder: Path) -> list[str]:
    """Names of the class folders, sorted; hidden ones do not count."""
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def image_files(folder: Path) -> list[Path]:
    """The images directly or deeper below `folder`, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def decode(path: Path, size: int | None, grayscale: bool) -> npt.NDArray[np.uint8]:
    """One image as bytes, (3, H, W) or (1, H, W), brought to `size` x `size` if it is given.

    Raises:
        UserError: the file is no image, is cut off, or is too large.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            image = file.convert("L" if grayscale else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"cannot read the image {path} ({error}); repair or remove it") from error
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if grayscale else pixels.transpose(2, 0, 1)


def track(items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
    """The items, with a progress bar where a person is watching."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as bar

    return bar(items, what, total, console=Console(stderr=True), transient=True)


def _size(image: npt.NDArray[np.uint8]) -> str:
    """Width x height."""
    return f"{image.shape[2]} x {image.shape[1]}"
