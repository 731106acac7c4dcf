"""Your own images: a folder with one subfolder for each class, and, if you have them, splits above those.

The layout is that of torchvision's `ImageFolder`, with folders such as train, val and test in any spelling; all images
are decoded once and kept in memory as one tensor. `nnlab.data.images` reads one.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.data.base import DEFAULT_TEST, Raw, Source, existing
from nnlab.data.images import SUFFIXES, decode, files_below, is_hidden
from nnlab.data.pipeline import ArrayRule, InputRule
from nnlab.data.splits import Indices, random_order
from nnlab.device import free_memory
from nnlab.errors import UserError
from nnlab.randomness import generator
from nnlab.types import Task
from nnlab.validation import check

Item = TypeVar("Item")

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
LARGE = 512  # pixels along both sides from which an image is called large

log = logging.getLogger(__name__)


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
        """All images; folders `val` and `test` beside `train`, in any spelling, are the data set's own splits.

        Raises:
            UserError: no folder, classes or images; an image that cannot be read; images of different sizes.
        """
        folder = existing(self.path, root)
        if not folder.is_dir():
            raise UserError(f"`data.path` must be a folder with one folder for each class, got {folder}")
        folders = split_folders(folder)
        train = folders.get("train", folder)
        classes = class_folders(train)
        if len(classes) < 2:
            raise UserError(
                f"{train} has {len(classes)} class folders; it needs one folder for each of at least two classes"
            )
        task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
        images, labels = self._read_classes(train, classes)
        held = {name: self._read_split(folders, name, classes, images) for name in ("validation", "test")}
        validated = None
        if (own := held["validation"]) is not None:
            validated = torch.arange(len(images) + len(own[0])) >= len(images)
            images, labels = _joined(images, own[0]), torch.cat([labels, own[1]])
        return Raw(images, labels, task, tuple(classes), str(folder), held["test"], validated=validated)

    def rows(self, raw: Raw, seed: int) -> Indices:
        """As any data set; where the folder has its own validation but no test split, that is drawn from training."""
        rows = super().rows(raw, seed)
        if raw.validated is None or raw.test is not None or self.folds is not None:
            return rows
        order = rows.train[random_order(len(rows.train), raw.targets[rows.train], generator(seed, "split"))]
        count = max(1, round((DEFAULT_TEST if self.test is None else self.test) * len(order)))
        return Indices(order[count:], rows.validation, order[:count])

    def input_rule(self, raw: Raw, train: Any) -> InputRule:
        """Bytes and 16 bits as 0 ... 1; floating point beyond that by the extremes of the training images."""
        rule = super().input_rule(raw, train)
        assert isinstance(rule, ArrayRule)
        if not train.is_floating_point() or (float(train.amin()) >= 0 and float(train.amax()) <= 1):
            return rule
        return dataclasses.replace(rule, low=float(train.amin()), high=float(train.amax()))

    def _read_split(
        self, folders: dict[str, Path], name: str, classes: Sequence[str], images: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """Images and labels of a split's own folder, or None where there is none.

        Raises:
            UserError: it has a class that training lacks, or images of another size.
        """
        if name not in folders:
            return None
        for unknown in sorted(set(class_folders(folders[name])) - set(classes)):
            raise UserError(f"{folders[name]} has the class `{unknown}`, which {folders['train']} does not have")
        found, labels = self._read_classes(folders[name], classes)
        if found.shape[1:] != images.shape[1:]:
            raise UserError(
                f"images in {folders[name]} have shape {tuple(found.shape[1:])}, those in {folders['train']} "
                f"{tuple(images.shape[1:])}; set `data.size` to bring them to one size"
            )
        return found, labels

    def _read_classes(self, folder: Path, classes: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Images (n, K, H, W), bytes or float32, and labels (n,) of all classes below `folder`."""
        files = class_files(folder, classes)
        first = decode(files[0][0], self.size, self.grayscale)
        check_memory(len(files), first, files[0][0])
        images: npt.NDArray[Any] = np.empty((len(files), *first.shape), dtype=first.dtype)
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            decoded = pool.map(lambda file: decode(file[0], self.size, self.grayscale), files)
            for position, image in enumerate(track(decoded, len(files), f"reading {folder.name}")):
                if image.shape != first.shape:
                    raise UserError(
                        f"images must have equal sizes, but {files[0][0]} has {_size(first)} and "
                        f"{files[position][0]} {_size(image)} pixels; set `data.size`, such as `data.size=32`"
                    )
                if image.dtype != images.dtype:  # some have more bits than others
                    images, image = _floats(images), _floats(image)
                images[position] = image
        finally:
            pool.shutdown(cancel_futures=True)  # after an error, do not decode the rest
        return torch.from_numpy(images), torch.tensor([label for _, label in files])


def split_folders(folder: Path) -> dict[str, Path]:
    """The folders of the splits by `train`, `validation` and `test`, spelled in any way; none where classes are above.

    Raises:
        UserError: two folders are the same split, or there is no `train`.
    """
    found: dict[str, Path] = {}
    for name in class_folders(folder):
        split = SPLITS.get(name.lower())
        if split is not None and split in found:
            raise UserError(f"{folder} has two folders for one split, `{found[split].name}` and `{name}`; join them")
        if split is not None:
            found[split] = folder / name
    strange = [name for name in class_folders(folder) if name.lower() not in SPLITS]
    if not found or ("train" not in found and strange):
        return {}
    if "train" not in found:
        raise UserError(f"{folder} has {', '.join(each.name for each in found.values())}, but no folder `train`")
    if strange:
        log.warning("%s: the folders %s beside `%s` are not read", folder, ", ".join(strange), found["train"].name)
    return found


def class_folders(folder: Path) -> list[str]:
    """Names of the class folders, sorted; hidden ones do not count."""
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not is_hidden(entry, folder))


def class_files(folder: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    """The images of all classes with their labels; files that are no images are counted.

    Raises:
        UserError: there are no images, or a class folder is there without any.
    """
    files: list[tuple[Path, int]] = []
    others: list[Path] = []
    empty = []
    for label, name in enumerate(classes):
        images, rest = files_below(folder / name)
        files += [(path, label) for path in images]
        others += rest
        if not images and (folder / name).is_dir():
            empty.append(name)
    if not files:
        raise UserError(f"{folder} has no images; it needs files ({', '.join(SUFFIXES)}) in one folder for each class")
    if empty:
        raise UserError(
            f"{folder}: the class folder `{empty[0]}` holds no images ({', '.join(SUFFIXES)}); fill it or take it away"
        )
    if others:
        kinds = collections.Counter(path.suffix.lower() or "no suffix" for path in others).most_common(5)
        words = ", ".join(f"{count} {suffix}" for suffix, count in kinds)
        log.warning("%s: %d files are no images and left out: %s", folder, len(others), words)
    return files


def check_memory(count: int, image: npt.NDArray[Any], path: Path) -> None:
    """Say before they are read that images are large, and refuse more than the machine's memory holds.

    Raises:
        UserError: they do not fit.
    """
    total = 4 * count * image.size  # as float32, which the network sees
    if total > free_memory(torch.device("cpu")):
        raise UserError(
            f"{count} images such as {path} of {_size(image)} pixels take {total / 1e9:.1f} GB, more than is "
            "free; set `data.size`, such as `data.size=128`"
        )
    if min(image.shape[1:]) >= LARGE:
        log.warning(
            "images such as %s have %s pixels, %.1f million numbers each; `data.size=128` scales them to what most "
            "networks are made for",
            *(path, _size(image), image.size / 1e6),
        )


def _joined(first: Tensor, second: Tensor) -> Tensor:
    """Images one after another; bytes become floating point where one of the two is."""
    if first.dtype != second.dtype:
        first, second = (torch.from_numpy(_floats(each.numpy())) for each in (first, second))
    return torch.cat([first, second])


def _floats(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Bytes 0 ... 255 as 0 ... 1; floating point as it is."""
    return images.astype(np.float32) / np.float32(255) if images.dtype == np.uint8 else images


def track(items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
    """The items, with a progress bar where a person is watching."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as bar

    return bar(items, what, total, console=Console(stderr=True), transient=True)


def _size(image: npt.NDArray[Any]) -> str:
    """Width x height."""
    return f"{image.shape[2]} x {image.shape[1]}"
