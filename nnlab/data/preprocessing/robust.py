"""Robust scaling and a smooth clip: x -> z / sqrt(1 + (z / clip)^2) with z = (x - median) / (q75 - q25).

A few huge values neither decide the scale nor leave the range (-clip, clip). Where the quartiles are equal, half of the
range takes the place of their distance; what is constant becomes 0.

Source: Holzmueller et al. 2024, arXiv:2407.04491, section 3, "robust scaling and smooth clipping", equation 1.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from nnlab.data.preprocessing.base import Preprocessing, Transform
from nnlab.streaming import Streamed, columns
from nnlab.validation import check


@dataclasses.dataclass(frozen=True)
class RobustScale(Transform):
    """z = (x - median) * factor, then smoothly clipped.

    Attributes:
        median, factor: of the shape of one example.
        clip: the bound of the outputs; 0: there is none.
    """

    median: Tensor
    factor: Tensor
    clip: float

    keeps_inputs = True

    def apply(self, inputs: Tensor) -> Tensor:
        z = (inputs - self.median).mul_(self.factor)
        return z / torch.sqrt(1 + (z / self.clip).square()) if self.clip else z

    def reversed(self, inputs: Tensor) -> Tensor:
        z = inputs / torch.sqrt(1 - (inputs / self.clip).square()) if self.clip else inputs
        return z / self.factor + self.median


class Robust(Preprocessing):
    """Scales features by their quartiles, and bounds them.

    Args:
        clip: bound that outputs approach, [0, inf); 0 leaves them unbounded.
    """

    keeps_shape: ClassVar[bool] = True

    def __init__(self, clip: float = 3.0) -> None:
        self.clip = check("clip", clip, "[0, inf)")

    def fit(self, inputs: Tensor | Streamed) -> Transform:
        """Median and distance of the quartiles (by linear interpolation) of each number of an example."""
        found = [_middle_and_factor(block.numpy()) for block in columns(inputs)]
        median, factor = (
            torch.from_numpy(np.concatenate(each)).to(inputs.dtype).reshape(inputs.shape[1:])
            for each in zip(*found, strict=True)
        )
        return RobustScale(median, factor, float(self.clip))


def _middle_and_factor(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The median (d,) of columns (n, d), and what distances from it are multiplied with."""
    # Column by column: numpy copies what it takes quantiles of.
    low, median, high = np.stack([np.quantile(column, (0.25, 0.5, 0.75)) for column in columns.T], axis=1)
    spread = np.where(high > low, high - low, 0.5 * (columns.max(0) - columns.min(0)))
    return median, np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
