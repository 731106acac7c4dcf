"""Linear layers in the neural tangent parametrization: y = W x / sqrt(fan_in) + rho b.

The numbers W and b that the optimizer sees are of order one whatever the width, so that one learning rate serves all
layers. A rule that does not care for the scale of gradients (Adam) moves the product rho b at rho times the rate: what
the source calls a learning-rate factor stands here as a factor of the parameter.

Source: Jacot et al. 2018, "Neural tangent kernel", arXiv:1806.07572, equation 1; the factors: Holzmueller et al. 2024,
arXiv:2407.04491, table A.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NTKLinear(nn.Linear):
    """y = weight_factor W x + bias_factor b, (..., in) -> (..., out).

    An initialization fills the products, so that networks start as they would with plain layers.

    Attributes:
        weight_factor: 1 / sqrt(in_features).
        bias_factor: rho.
    """

    def __init__(self, in_features: int, out_features: int, bias_factor: float = 0.1) -> None:
        super().__init__(in_features, out_features)
        self.weight_factor = in_features**-0.5
        self.bias_factor = bias_factor

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_factor, self.bias * self.bias_factor)


class Scale(nn.Module):
    """y_i = factor s_i x_i with a learned number for each input, 1 at first: a soft choice of inputs, (..., D).

    Args:
        features: D.
        factor: of the parameter, and so of its rate.
    """

    def __init__(self, features: int, factor: float = 6.0) -> None:
        super().__init__()
        self.factor = factor
        self.scale = nn.Parameter(torch.full((features,), 1 / factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.factor * self.scale)


class Mixed(nn.Module):
    """y = x + a (phi(x) - x): each unit learns how much of its activation it uses, all of it at first.

    Args:
        activation: phi.
        features: number of units.
        factor: of the parameter, and so of its rate.
    """

    def __init__(self, activation: nn.Module, features: int, factor: float = 0.1) -> None:
        super().__init__()
        self.activation = activation
        self.factor = factor
        self.share = nn.Parameter(torch.full((features,), 1 / factor))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.factor * self.share * (self.activation(x) - x)
        return y
