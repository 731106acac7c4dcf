"""MNIST, 60,000 + 10,000 handwritten digits of 28 x 28 pixels.

Source: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from nnlab.data.base import Source
from nnlab.data.download import download
from nnlab.data.idx import find_idx, read_idx
from nnlab.data.raw import Raw
from nnlab.errors import UserError
from nnlab.types import Task

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclasses.dataclass(kw_only=True)
class MNIST(Source):
    """Images (1, 28, 28) with pixels in [0, 1] (0 is background), classes 0 ... 9.

    The files are those of torchvision, `<data_root>/MNIST/raw/`, plain or compressed; missing ones are downloaded.
    By default 5,000 of the 60,000 training examples are for validation, and the test split is the published one.
    """

    validation: float = 1 / 12
    test: float | None = None

    folder: ClassVar[str] = "MNIST"
    class_names: ClassVar[tuple[str, ...]] = tuple("0123456789")
    checksums: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }

    def files(self, root: Path) -> Sequence[Path]:
        raw = root / self.folder / "raw"
        return [find_idx(raw, name) or raw / name for name in FILES]

    def read(self, seed: int, root: Path) -> Raw:
        """Both published splits, images as bytes; downloads them if they are not there.

        Raises:
            UserError: a file is damaged, or missing and cannot be downloaded.
        """
        raw = root / self.folder / "raw"
        if any(find_idx(raw, name) is None for name in FILES):
            download(self.folder, f"{self.folder}/raw", FILES, root)
        train, test = self._read_pair(raw, *FILES[:2]), self._read_pair(raw, *FILES[2:])
        return Raw(*train, Task.MULTICLASS, self.class_names, str(raw), test)

    def _read_pair(self, raw: Path, image_file: str, label_file: str) -> tuple[Tensor, Tensor]:
        """Images (n, 1, 28, 28) uint8 and labels (n,) int64."""
        images = read_idx(find_idx(raw, image_file) or raw / image_file, 3, self.checksums)
        labels = read_idx(find_idx(raw, label_file) or raw / label_file, 1, self.checksums).long()
        if images.shape[1:] != (28, 28) or len(images) != len(labels) or not len(labels):
            raise UserError(
                f"{raw} is damaged: {image_file} holds {tuple(images.shape)} pixels and {label_file} {len(labels)} "
                "labels, where each label needs an image of 28 x 28; delete both to download them again"
            )
        if labels.max() >= len(self.class_names):
            raise UserError(
                f"{raw / label_file} is damaged: it holds the label {int(labels.max())}, but the classes are 0 to "
                f"{len(self.class_names) - 1}; delete it to download it again"
            )
        return images.unsqueeze(1), labels
