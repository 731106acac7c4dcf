"""Squared error of a linear output layer, for regression or on one-hot classes.

    loss = 1/2 sum_c (f_c - y_c)^2,    d loss / d f = f - y

Source: Bishop 2006, "Pattern Recognition and Machine Learning", equation 5.11. On classes it trains the double-descent
networks of Belkin et al. 2019 (arXiv 1812.11118).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import torch
from torch import Tensor, nn

from nnlab.loss.base import Loss
from nnlab.loss.targets import residual
from nnlab.types import Task


class SquaredError(Loss):
    """Half the sum of squares over the targets; classes are one-hot vectors, and predictions then scores.

    Args:
        clamp: outputs end where the training targets do, outside of training: for regression with rare inputs, whose
            targets a network may put anywhere.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset(Task)

    def __init__(self, clamp: bool = False) -> None:
        self.clamp = clamp
        self._range: tuple[Tensor, Tensor] | None = None

    def fit(self, targets: Tensor, target_size: int) -> None:
        if self.clamp and targets.is_floating_point() and len(targets):
            self._range = targets.amin(0), targets.amax(0)

    def head(self, features: int, target_size: int) -> nn.Module:
        linear = super().head(features, target_size)
        if not self.clamp:
            return linear
        low, high = self._range or (torch.full((target_size,), -torch.inf), torch.full((target_size,), torch.inf))
        return nn.Sequential(OrderedDict(linear=linear, clamp=Clamp(low, high)))

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """1/2 ||f - y||^2, (..., N)."""
        return residual(outputs, targets).square().sum(-1) * 0.5

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """f - y, (..., N, C)."""
        return residual(outputs, targets).to(outputs.dtype)

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Both from one residual."""
        error = residual(outputs.detach(), targets)
        return error.square().sum(-1).mul_(0.5), error.to(outputs.dtype)

    def prediction(self, outputs: Tensor) -> Tensor:
        """The outputs themselves: the mean, or a score for each class."""
        return outputs

    def outputs_for(self, prediction: Tensor) -> Tensor:
        """The prediction itself."""
        return prediction

    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        """1/2 E ||y||^2, which is 1/2 for one-hot vectors."""
        return 0.5 * float(targets.square().sum(-1).mean()) if targets.is_floating_point() else 0.5


class Clamp(nn.Module):
    """y_c = min(max(x_c, low_c), high_c) outside of training, where it is the identity; (N, C), bounds (C,)."""

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.register_buffer("low", low.float())
        self.register_buffer("high", high.float())

    def forward(self, x: Tensor) -> Tensor:
        return x if self.training else torch.minimum(torch.maximum(x, self.low), self.high)
