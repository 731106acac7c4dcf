"""Rectified linear unit, y = max(0, z), with y' = 1 for z > 0 and 0 otherwise.

Source: Nair and Hinton 2010, "Rectified linear units improve restricted Boltzmann machines"; gain: He et al. 2015,
arXiv:1502.01852, equation 10. A unit whose z is negative for every example has no gradient any more: it is dead.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnlab.activation.base import Activation


class ReLU(Activation):
    """phi(z) = max(0, z); half of the second moment survives, so the gain is sqrt(2)."""

    gain = math.sqrt(2)
    saturation = (0.0, None)

    def forward(self, z: Tensor) -> Tensor:
        return torch.relu(z)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return (y > 0).to(y.dtype)

    def backward(self, error: Tensor, z: Tensor, y: Tensor) -> Tensor:
        fused: Tensor = torch.ops.aten.threshold_backward(error, y, 0)
        return fused
