"""The losses between which a network moves: that of a constant answer, and the floor that no answer can pass.

The constant answer is the best output that ignores the inputs (the zero-input baseline): log C at most for softmax,
the entropy of the classes where they are not balanced; half the targets' variance for squared error. `progress` says
where between the two a loss is: 0 is no better than not looking at the inputs, 1 a perfect fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnlab.loss.base import Loss
from nnlab.types import Dataset, Split, Task

EXAMPLES = 4096  # training examples that decide the levels


@dataclass(frozen=True)
class Levels:
    """Losses to measure others by.

    Attributes:
        initial: the loss that theory gives for outputs of zero.
        constant: the loss of the best constant output.
        floor: the loss of a perfect fit, or None where it has no lower bound.
    """

    initial: float
    constant: float
    floor: float | None

    @property
    def span(self) -> float:
        """Distance from the constant answer to the floor; one nat where there is no floor."""
        return max(self.constant - self.floor, 1e-12) if self.floor is not None else 1.0

    def progress(self, loss: float) -> float:
        """0 at the constant answer, 1 at the floor, negative above the constant answer."""
        return (self.constant - loss) / self.span


def measure_levels(dataset: Dataset, loss: Loss) -> Levels:
    """Levels from (at most `EXAMPLES` of) the training targets."""
    targets = dataset.train.targets[:EXAMPLES]
    size = dataset.target_size
    constant = fit_linear(loss, Split(targets.new_zeros(len(targets), 0).float(), targets), size, 0.0)
    best = float(loss.losses(constant(targets.new_zeros(len(targets), 0).float()), targets).mean())
    initial = loss.initial_loss(targets, size)
    return Levels(initial, min(best, initial), loss.floor(targets, size))


class LinearModel:
    """Outputs (N, O) = x W^T + b of flattened inputs."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1).to(self.weight.dtype) @ self.weight.T + self.bias


def fit_linear(loss: Loss, split: Split, target_size: int, decay: float, iterations: int = 60) -> LinearModel:
    """Fit a linear model by full-batch L-BFGS on the mean loss plus decay/2 times the sum of squared weights."""
    from scipy.optimize import minimize

    inputs = split.inputs.flatten(1).double()
    targets = split.targets.double() if split.targets.is_floating_point() else split.targets
    outputs, features = loss.output_size(target_size), inputs.shape[1]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = torch.from_numpy(flat).to(inputs).view(outputs, features + 1)
        weight, bias = table[:, :-1], table[:, -1]
        losses, error = loss.losses_and_gradient(inputs @ weight.T + bias, targets)
        error = error / len(error)
        gradient = torch.cat([error.T @ inputs + decay * weight, error.sum(0).unsqueeze(1)], 1)
        return float(losses.mean() + 0.5 * decay * weight.square().sum()), gradient.cpu().numpy().ravel()

    start = np.zeros(outputs * (features + 1))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations}).x
    table = torch.from_numpy(found).to(inputs.device, torch.float32).view(outputs, features + 1)
    return LinearModel(table[:, :-1], table[:, -1])


@dataclass(frozen=True)
class Baseline:
    """The best linear model: its decay, and `loss` and metrics on validation."""

    decay: float
    metrics: dict[str, float]
    model: LinearModel


def linear_baseline(dataset: Dataset, loss: Loss, examples: int = EXAMPLES) -> Baseline:
    """The linear model with the weight decay, of 1e-4 ... 1, that has the lowest loss on validation."""
    train = Split(dataset.train.inputs[:examples], dataset.train.targets[:examples])
    found: list[tuple[float, float, LinearModel]] = []
    for decay in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        model = fit_linear(loss, train, dataset.target_size, decay)
        value = float(loss.losses(model(dataset.validation.inputs), dataset.validation.targets).mean())
        found.append((value if value == value else float("inf"), decay, model))
    value, decay, model = min(found, key=lambda each: each[0])
    return Baseline(decay, linear_metrics(model, dataset, loss, dataset.validation), model)


def linear_metrics(model: LinearModel, dataset: Dataset, loss: Loss, split: Split) -> dict[str, float]:
    """`loss` and the task's metrics of a linear model on a split."""
    outputs = model(split.inputs)
    metrics = loss.metrics(loss.prediction(outputs), split.targets, dataset.target_std)
    values = {name: float(value) for name, value in metrics.items()}
    return {"loss": float(loss.losses(outputs, split.targets).mean()), **values}


def is_classification(dataset: Dataset) -> bool:
    """Whether the targets are classes."""
    return dataset.task is not Task.REGRESSION
