"""Small random weights, w ~ N(0, std^2), whatever the size of the layer.

Fine for small networks; in deep ones the signal shrinks to zero or saturates, layer by layer, unless std happens to
be near gain / sqrt(fan_in) (see `He`). Krizhevsky et al. 2012, section 5, use std 0.01.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.initialization.base import Initialization
from nnlab.initialization.distribution import draw
from nnlab.validation import check


class Gaussian(Initialization):
    """Draws every weight from N(0, std^2); the gain is ignored.

    Args:
        std: standard deviation, [0, inf).
        scale, bias: see `Initialization`.
    """

    per_member = (*Initialization.per_member, "std")

    def __init__(self, std: float = 0.01, scale: float = 1.0, bias: float = 0.0) -> None:
        super().__init__(scale, bias)
        self.std = check("std", std, "[0, inf)")

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        draw(weight, self.std, "normal", generator)
