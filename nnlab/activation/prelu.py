"""Parametric rectified linear unit, y = z for z > 0 and slope z otherwise, with a learned slope.

Source: He et al. 2015, arXiv:1502.01852, equations 1 and 9 (channel-shared variant: one slope for a layer). It
equals max(slope z, z) as long as slope <= 1. The paper learns the slope without weight decay, which would pull it
towards plain ReLU.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnlab.activation.base import Activation
from nnlab.validation import check


class PReLU(Activation):
    """phi(z) = z for z > 0, else slope z, where the parameter `slope` has shape (1,).

    The gain, sqrt(2 / (1 + slope^2)), is that of the initial slope.

    Args:
        slope: initial value of the parameter, (-inf, inf).
    """

    def __init__(self, slope: float = 0.25) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([check("slope", slope, "(-inf, inf)")], dtype=torch.get_default_dtype()))
        self.gain = math.sqrt(2 / (1 + slope**2))

    def forward(self, z: Tensor) -> Tensor:
        if self.slope.ndim > 1:  # members' slopes (M, 1, ..., 1), which torch's kernel would take for channels
            return torch.where(z > 0, z, self.slope * z)
        return F.prelu(z, self.slope)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.where(z > 0, torch.ones_like(z), self.slope).reshape(z.shape)
