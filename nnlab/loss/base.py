"""What every loss provides: output layer, loss and its gradient, prediction, metrics, and the loss to expect at first.

Tensors carry any leading axes, so that the same code serves one network, `(N, O)`, and a population, `(M, N, O)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from nnlab.types import Task


class Loss(ABC):
    """An output layer with the loss that belongs to it.

    Attributes:
        tasks: the tasks whose targets this loss fits.
    """

    tasks: ClassVar[frozenset[Task]]

    @abstractmethod
    def output_size(self, target_size: int) -> int:
        """O, the number of outputs for C = `target_size` classes or regression targets."""

    def head(self, features: int, target_size: int) -> nn.Module:
        """The output layer, from the (N, features) of the last hidden layer to (N, O); linear unless said otherwise."""
        return nn.Linear(features, self.output_size(target_size))

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of each example (..., N) from outputs (..., N, O) and targets (..., N) int64 or (..., N, C) floats."""

    @abstractmethod
    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Derivative of each example's loss by its outputs, (..., N, O), written by hand as in the lecture."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Both at once; a loss overrides it where they share work (as the softmax does)."""
        return self.losses(outputs, targets), self.gradient(outputs, targets)

    @abstractmethod
    def prediction(self, outputs: Tensor) -> Tensor:
        """What the outputs predict, (..., N, *): class probabilities (or scores for margin losses), or moments."""

    def combine(self, predictions: Tensor) -> Tensor:
        """The ensemble's prediction (N, *) from the members' (M, N, *): their mean unless said otherwise."""
        return predictions.mean(0)

    @abstractmethod
    def metrics(self, prediction: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Metrics by name, each of shape (...), from a prediction (..., N, *) and targets."""

    @abstractmethod
    def initial_loss(self, targets: Tensor, outputs: Tensor | None = None) -> float:
        """The mean loss that theory gives for a network whose outputs are near zero, over targets (N,) or (N, C).

        `outputs` (N, O), where given, are a constant output to assume instead of zero (the output layer's bias).
        """

    def primary_metric(self) -> str:
        """Name of the metric that a table shows first: `accuracy` or `rmse`."""
        return "rmse" if self.tasks == frozenset({Task.REGRESSION}) else "accuracy"
