"""Your own images: a folder with one subfolder for each class, and, if you have them, splits above those.

The layout is that of torchvision's `ImageFolder`, with folders such as train, val and test in any spelling. All images
are decoded once, see `nnlab.data.decoding`.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnlab.console import counted
from nnlab.data.base import DEFAULT_TEST, Source, existing
from nnlab.data.decoding import decode_all
from nnlab.data.images import SUFFIXES, files_below, is_hidden, paths_below
from nnlab.data.raw import Raw
from nnlab.data.rules import ArrayRule, InputRule
from nnlab.data.splits import Indices, random_order
from nnlab.errors import UserError
from nnlab.randomness import generator
from nnlab.storage.array_file import ArrayFile
from nnlab.streaming import at_once, pieces
from nnlab.types import Task
from nnlab.validation import check

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
NUMBERS = 1 << 24  # that are looked at at a time

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

    def files(self, root: Path) -> Sequence[str] | None:
        folder = existing(self.path, root)
        if not folder.is_dir():
            return None
        return [path for path in paths_below(folder) if path.lower().endswith(SUFFIXES)]

    def read(self, seed: int, root: Path) -> Raw:
        """All images; folders `val` and `test` beside `train`, in any spelling, are the data set's own splits.

        Raises:
            UserError: no folder, classes or images; an image that cannot be read; images of different sizes.
        """
        return self._read(root, None)

    def read_into(self, folder: Path, tasks: Collection[Task] | None, seed: int, root: Path) -> Raw:
        """As `read`; the images go into a file in `folder`."""
        return self._read(root, folder / "images.npy")

    def _read(self, root: Path, to: Path | None) -> Raw:
        """All images, decoded into a file or into memory, those of the splits behind one another."""
        folder = existing(self.path, root)
        if not folder.is_dir():
            raise UserError(f"`data.path` must be a folder with one folder for each class, got {folder}")
        folders = split_folders(folder)
        train = folders.get("train", folder)
        classes = class_folders(train)
        if len(classes) < 2:
            raise UserError(
                f"{train} has {counted(len(classes), 'class folder')}; "
                "it needs one folder for each of at least two classes"
            )
        files = {"train": class_files(train, classes), "validation": [], "test": []}
        for name in sorted(set(folders) - {"train"}):
            _check_classes(folders, name, classes)
            files[name] = class_files(folders[name], classes)
        found = [each for split in files.values() for each in split]
        images, digest = decode_all([path for path, _ in found], self.size, self.grayscale, to)
        labels = torch.tensor([label for _, label in found])
        count, held = len(found) - len(files["test"]), len(files["validation"])
        return Raw(
            _part(images, 0, count),
            labels[:count].clone(),
            Task.BINARY if len(classes) == 2 else Task.MULTICLASS,
            tuple(classes),
            str(folder),
            (_part(images, count, len(found)), labels[count:].clone()) if files["test"] else None,
            validated=torch.arange(count) >= count - held if held else None,
            content=f"{digest} {self.size} {self.grayscale}",
        )

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
        if not train.is_floating_point():
            return rule
        extremes = [piece.aminmax() for piece in pieces(train, at_once(train, NUMBERS, len(train)))]
        low, high = min(float(each.min) for each in extremes), max(float(each.max) for each in extremes)
        return rule if low >= 0 and high <= 1 else dataclasses.replace(rule, low=low, high=high)


def _check_classes(folders: Mapping[str, Path], name: str, classes: Sequence[str]) -> None:
    """Refuse a split with a class that training lacks.

    Raises:
        UserError: says which.
    """
    for unknown in sorted(set(class_folders(folders[name])) - set(classes)):
        raise UserError(f"{folders[name]} has the class `{unknown}`, which {folders['train']} does not have")


def _part(images: Tensor | ArrayFile, start: int, stop: int) -> Any:
    """Some of the images, where they lie."""
    return images.part(start, stop) if isinstance(images, ArrayFile) else images[start:stop]


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
        count = counted(len(others), "file", "is no image", "are no images")
        log.warning("%s: %s and left out: %s", folder, count, words)
    return files
