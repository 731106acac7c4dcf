"""What every loss provides: output layer, loss and its gradient, prediction, metrics, and the loss to expect at first.

Tensors carry any leading axes, so that the same code serves one network, `(N, O)`, and a population, `(M, N, O)`;
targets without the leading axes are shared by all members. Nothing branches on the values of a tensor. Outputs in
half precision are widened: losses are then float32, and gradients return in the type of the outputs.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import ClassVar

from torch import Tensor, nn

from nnlab.errors import UserError
from nnlab.loss.metrics import classification_metrics, regression_metrics
from nnlab.metric_names import THOROUGH
from nnlab.types import Task
from nnlab.units import Units


class Loss(ABC):
    """An output layer with the loss that belongs to it.

    Attributes:
        tasks: the tasks whose targets this loss fits.
        probabilistic: predictions are distributions (class probabilities, or moments), so that `nll` is a metric.
    """

    tasks: ClassVar[frozenset[Task]]
    probabilistic: ClassVar[bool] = False

    def output_size(self, target_size: int) -> int:
        """O, the number of outputs for C = `target_size` classes or regression targets; C unless said otherwise."""
        return target_size

    def fit(self, targets: Tensor, target_size: int) -> None:  # noqa: B027 - most losses need nothing
        """Take from the training targets (n,) or (n, C) what the loss depends on, before anything else is asked."""

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
        """Both at once, as fresh tensors outside of autograd's graph; a loss overrides it where they share work."""
        outputs = outputs.detach()
        return self.losses(outputs, targets), self.gradient(outputs, targets)

    @abstractmethod
    def prediction(self, outputs: Tensor) -> Tensor:
        """What the outputs predict, (..., N, *): class probabilities (or scores for margin losses), or moments."""

    def combine(self, predictions: Tensor) -> Tensor:
        """The ensemble's prediction (N, *) from the members' (M, N, *): their mean unless said otherwise."""
        return predictions.mean(0)

    def loss_of(self, prediction: Tensor, targets: Tensor) -> Tensor | None:
        """The mean loss (...) of a prediction (..., N, *) that no single network makes, such as an ensemble's.

        None where a prediction does not say what the loss would be, as those of a user's own loss do not.
        """
        outputs = self.outputs_for(prediction)
        return None if outputs is None else self.losses(outputs, targets).mean(-1)

    def outputs_for(self, prediction: Tensor) -> Tensor | None:
        """Outputs (..., N, O) from which `prediction` makes this one, (..., N, *); None where it is not known."""
        return None

    def metrics(
        self,
        prediction: Tensor,
        targets: Tensor,
        scale: Tensor | None = None,
        thorough: Collection[str] = THOROUGH,
    ) -> dict[str, Tensor]:
        """Metrics by name, each of shape (...), from a prediction (..., N, *) and targets.

        `scale` (C,), the standard deviation that standardising divided out of regression targets, gives errors in
        the target's own units. `thorough` are the metrics to compute of those that take longer.
        """
        if targets.is_floating_point():
            return regression_metrics(prediction, targets, scale)
        return classification_metrics(prediction, targets, self.probabilistic, thorough)

    def measured(
        self, prediction: Tensor, targets: Tensor, units: Units | None, thorough: Collection[str] = THOROUGH
    ) -> dict[str, Tensor]:
        """`metrics` in the units of the data, where targets (..., N, C) have other `units`."""
        if units is None or units.is_linear:
            return self.metrics(prediction, targets, None if units is None else units.std, thorough)
        return self.metrics(units.restored(prediction), units.restored(targets), None, thorough)

    def initial_loss(self, targets: Tensor, target_size: int, outputs: Tensor | None = None) -> float:
        """The mean loss that theory gives for a network whose outputs are near zero, over targets (N,) or (N, C).

        `target_size` is C, which a sample of labels does not tell. `outputs`, (O,) or (N, O), where given, are a
        constant output to assume instead of zero (the output layer's bias).
        """
        if outputs is None:
            return self.loss_at_zero(targets, target_size)
        return float(self.losses(outputs.expand(len(targets), -1), targets).mean())

    @abstractmethod
    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        """The mean loss of zero outputs over targets (N,) or (N, C), in closed form; C = `target_size`."""

    def floor(self, targets: Tensor, target_size: int) -> float | None:
        """The mean loss of a perfect fit to targets (N,) or (N, C), or None where it has no lower bound."""
        return 0.0

    def primary_metric(self, task: Task) -> str:
        """Name of the metric that a table shows first: `accuracy` or `rmse`."""
        return "rmse" if task is Task.REGRESSION else "accuracy"

    @classmethod
    def option(cls) -> str:
        """The name under which configs select this loss: that of its module."""
        return cls.__module__.rpartition(".")[2]

    def check_fits(self, task: Task, units: Units | None = None) -> None:
        """Accept a data set's task and the units of its targets, or say which losses fit it.

        Raises:
            UserError: this loss cannot be computed from targets of this kind.
        """
        if units is not None and not units.is_linear and self.probabilistic:
            raise UserError(
                f"loss `{self.option()}` predicts variances of the logarithms, which are not those of the targets: "
                f"leave out `data.target_transform={units.transform}`, or take `loss=squared_error`"
            )
        if task not in self.tasks:
            needs = " or ".join(kind for kind in Task if kind in self.tasks)
            fitting = ", ".join(sorted(loss.option() for loss in concrete_losses() if task in loss.tasks))
            raise UserError(
                f"loss `{self.option()}` needs {needs} targets, but this data set is {task}; losses that fit: {fitting}"
            )


def concrete_losses(parent: type[Loss] = Loss) -> list[type[Loss]]:
    """The losses of this package, found as subclasses, so that a new one is known by itself; not a user's own."""
    found = []
    for child in parent.__subclasses__():
        own = child.__module__.startswith(f"{__package__}.") and hasattr(child, "tasks")
        is_option = own and not inspect.isabstract(child)
        found += ([child] if is_option else []) + concrete_losses(child)
    return found
