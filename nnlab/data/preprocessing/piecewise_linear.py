"""Piecewise-linear encoding: a number becomes one input for each bin, filled from the first to the one it lies in.

    e_t(x) = clip((x - b_t) / (b_{t+1} - b_t), 0, 1)

with b_0 < ... < b_T the quantiles of the training split; the first bin has no lower bound, the last no upper one. The
layer of weights that follows makes it an embedding: a piecewise-linear function of x for each of its units.

Source: Gorishniy et al. 2022, "On embeddings for numerical features in tabular deep learning", arXiv:2203.05556,
equations 1 and 2, section 3.2.1.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from nnlab.data.preprocessing.base import Preprocessing, Transform
from nnlab.streaming import Streamed, columns
from nnlab.validation import check


@dataclasses.dataclass(frozen=True)
class BinFill(Transform):
    """All bins of all numbers of an example, side by side.

    Attributes:
        source: (B,) int64, which number of the flattened example each bin looks at.
        start, width: (B,) where the bin begins, and its size, float64.
        first, last: (B,) bool, whether it is the first or the last of its number, and so goes on beyond.
    """

    source: Tensor
    start: Tensor
    width: Tensor
    first: Tensor
    last: Tensor

    def apply(self, inputs: Tensor) -> Tensor:
        fill = (inputs.flatten(1).double()[:, self.source] - self.start) / self.width
        lower = torch.where(self.first, -torch.inf, 0.0).double()
        upper = torch.where(self.last, torch.inf, 1.0).double()
        return fill.clamp(lower, upper).to(inputs.dtype)


class PiecewiseLinear(Preprocessing):
    """Gives each part of a feature's range inputs of its own; images become vectors.

    A feature of two values keeps one input, a constant one only its distance from the constant.

    Args:
        bins: at most so many for each feature, [1, inf); equal quantiles are merged.
    """

    def __init__(self, bins: int = 16) -> None:
        self.bins = check("bins", bins, "[1, inf)")

    def fit(self, inputs: Tensor | Streamed) -> Transform:
        """The bins of each number of an example, between its quantiles."""
        shares = np.linspace(0, 1, self.bins + 1)
        edges = np.hstack([np.quantile(block.double().numpy(), shares, axis=0) for block in columns(inputs)])
        parts = [_bins(position, np.unique(own)) for position, own in enumerate(edges.T)]
        return BinFill(*(torch.from_numpy(np.concatenate(each)) for each in zip(*parts, strict=True)))


def _bins(position: int, edges: np.ndarray) -> tuple[np.ndarray, ...]:
    """The fields of `BinFill` for one number with these bounds."""
    if len(edges) == 1:
        edges = np.array([edges[0], edges[0] + 1])
    count = len(edges) - 1
    place = np.arange(count)
    return np.full(count, position), edges[:-1], np.diff(edges), place == 0, place == count - 1
