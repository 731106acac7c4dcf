"""Identity, y = z: the linear unit; layers of it in a row equal one linear layer, the product of their matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.activation.base import Activation


class Identity(Activation):
    """phi(z) = z, the same tensor; its gain is 1, because E[z^2] = 1."""

    def forward(self, z: Tensor) -> Tensor:
        return z

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.ones_like(z)
