"""Handwritten digits, 1797 images of 8 x 8 pixels: small enough to learn in seconds, real enough to overfit.

Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits (UCI), the copy bundled with scikit-learn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from nnlab.data.base import Source
from nnlab.data.bundled import bundled_file, read_bundled
from nnlab.data.raw import Raw
from nnlab.types import Task


@dataclasses.dataclass(kw_only=True)
class Digits(Source):
    """Images (1, 8, 8) with pixels in [0, 1] (0 is background), classes 0 ... 9."""

    def files(self, root: Path) -> Sequence[Path]:
        return [bundled_file("digits.csv.gz")]

    def read(self, seed: int, root: Path) -> Raw:
        """The 1797 examples, whose pixels are 0 ... 16 in the file."""
        table = torch.from_numpy(read_bundled("digits.csv.gz"))
        images = (table[:, :-1] / 16).float().reshape(-1, 1, 8, 8)
        return Raw(images, table[:, -1].long(), Task.MULTICLASS, tuple("0123456789"), "digits")
