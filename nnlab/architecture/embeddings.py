"""Embeddings of single inputs: periodic ones of numbers, and learned vectors of categories.

    number x_i:    [V_i cos(2 pi w_i x_i + b_i) + c_i, x_i]      (PBLD: periodic, bias, linear, dense: with x_i itself)
    category j:    E_j, a row for each level

Sources: Gorishniy et al. 2022, arXiv:2203.05556, section 3.3 (periodic embeddings); with a phase for each frequency
instead of sine and cosine, and few outputs: Holzmueller et al. 2024, arXiv:2407.04491, section 3.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn


class PeriodicEmbedding(nn.Module):
    """(..., D) -> (..., D * outputs): of each input, `outputs - 1` learned periodic functions, and itself.

    Args:
        features: D.
        frequencies: number of waves for each input.
        outputs: numbers that each input becomes, [2, inf).
        sigma: standard deviation of the frequencies w at first.
        factor: of all parameters, and so of their rate; see `nnlab.architecture.ntk`.
    """

    unpenalised: ClassVar[tuple[str, ...]] = ("frequency", "phase", "weight", "bias")

    def __init__(
        self, features: int, frequencies: int = 16, outputs: int = 4, sigma: float = 0.1, factor: float = 0.1
    ) -> None:
        super().__init__()
        self.factor = factor
        bound = 1 / math.sqrt(frequencies)
        self.frequency = nn.Parameter(sigma / factor * torch.randn(features, frequencies))
        self.phase = nn.Parameter(torch.empty(features, frequencies).uniform_(-math.pi / factor, math.pi / factor))
        weight = torch.empty(features, frequencies, outputs - 1)
        self.weight = nn.Parameter(weight.uniform_(-bound / factor, bound / factor))
        bias = torch.empty(features, outputs - 1)
        self.bias = nn.Parameter(bias.uniform_(-bound / factor, bound / factor))

    def forward(self, x: Tensor) -> Tensor:
        factor = self.factor
        wave = torch.cos(2 * math.pi * factor * self.frequency * x.unsqueeze(-1) + factor * self.phase)
        # (D, N, F) @ (D, F, O - 1): a small product for each input
        mixed = torch.matmul(wave.transpose(0, 1), factor * self.weight).transpose(0, 1) + factor * self.bias
        return torch.cat([mixed.flatten(1), x], 1)


class CategoryEmbedding(nn.Module):
    """(N, L) -> (N, outputs): the inputs of a category's L levels times a learned table.

    Where one level is set, that is its row of the table.

    Args:
        levels: L.
        outputs: length of the vectors.
    """

    unpenalised: ClassVar[tuple[str, ...]] = ()

    def __init__(self, levels: int, outputs: int = 8) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(levels, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight
