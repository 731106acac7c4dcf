"""Pruning: end runs of a study whose learning curve is hopeless, so that a search spends its time on the others.

The median rule (Golovin et al. 2017, "Google Vizier", section 3.2): after a part of the training, a run ends when its
best validation metric so far is worse than the median of the other runs' best at the same point of training. The
others are those of the same population and those in the same study's folder that have finished.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from nnlab.errors import UserError
from nnlab.storage.folder import read_result
from nnlab.storage.history import VALIDATION, read_curves
from nnlab.training import Callback, Run, Trainer
from nnlab.training.best import better
from nnlab.validation import check

FEWEST = 4  # runs, this one included, below which nothing can be said


class Pruning(Callback):
    """Ends the runs of the worse part; they count as completed, with the reason "pruned".

    This callback changes the state of training: members leave the population.

    Args:
        share: the worse part; 0.5 is the median rule. (0, 1)
        after: part of the training before which no run ends. [0, 1)
    """

    changes_state: ClassVar[bool] = True

    def __init__(self, share: float = 0.5, after: float = 0.3) -> None:
        self.share = check("share", share, "(0, 1)")
        self.after = check("after", after, "[0, 1)")

    def fit_start(self, trainer: Trainer) -> None:
        self.metric = trainer.primary_metric
        self._best: dict[int, float] = {}  # by member
        self._read = 0
        own = {run.directory.resolve() for run in trainer.runs}
        folders = {run.directory.resolve().parent for run in trainer.runs}
        siblings = [path for folder in sorted(folders) for path in sorted(folder.glob("*/")) if path not in own]
        self._finished = [curve for path in siblings if (curve := finished_curve(path, self.metric))]

    def evaluated(self, trainer: Trainer) -> None:
        self._take_up(trainer)
        if trainer.step >= trainer.total_steps or trainer.step < self.after * trainer.total_steps:
            return
        known = [value for run in trainer.runs if (value := self._value(run)) is not None]
        pool = known + [value for curve in self._finished if (value := _best_until(curve, trainer.epoch)) is not None]
        if len(pool) < FEWEST:
            return
        active = set(trainer.active)
        for run in trainer.runs:
            value, members = self._value(run), [member for member in run.members if member in active]
            if members and value is not None and self._hopeless(value, pool):
                rank = 1 + sum(better(self.metric, other, value) for other in pool)
                reason = f"pruned: number {rank} of {len(pool)} by validation {self.metric} after step {trainer.step}"
                trainer.end(members, "completed", reason)

    def _hopeless(self, value: float, pool: Sequence[float]) -> bool:
        return sum(better(self.metric, other, value) for other in pool) >= (1 - self.share) * len(pool)

    def _take_up(self, trainer: Trainer) -> None:
        """Take in the validations since the last time; when a run continues, all of them."""
        tag = f"{self.metric}/validation"
        for record in trainer.history.records[self._read :]:
            value = record.values.get(tag)
            if value is not None and math.isfinite(value):
                known = self._best.get(record.member)
                if known is None or better(self.metric, value, known):
                    self._best[record.member] = value
        self._read = len(trainer.history.records)

    def _value(self, run: Run) -> float | None:
        """The mean over a run's members of their best so far."""
        found = [self._best[member] for member in run.members if member in self._best]
        return sum(found) / len(found) if found else None


Curve = list[tuple[float, float]]  # epochs, and the best value until then


def finished_curve(directory: Path, metric: str) -> Curve:
    """The best validation metric so far, by epochs, of a run that has ended; empty where there is none."""
    try:
        if read_result(directory) is None:
            return []
        curves = read_curves(directory, statistics=False)
    except UserError:  # the damage in another run does not end this one
        return []
    series = curves.validation.get(f"{metric}{VALIDATION}")
    if series is None:
        return []
    epochs = dict(zip(curves.steps.tolist(), curves.epochs.tolist(), strict=True))
    curve: Curve = []
    for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
        if not curve or better(metric, value, curve[-1][1]):
            curve.append((epochs[step], value))
    return curve


def _best_until(curve: Curve, epoch: float) -> float | None:
    """The best value of a curve after so many epochs."""
    values = [value for when, value in curve if when <= epoch + 1e-9]
    return values[-1] if values else None
