"""Gaussian error linear unit, y = z Phi(z) with Phi the normal distribution function; y' = Phi(z) + z Phi'(z).

Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2 (the exact form, not its tanh approximation).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from nnlab.activation.base import Activation


class GELU(Activation):
    """phi(z) = z Phi(z); E[phi^2] = 1/3 + 1 / (2 sqrt(3) pi)."""

    gain = 1 / math.sqrt(1 / 3 + 1 / (2 * math.sqrt(3) * math.pi))
    saturation = (0.0, None)

    def forward(self, z: Tensor) -> Tensor:
        return F.gelu(z)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        return 0.5 * torch.erfc(-z / math.sqrt(2)) + z * density
