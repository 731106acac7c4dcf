"""Breast cancer of Wisconsin: 569 tumours, 30 measurements each, malignant or benign.

Source: Street, Wolberg and Mangasarian 1993, "Nuclear feature extraction for breast tumor diagnosis" (UCI), the copy
bundled with scikit-learn.
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
class BreastCancer(Source):
    """Vectors (30,) in their own units; class 0 is malignant, 1 benign."""

    def files(self, root: Path) -> Sequence[Path]:
        return [bundled_file("breast_cancer.csv")]

    def read(self, seed: int, root: Path) -> Raw:
        """The 569 examples."""
        table = torch.from_numpy(read_bundled("breast_cancer.csv", skip_rows=1))
        return Raw(table[:, :-1], table[:, -1].long(), Task.BINARY, ("malignant", "benign"), "breast_cancer")
