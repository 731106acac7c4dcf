"""Constant weights, w = value: all units of a layer get the same gradient, so their features never differ."""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.initialization.base import Initialization
from nnlab.validation import check


class Constant(Initialization):
    """Sets every weight to one number, as a warning: the network stays one unit wide however long it trains.

    Args:
        value: the number, (-inf, inf); with 0 most networks do not move at all.
        scale, bias: see `Initialization`.
    """

    per_member = (*Initialization.per_member, "value")

    def __init__(self, value: float = 0.01, scale: float = 1.0, bias: float = 0.0) -> None:
        super().__init__(scale, bias)
        self.value = check("value", value, "(-inf, inf)")

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        weight.fill_(self.value)
