"""Scaled exponential linear unit, y = lambda z for z > 0 and lambda alpha (exp(z) - 1) otherwise.

Source: Klambauer et al. 2017, arXiv:1706.02515, equation 2; alpha and lambda (equation 14) are those for which inputs
of zero mean and unit variance give outputs of zero mean and unit variance.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nnlab.activation.base import Activation

ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946


class SELU(Activation):
    """phi(z) = lambda elu(z) with alpha = 1.67326 and lambda = 1.05070; E[phi^2] = 1 for z ~ N(0, 1)."""

    gain = 1.0
    saturation = (-SCALE * ALPHA, None)

    def forward(self, z: Tensor) -> Tensor:
        return F.selu(z)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.where(z > 0, torch.full_like(z, SCALE), y + SCALE * ALPHA)

    def backward(self, error: Tensor, z: Tensor, y: Tensor) -> Tensor:
        fused: Tensor = torch.ops.aten.elu_backward(error, ALPHA, SCALE, 1.0, False, z)
        return fused
