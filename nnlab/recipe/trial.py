"""A trial: a training run that differs from the user's configuration in a few values, and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nnlab.recipe.changes import Changes
from nnlab.recipe.report import TrialRecord
from nnlab.training import Callback, Trainer
from nnlab.training.evaluation import examples_at_once

SMOOTHED = 3  # validations whose mean is a score
POINTS = 60  # of a curve that a report keeps


@dataclass
class Trial:
    """A trained member.

    Attributes:
        changes: what distinguishes it.
        status: `completed` or `diverged`.
        losses: minibatch losses (steps,), up to its end.
        series: steps and values by tag, such as `loss/validation`.
        batches: minibatches of an epoch.
        scores: `loss` and metrics by split, at its end, as the watching callbacks and the last validation gave them.
        prediction: on held-out examples, where a callback kept it.
        held_out: losses of the validation examples (N,) at the best weights, where they were asked for.
        seconds: its share of its population's training.
        stopped: whether the clock ended its training early.
    """

    changes: Changes
    status: str
    losses: np.ndarray
    series: dict[str, tuple[list[int], list[float]]]
    batches: int = 1
    scores: dict[str, float] = field(default_factory=dict)
    prediction: Tensor | None = None
    held_out: Tensor | None = None
    seconds: float = 0.0
    stopped: bool = False

    @property
    def diverged(self) -> bool:
        """Whether it ended with a loss or a gradient that is not finite."""
        return self.status == "diverged"

    def last_loss(self, count: int = 10) -> float:
        """Mean of the last `count` minibatch losses; infinite where it diverged."""
        return float(self.losses[-count:].mean()) if len(self.losses) and not self.diverged else float("inf")

    def best(self, tag: str, window: int = SMOOTHED) -> tuple[int, float]:
        """Step at which the mean of the last `window` values of a series was lowest, and that mean.

        A single lowest value of a small validation split is mostly luck. (0, inf) where there is nothing finite.
        """
        steps, values = self.series.get(tag, ([], []))
        if self.diverged or not values:
            return 0, float("inf")
        window = min(window, len(values))
        means = np.convolve(values, np.ones(window) / window, "valid")
        means = np.where(np.isfinite(means), means, np.inf)
        lowest = int(means.argmin())
        return steps[lowest + window - 1], float(means[lowest])

    def at(self, tag: str, step: int) -> float:
        """The value of a series at a step; NaN where there is none."""
        steps, values = self.series.get(tag, ([], []))
        return values[steps.index(step)] if step in steps else float("nan")


def trained(trainer: Trainer, member: int, changes: Changes, watching: Callback | None) -> Trial:
    """A member of a population that has been trained."""
    losses = trainer.history.losses[:, member]
    status = trainer.outcomes[member].status
    tags = {tag for record in trainer.history.records if record.member == member for tag in record.tags}
    return Trial(
        changes,
        "completed" if status == "running" else status,
        losses[np.isfinite(losses)],
        {tag: trainer.history.series(tag, member) for tag in sorted(tags)},
        trainer.steps_per_epoch,
        dict(getattr(watching, "results", {}).get(member, {})),
        getattr(watching, "predictions", {}).get(member),
        seconds=trainer.seconds / len(trainer.members),
    )


def held_out_losses(trainer: Trainer) -> Sequence[Tensor]:
    """Losses of the validation examples (N,) for each member, at its best weights."""
    split, members = trainer.members[0].dataset.validation, len(trainer.members)
    pieces = []
    with trainer.at_best() as stack, torch.no_grad():
        size = examples_at_once(stack, members, split.inputs[0])
        for start in range(0, len(split), size):
            inputs, targets = split.inputs[start : start + size], split.targets[start : start + size]
            outputs = stack.outputs(inputs.expand(members, *inputs.shape))
            pieces.append(trainer.loss.losses(outputs, targets.expand(members, *targets.shape)))
    return list(torch.cat(pieces, 1).double().cpu())


def record(trial: Trial, name: str, command: str, points: int = POINTS) -> TrialRecord:
    """What a report keeps of a trial: its curve in at most `points` averages of consecutive losses."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    if len(trial.losses):
        bounds = np.linspace(0, len(trial.losses), min(points, len(trial.losses)) + 1).round().astype(int)
        means = np.add.reduceat(trial.losses.astype(np.float64), bounds[:-1]) / np.diff(bounds)
        curves["loss/train"] = (bounds[1:].astype(float).tolist(), means.round(6).tolist())
    for tag, (steps, values) in trial.series.items():
        if "/" in tag and tag.rpartition("/")[2] in ("validation", "fit") and values:
            curves[tag] = ([float(step) for step in steps], [round(value, 6) for value in values])
    metrics = {"loss/train": trial.last_loss(), **trial.scores}
    for tag, (_, values) in trial.series.items():
        if tag.endswith("/validation"):
            metrics[tag] = values[-1]
    return TrialRecord(name, command, trial.status, metrics, curves, dict(trial.changes))
