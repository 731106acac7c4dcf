"""Leaky rectified linear unit, y = max(slope z, z): a small fixed slope for z < 0 keeps units alive.

Source: Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models" (slope 0.01 there; the
lecture's 0.1 is the default here); gain: He et al. 2015, arXiv:1502.01852, section 2.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from nnlab.activation.base import Activation
from nnlab.validation import check


class LeakyReLU(Activation):
    """phi(z) = z for z > 0, else slope z; the gain is sqrt(2 / (1 + slope^2)).

    Args:
        slope: derivative for z <= 0, [0, 1] (beyond 1 the maximum would choose the other branch).
    """

    def __init__(self, slope: float = 0.1) -> None:
        super().__init__()
        self.slope = check("slope", slope, "[0, 1]")
        self.gain = math.sqrt(2 / (1 + slope**2))

    def forward(self, z: Tensor) -> Tensor:
        return F.leaky_relu(z, self.slope)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.ones_like(z).masked_fill(z <= 0, self.slope)

    def backward(self, error: Tensor, z: Tensor, y: Tensor) -> Tensor:
        fused: Tensor = torch.ops.aten.leaky_relu_backward(error, z, self.slope, False)
        return fused

    def extra_repr(self) -> str:
        return f"slope={self.slope}"
