"""Multi-class support vector machine on linear outputs, in the form of Weston and Watkins.

    loss = sum_{j != t} max(0, 1 + f_j - f_t)

    d loss / d f_j = [1 + f_j - f_t > 0] for j != t,    d loss / d f_t = -sum_{j != t} of these

Source: Weston and Watkins 1999, "Support vector machines for multi-class pattern recognition" (ESANN).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nnlab.loss.class_weights import ClassWeighted
from nnlab.loss.targets import class_index, widen
from nnlab.types import Task


class MulticlassSVM(ClassWeighted):
    """A score for each class; every wrong one should stay below the right one by a margin of 1."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.BINARY, Task.MULTICLASS})

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Sum of the violated margins, (..., N)."""
        outputs = widen(outputs)
        return self.weigh(_violations(outputs, class_index(outputs, targets)), targets).sum(-1)

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """1 for each class that violates the margin, minus their number for the right class, (..., N, C)."""
        return self.losses_and_gradient(outputs, targets)[1]

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Both from the same violations."""
        outputs = outputs.detach()
        index = class_index(outputs, targets)
        violations = _violations(widen(outputs), index)
        counts = (violations > 0).to(violations.dtype)
        gradient = counts.scatter_add_(-1, index, -counts.sum(-1, keepdim=True))
        losses = self.weigh(violations, targets).sum(-1)
        return losses, self.weigh(gradient, targets).to(outputs.dtype)

    def prediction(self, outputs: Tensor) -> Tensor:
        """The outputs themselves, scores of the classes."""
        return outputs

    def outputs_for(self, prediction: Tensor) -> Tensor:
        """The prediction itself."""
        return prediction

    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        """C - 1: every wrong class violates the margin by 1; times the mean weight of the targets."""
        return self.mean_weight(targets) * (target_size - 1)


def _violations(outputs: Tensor, index: Tensor) -> Tensor:
    """max(0, 1 + f_j - f_t), (..., N, C), with 0 at j = t."""
    return torch.relu(1 + outputs - outputs.gather(-1, index)).scatter(-1, index, 0.0)
