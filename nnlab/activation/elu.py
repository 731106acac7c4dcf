"""Exponential linear unit, y = z for z > 0 and alpha (exp(z) - 1) otherwise, with y' = y + alpha for z <= 0.

Source: Clevert et al. 2016, arXiv:1511.07289, equation 15. Negative outputs bring the mean closer to zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from nnlab.activation.base import Activation
from nnlab.validation import check


def _normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


# E[(exp(z) - 1)^2; z < 0] for z ~ N(0, 1), by completing the square in each of the three terms.
_NEGATIVE_MOMENT = math.exp(2) * _normal_cdf(-2) - 2 * math.exp(0.5) * _normal_cdf(-1) + 0.5


class ELU(Activation):
    """phi(z) = z for z > 0, else alpha (exp(z) - 1); E[phi^2] = 1/2 + 0.1449454 alpha^2.

    Args:
        alpha: minus the value that it approaches on the left, (0, inf).
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = check("alpha", alpha, "(0, inf)")
        self.gain = 1 / math.sqrt(0.5 + alpha**2 * _NEGATIVE_MOMENT)
        self.saturation = (-alpha, None)

    def forward(self, z: Tensor) -> Tensor:
        return F.elu(z, self.alpha)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.where(z > 0, torch.ones_like(z), y + self.alpha)

    def backward(self, error: Tensor, z: Tensor, y: Tensor) -> Tensor:
        fused: Tensor = torch.ops.aten.elu_backward(error, self.alpha, 1.0, 1.0, False, z)
        return fused

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"
