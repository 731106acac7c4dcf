"""He initialization, Var[w] = gain^2 / fan_in, where gain^2 = 2 for ReLU: the second moment survives every layer.

Source: He et al. 2015, arXiv:1502.01852, equation 10 (ReLU) and section 2.2 (leaky: 2 / (1 + slope^2)). The same
argument for any other phi gives gain = 1 / sqrt(E[phi(z)^2]) with z ~ N(0, 1), which is what activations carry.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from nnlab.initialization.base import Initialization, fans
from nnlab.initialization.distribution import DISTRIBUTIONS, draw
from nnlab.validation import check_choice


class He(Initialization):
    """Draws weights of standard deviation gain / sqrt(fan_in); sqrt(2 / fan_in) below a ReLU.

    Args:
        distribution: "normal", or "uniform" of the same standard deviation.
        scale, bias: see `Initialization`.
    """

    def __init__(
        self, distribution: Literal["normal", "uniform"] = "normal", scale: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__(scale, bias)
        self.distribution = check_choice("distribution", distribution, DISTRIBUTIONS)

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        draw(weight, gain / math.sqrt(fans(weight)[0]), self.distribution, generator)
