"""CIFAR-10, 50,000 + 10,000 colour photographs of 32 x 32 pixels in ten classes.

Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnlab.data.base import Source
from nnlab.data.download import download
from nnlab.data.raw import Raw
from nnlab.errors import UserError
from nnlab.types import Task

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PICKLES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_PIXELS = 3 * 32 * 32


@dataclasses.dataclass(kw_only=True)
class CIFAR10(Source):
    """Images (3, 32, 32) with pixels in [0, 1].

    The files are the published ones in `<data_root>/cifar-10-batches-bin/` or, as torchvision lays them out,
    `<data_root>/cifar-10-batches-py/`; missing ones are downloaded. By default 5,000 of the 50,000 training examples
    are for validation, and the test split is the published one.
    """

    test: float | None = None

    def read(self, seed: int, root: Path) -> Raw:
        """Both published splits, images as bytes; downloads them if they are not there.

        Raises:
            UserError: a file is damaged, or missing and cannot be downloaded.
        """
        binary, pickled = root / "cifar-10-batches-bin", root / "cifar-10-batches-py"
        if all((binary / f"{name}.bin").is_file() for name in PICKLES):
            origin, batches = binary, [read_binary(binary / f"{name}.bin") for name in PICKLES]
        else:
            if not all((pickled / name).is_file() for name in PICKLES):
                download("CIFAR10", pickled.name, list(PICKLES), root)
            origin, batches = pickled, [read_pickle(pickled / name, md5) for name, md5 in PICKLES.items()]
        images, labels = (torch.cat(parts) for parts in zip(*batches[:-1], strict=True))
        return Raw(images, labels, Task.MULTICLASS, CLASSES, str(origin), batches[-1])


def read_binary(path: Path) -> tuple[Tensor, Tensor]:
    """Images (n, 3, 32, 32) uint8 and labels (n,) int64 of a .bin file: rows of one label and 3072 pixels.

    Raises:
        UserError: the file cannot be read, is cut off, or holds an unknown label.
    """
    data = np.frombuffer(bytearray(_read(path)), dtype=np.uint8)
    if not len(data) or len(data) % (_PIXELS + 1):
        raise UserError(f"{path} is damaged: its {len(data)} bytes are no multiple of {_PIXELS + 1}; fetch it again")
    rows = torch.from_numpy(data).reshape(-1, _PIXELS + 1)
    return _checked(path, rows[:, 1:], rows[:, 0].long())


def read_pickle(path: Path, md5: str) -> tuple[Tensor, Tensor]:
    """Images (n, 3, 32, 32) uint8 and labels (n,) int64 of a batch pickled for Python.

    Unpickling can run code, so only the published file is opened, and then only as arrays.

    Raises:
        UserError: the file cannot be read or is not the published one.
    """
    content = _read(path)
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise UserError(f"{path} is damaged (MD5 {actual}, expected {md5}); delete it to download it again")
    batch = ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    return _checked(path, torch.from_numpy(np.array(batch["data"])), torch.tensor(batch["labels"]))


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows numpy arrays and plain Python values, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The few names that pickles of arrays contain.

        Raises:
            pickle.UnpicklingError: any other name.
        """
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a file of arrays")


def _read(path: Path) -> bytes:
    """The bytes of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror})") from error


def _checked(path: Path, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Images and labels, if the labels are classes."""
    if labels.max() >= len(CLASSES):
        raise UserError(f"{path} is damaged: it holds the label {int(labels.max())}, but the classes are 0 to 9")
    return pixels.reshape(-1, 3, 32, 32), labels
