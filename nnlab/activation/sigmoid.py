"""Logistic sigmoid, y = 1 / (1 + exp(-z)), with y' = y (1 - y).

It saturates on both sides and kills gradients there, is not zero-centred, and its slope is at most 1/4: in hidden
layers it is there to be compared with (Glorot and Bengio 2010, section 3.1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.activation.base import Activation


class Sigmoid(Activation):
    """phi(z) = 1 / (1 + exp(-z)); the gain is by numerical integration of E[phi^2] = 0.2933790."""

    gain = 1.8462285453
    saturation = (0.0, 1.0)

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return y * (1 - y)

    def backward(self, error: Tensor, z: Tensor, y: Tensor) -> Tensor:
        fused: Tensor = torch.ops.aten.sigmoid_backward(error, y)
        return fused
