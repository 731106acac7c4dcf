"""Mish, y = z tanh(softplus(z)): smooth, unbounded above, with a small dip below zero.

    y' = tanh(s) + z sigmoid(z) (1 - tanh(s)^2),   s = softplus(z) = log(1 + exp(z))

Source: Misra 2020, arXiv:1908.08681, equations 1 and 2.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nnlab.activation.base import Activation


class Mish(Activation):
    """phi(z) = z tanh(softplus(z)); the gain is by numerical integration of E[phi^2]."""

    gain = 1.4868475813
    saturation = (0.0, None)

    def forward(self, z: Tensor) -> Tensor:
        return F.mish(z)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        tanh = torch.tanh(F.softplus(z))
        return tanh + z * torch.sigmoid(z) * (1 - tanh.square())
