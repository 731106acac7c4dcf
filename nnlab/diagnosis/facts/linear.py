"""Linear models of the user's own loss: the baseline that a network must beat, and a test of the labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.levels import EXAMPLES, minimize
from nnlab.loss.base import Loss
from nnlab.streaming import MOST, SAMPLED, at_once, pieces
from nnlab.types import Dataset, Split

DECAYS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


class LinearModel:
    """Outputs (N, O) = x W^T + b of flattened inputs."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, inputs: Tensor) -> Tensor:
        if inputs.numel() > MOST:
            return torch.cat([self(piece) for piece in pieces(inputs, at_once(inputs, MOST // 4, len(inputs)))])
        return inputs[:].flatten(1).to(self.weight.dtype) @ self.weight.T + self.bias


def fit_linear(loss: Loss, split: Split, target_size: int, decay: float, iterations: int = 60) -> LinearModel:
    """Fit a linear model by full-batch L-BFGS on the mean loss plus decay/2 times the sum of squared weights."""
    inputs = split.inputs.flatten(1).double()
    targets = split.targets.double() if split.targets.is_floating_point() else split.targets
    outputs, features = loss.output_size(target_size), inputs.shape[1]

    def closure(flat: Tensor) -> tuple[Tensor, Tensor]:
        table = flat.view(outputs, features + 1)
        weight, bias = table[:, :-1], table[:, -1]
        losses, error = loss.losses_and_gradient(inputs @ weight.T + bias, targets)
        error = error / len(error)
        gradient = torch.cat([error.T @ inputs + decay * weight, error.sum(0).unsqueeze(1)], 1)
        return losses.mean() + 0.5 * decay * weight.square().sum(), gradient.flatten()

    found = minimize(closure, inputs.new_zeros(outputs * (features + 1)), iterations)
    table = found.float().view(outputs, features + 1)
    return LinearModel(table[:, :-1], table[:, -1])


@dataclass(frozen=True)
class Baseline:
    """The best linear model: its decay, and `loss` and metrics on validation."""

    decay: float
    metrics: dict[str, float]
    model: LinearModel


def linear_baseline(dataset: Dataset, loss: Loss, examples: int = EXAMPLES) -> Baseline:
    """The linear model with the weight decay, of 1e-4 ... 1, that has the lowest loss on validation."""
    examples = at_once(dataset.train.inputs, SAMPLED, examples)
    train = Split(dataset.train.inputs[:examples], dataset.train.targets[:examples])
    found: list[tuple[float, float, LinearModel]] = []
    for decay in DECAYS:
        model = fit_linear(loss, train, dataset.target_size, decay)
        value = float(loss.losses(model(dataset.validation.inputs), dataset.validation.targets).mean())
        found.append((value if value == value else float("inf"), decay, model))
    value, decay, model = min(found, key=lambda each: each[0])
    return Baseline(decay, linear_metrics(model, dataset, loss, dataset.validation), model)


def linear_metrics(model: LinearModel, dataset: Dataset, loss: Loss, split: Split) -> dict[str, float]:
    """`loss` and the task's metrics of a linear model on a split."""
    outputs = model(split.inputs)
    metrics = loss.measured(loss.prediction(outputs), split.targets, dataset.units)
    values = {name: float(value) for name, value in metrics.items()}
    return {"loss": float(loss.losses(outputs, split.targets).mean()), **values}


def linear_held_out(dataset: Dataset, loss: Loss) -> tuple[Tensor, Tensor]:
    """Predictions and targets of linear models, each fitted to one half of the training split, on the other half."""
    examples = at_once(dataset.train.inputs, SAMPLED, EXAMPLES)
    inputs, targets = dataset.train.inputs[:examples], dataset.train.targets[:examples]
    halves = [torch.arange(start, len(targets), 2, device=targets.device) for start in (0, 1)]
    predictions, order = [], []
    for fitted, tested in (halves, halves[::-1]):
        model = fit_linear(loss, Split(inputs[fitted], targets[fitted]), dataset.target_size, 0.1)
        predictions.append(loss.prediction(model(inputs[tested])))
        order.append(tested)
    return torch.cat(predictions), targets[torch.cat(order)]
