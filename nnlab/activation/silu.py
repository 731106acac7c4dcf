"""Sigmoid-weighted linear unit (swish), y = z sigmoid(z), with y' = sigmoid(z) + y (1 - sigmoid(z)).

Source: Elfwing et al. 2017, arXiv:1702.03118, equation 9; Ramachandran et al. 2017, arXiv:1710.05941 (swish).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nnlab.activation.base import Activation


class SiLU(Activation):
    """phi(z) = z sigmoid(z); the gain is by numerical integration of E[phi^2] = 0.3557755."""

    gain = 1.6765324703
    saturation = (0.0, None)

    def forward(self, z: Tensor) -> Tensor:
        return F.silu(z)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        sigmoid = torch.sigmoid(z)
        return sigmoid + y * (1 - sigmoid)
