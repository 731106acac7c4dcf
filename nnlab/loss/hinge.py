"""Hinge loss of a linear output layer for two classes, the loss of the support vector machine.

    loss = max(0, 1 - y f),    y in {-1, +1},    d loss / d f = -y where y f < 1, else 0

Source: Cortes and Vapnik 1995 (doi 10.1007/BF00994018); Bishop 2006, equation 7.45.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nnlab.loss.class_weights import ClassWeighted
from nnlab.loss.targets import signs, widen
from nnlab.types import Task


class Hinge(ClassWeighted):
    """One output f, whose sign is the class: targets 0 and 1 count as -1 and +1."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.BINARY})

    def output_size(self, target_size: int) -> int:
        """One output for two classes."""
        return 1

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """max(0, 1 - y f), (..., N)."""
        outputs = widen(outputs)
        return self.weigh(torch.relu(1 - signs(outputs, targets) * outputs), targets).squeeze(-1)

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """-y inside the margin, else 0, (..., N, 1)."""
        sign = signs(outputs, targets)
        return self.weigh(-sign * (sign * outputs < 1), targets)

    def prediction(self, outputs: Tensor) -> Tensor:
        """Scores (-f, f) of the two classes, (..., N, 2)."""
        return torch.cat([-outputs, outputs], -1)

    def outputs_for(self, prediction: Tensor) -> Tensor:
        """The score of class 1."""
        return prediction[..., 1:]

    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        """1: no example has any margin; times the mean weight of the targets."""
        return self.mean_weight(targets)
