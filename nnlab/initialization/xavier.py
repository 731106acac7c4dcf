"""Xavier (Glorot) initialization, Var[w] = 1 / fan_in: linear units keep the variance of their inputs.

Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks": equation
1 is 1 / sqrt(fan_in), which the lecture teaches for tanh; equation 12, the compromise between the forward and the
backward pass, is Var[w] = 2 / (fan_in + fan_out) and equation 16 draws it from a uniform distribution.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from nnlab.initialization.base import Initialization, fans
from nnlab.initialization.distribution import DISTRIBUTIONS, draw
from nnlab.validation import check_choice


class Xavier(Initialization):
    """Draws weights of standard deviation 1 / sqrt(fan); the gain is ignored.

    Args:
        fan: "in" for fan_in (the lecture's), "average" for (fan_in + fan_out) / 2 (Glorot's equation 12).
        distribution: "normal", or "uniform" of the same standard deviation.
        scale, bias: see `Initialization`.
    """

    def __init__(
        self,
        fan: Literal["in", "average"] = "in",
        distribution: Literal["normal", "uniform"] = "normal",
        scale: float = 1.0,
        bias: float = 0.0,
    ) -> None:
        super().__init__(scale, bias)
        self.fan = check_choice("fan", fan, ("in", "average"))
        self.distribution = check_choice("distribution", distribution, DISTRIBUTIONS)

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        fan_in, fan_out = fans(weight)
        fan = fan_in if self.fan == "in" else (fan_in + fan_out) / 2
        draw(weight, 1 / math.sqrt(fan), self.distribution, generator)
