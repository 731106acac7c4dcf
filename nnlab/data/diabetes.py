"""Progression of diabetes within a year in 442 patients, from ten measurements: a small, noisy regression.

Source: Efron, Hastie, Johnstone and Tibshirani 2004, "Least angle regression", the copy bundled with scikit-learn.
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
class Diabetes(Source):
    """Vectors (10,) in raw units (years, kg/m^2, mm Hg, ...); one target, 25 ... 346."""

    def files(self, root: Path) -> Sequence[Path]:
        return [bundled_file("diabetes_data_raw.csv.gz"), bundled_file("diabetes_target.csv.gz")]

    def read(self, seed: int, root: Path) -> Raw:
        """The 442 examples."""
        inputs = torch.from_numpy(read_bundled("diabetes_data_raw.csv.gz", delimiter=None))
        targets = torch.from_numpy(read_bundled("diabetes_target.csv.gz", delimiter=None))
        return Raw(inputs, targets, Task.REGRESSION, ("progression",), "diabetes")
