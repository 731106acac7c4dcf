"""What a diagnosis looks at: curves, statistics and facts of one run, as plain numbers without a trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnlab.diagnosis.facts.data import DataFacts
from nnlab.diagnosis.finding import Finding
from nnlab.types import Task

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclasses.dataclass(frozen=True)
class Series:
    """A scalar measured now and then: `steps` (updates done) and `values`, of equal length."""

    steps: Sequence[int]
    values: Sequence[float]

    def __bool__(self) -> bool:
        return bool(self.steps)


@dataclasses.dataclass(frozen=True)
class LayerFacts:
    """An activation layer at the last weights, over a part of the training split.

    Attributes:
        name: in the network.
        kind: of the activation, such as `relu`.
        dead: fraction of units that give the same value for every example.
        saturated: fraction of outputs near a saturation value.
        std: standard deviation of the outputs.
    """

    name: str
    kind: str
    dead: float
    saturated: float
    std: float


@dataclasses.dataclass(frozen=True)
class WeightFacts:
    """A weight matrix or kernel.

    Attributes:
        name: of the parameter.
        symmetric: fraction of units whose incoming weights equal those of another unit of the layer.
        shape: of the weight.
        trainable: whether the optimizer may change it.
    """

    name: str
    symmetric: float
    shape: tuple[int, ...]
    trainable: bool = True


@dataclasses.dataclass(frozen=True)
class SplitFacts:
    """The network at its last weights on a split, in evaluation mode.

    Attributes:
        loss: mean loss.
        metric: the primary metric.
        baseline: that of the best constant answer on the same examples; see `facts.data.constant_metric`.
        predicted: how many examples are predicted as each class; empty for regression.
        recall: accuracy within each class; empty for regression, NaN where a class is missing.
        spread: standard deviation of the predictions over examples (in units of that of the targets, for regression).
        error: standard error of the metric.
        ranking: how well the predictions order the examples; see `facts.chance`.
        association: standard deviations by which the predictions are better than chance.
    """

    loss: float
    metric: float
    baseline: float
    predicted: tuple[int, ...] = ()
    recall: tuple[float, ...] = ()
    spread: float = float("nan")
    error: float = float("nan")
    ranking: float = float("nan")
    association: float = float("nan")


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """All that `diagnose` may use; what is not known is None or empty, and the findings that need it are left out.

    Attributes:
        losses, rates: minibatch loss and learning rate of every step; NaN where missing.
        steps_per_epoch, total_steps: as planned.
        status: `running`, `completed`, `diverged`, `interrupted`.
        reason: the sentence of a run that ended early.
        stopped: whether a callback ended training, such as early stopping: then what is left are the best weights.
        task, primary_metric: what the targets are, and the metric that decides.
        curves: validation curves by metric, such as `loss` and `accuracy`.
        statistics: other series by tag, such as `gradient_norm/linear1.weight`.
        best_step: the step of the best validation.
        optimizer, activation, architecture, scheduler: options in use, such as `adam` and `relu`.
        by_steps: whether the length of the run was given in steps rather than epochs.
        learning_rate, batch_size: as configured.
        penalties: strengths by option, such as `weight_decay`; `decoupled_decay` is one that the loss does not see,
            `optimizer` that of the optimizer's own.
        regularizers: options of all that the run regularizes with, an ensemble included.
        noise: drop probabilities by option, such as `dropout`.
        batch_norm: whether the network has batch norm.
        norm_momentum: how fast its running statistics follow, the smallest of its layers; NaN where there are none.
        augmented: whether inputs are augmented in training.
        class_weights: those of the loss, if it has any.
        weighable: whether the loss takes class weights.
        clipped: whether gradients are clipped.
        data, layers, weights: facts; see their classes.
        splits: `train` and `validation` at the last weights.
        tests: runs the direct tests of the network; see `rules.mechanics`.
    """

    losses: Array
    rates: Array
    steps_per_epoch: int
    total_steps: int
    status: str
    task: Task
    primary_metric: str
    reason: str = ""
    stopped: bool = False
    curves: Mapping[str, Series] = dataclasses.field(default_factory=dict)
    statistics: Mapping[str, Series] = dataclasses.field(default_factory=dict)
    best_step: int = 0
    optimizer: str = ""
    activation: str = ""
    architecture: str = ""
    scheduler: str = ""
    by_steps: bool = False
    learning_rate: float = float("nan")
    batch_size: int = 0
    penalties: Mapping[str, float] = dataclasses.field(default_factory=dict)
    regularizers: tuple[str, ...] = ()
    noise: Mapping[str, float] = dataclasses.field(default_factory=dict)
    batch_norm: bool = False
    norm_momentum: float = float("nan")
    augmented: bool = False
    class_weights: tuple[float, ...] = ()
    weighable: bool = False
    clipped: bool = False
    data: DataFacts | None = None
    layers: Sequence[LayerFacts] = ()
    weights: Sequence[WeightFacts] = ()
    splits: Mapping[str, SplitFacts] = dataclasses.field(default_factory=dict)
    tests: Callable[[], Sequence[Finding]] | None = None

    @property
    def ended(self) -> bool:
        """Whether no further steps follow."""
        return self.status != "running"

    @property
    def steps(self) -> int:
        """Updates done."""
        return len(self.losses)

    def series(self, prefix: str) -> dict[str, Series]:
        """The statistics whose tag is `prefix/<name>`, by name, in the network's order."""
        start = f"{prefix}/"
        return {tag.removeprefix(start): series for tag, series in self.statistics.items() if tag.startswith(start)}
