"""Quantiles to a normal distribution: x -> Phi^-1(F(x)), with F the empirical distribution of the training split.

The map is exact at the quantiles and linear between them. Where many examples have the same number, F is the middle of
its jump: a truth value that is 0 for 90% of the examples becomes -0.13 and 1.64. Beyond the training data it stays at
its ends, Phi^-1(1 / 2n) and Phi^-1(1 - 1 / 2n) for n examples.

Source: Gorishniy et al. 2021, "Revisiting deep learning models for tabular data", arXiv:2106.11959, section 4.2, who
take scikit-learn's `QuantileTransformer`: the same at the quantiles, but -5.2 and 5.2 at the ends, and so for every
truth value.
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
class PiecewiseMap(Transform):
    """A function for each of the D numbers of an example, linear between K knots, and constant beyond them.

    Attributes:
        knots: (D, K) float64, rising strictly, and infinite where a number has fewer.
        values: (D, K) float64, at the knots.
        shape: of one example.
    """

    knots: Tensor
    values: Tensor
    shape: tuple[int, ...]

    keeps_inputs = True

    def apply(self, inputs: Tensor) -> Tensor:
        x = inputs.flatten(1).double()
        count, width = self.knots.shape
        # The last knot that is not above x; exported graphs have no binary search.
        if torch.compiler.is_exporting():
            place = (x.unsqueeze(2) >= self.knots).sum(2) - 1
        else:
            place = torch.searchsorted(self.knots, x.T.contiguous(), right=True).T - 1
        row = torch.arange(count, device=x.device) * width
        left = place.clamp(0, width - 1) + row
        right = (place + 1).clamp(0, width - 1) + row
        knots, values = self.knots.flatten(), self.values.flatten()
        gap = knots[right] - knots[left]
        share = torch.where(gap > 0, (x - knots[left]) / gap, 0.0).clamp(0, 1)
        y = values[left] + share * (values[right] - values[left])
        return y.reshape(-1, *self.shape).to(inputs.dtype)


class Quantile(Preprocessing):
    """Makes every feature normally distributed, whatever its units and outliers.

    Args:
        quantiles: how many are kept, [2, inf); at most one for each training example.
    """

    keeps_shape: ClassVar[bool] = True

    def __init__(self, quantiles: int = 1000) -> None:
        self.quantiles = check("quantiles", quantiles, "[2, inf)")

    def fit(self, inputs: Tensor | Streamed) -> Transform:
        """The quantiles of each number of an example, by linear interpolation, with their normal values."""
        found = [self._map(block.double().numpy()) for block in columns(inputs)]
        knots, values = (torch.cat(each) for each in zip(*found, strict=True))
        return PiecewiseMap(knots, values, tuple(inputs.shape[1:]))

    def _map(self, columns: np.ndarray) -> tuple[Tensor, Tensor]:
        """Knots and values (d, K) of columns (n, d)."""
        examples = max(len(columns), 1)
        quantiles = np.quantile(columns, np.linspace(0, 1, min(self.quantiles, max(examples, 2))), axis=0)
        quantiles = np.maximum.accumulate(quantiles, 0)
        knots = np.full((columns.shape[1], len(quantiles)), np.inf)
        shares = np.full_like(knots, 0.5)
        for own, place, share in zip(quantiles.T, knots, shares, strict=True):
            found, first, counts = np.unique(own, return_index=True, return_counts=True)
            place[: len(found)] = found
            share[: len(found)] = (first + (counts - 1) / 2) / (len(own) - 1)
        values = torch.special.ndtri(torch.from_numpy(shares).clamp_(0.5 / examples, 1 - 0.5 / examples))
        return torch.from_numpy(knots), values
