"""Draws of zero mean and given standard deviation: normal, or uniform on +-sqrt(3) std."""

from __future__ import annotations

import math

import torch
from torch import Tensor

DISTRIBUTIONS = ("normal", "uniform")


def draw(weight: Tensor, std: float, distribution: str, generator: torch.Generator) -> None:
    """Fill `weight` in place with independent draws from one of `DISTRIBUTIONS`, mean 0, standard deviation `std`."""
    if distribution == "normal":
        weight.normal_(0.0, std, generator=generator)
    else:
        bound = math.sqrt(3) * std
        weight.uniform_(-bound, bound, generator=generator)
