"""Squared error of a linear output layer, for regression or on one-hot classes.

    loss = 1/2 sum_c (f_c - y_c)^2,    d loss / d f = f - y

Source: Bishop 2006, "Pattern Recognition and Machine Learning", equation 5.11. On classes it trains the double-descent
networks of Belkin et al. 2019 (arXiv 1812.11118).
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from nnlab.loss.base import Loss
from nnlab.loss.targets import residual
from nnlab.types import Task


class SquaredError(Loss):
    """Half the sum of squares over the targets; classes are one-hot vectors, and predictions then scores."""

    tasks: ClassVar[frozenset[Task]] = frozenset(Task)

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

    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        """1/2 E ||y||^2, which is 1/2 for one-hot vectors."""
        return 0.5 * float(targets.square().sum(-1).mean()) if targets.is_floating_point() else 0.5
