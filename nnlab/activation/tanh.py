"""Hyperbolic tangent, y = tanh(z), with y' = 1 - y^2.

Zero-centred, but still saturates on both sides (LeCun et al. 1998, "Efficient BackProp", section 4.4).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.activation.base import Activation


class Tanh(Activation):
    """phi(z) = tanh(z); the gain is by numerical integration of E[phi^2] = 0.3942945 (torch's own table says 5/3)."""

    gain = 1.5925374197
    saturation = (-1.0, 1.0)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return 1 - y * y

    def backward(self, error: Tensor, z: Tensor, y: Tensor) -> Tensor:
        fused: Tensor = torch.ops.aten.tanh_backward(error, y)
        return fused
