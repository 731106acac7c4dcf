"""The curves of a run on the disk; `nnlab.storage.history` has the format of their two files."""

from __future__ import annotations

import time
from typing import ClassVar

import numpy as np

from nnlab.storage.history import HistoryWriter, read_curves
from nnlab.storage.run import Run
from nnlab.training import Callback, Record, Trainer

FLUSH_STEPS = 1000
FLUSH_SECONDS = 1.0  # at validations


class HistoryFile(Callback):
    """Writes `history.csv` and `statistics.csv` of every run, at validations and every thousand steps."""

    essential: ClassVar[bool] = True

    def fit_start(self, trainer: Trainer) -> None:
        metrics = trainer.metric_names() if trainer.runs else []
        self._writers = [HistoryWriter(run, metrics) for run in trainer.runs]
        for run in trainer.runs if trainer.step else ():
            read_back(trainer, run, trainer.step)
        self._written = time.monotonic()
        self._steps = trainer.step
        self._records = len(trainer.history.records)

    def wants(self, step: int) -> bool:
        return step % FLUSH_STEPS == 0 and step > 0

    def step_start(self, trainer: Trainer) -> None:
        # Not at the end of a step: its validation belongs into the same row.
        self._write(trainer)

    def evaluated(self, trainer: Trainer) -> None:
        if time.monotonic() - self._written >= FLUSH_SECONDS:
            self._write(trainer)

    def fit_end(self, trainer: Trainer) -> None:
        self._write(trainer)

    def flush(self, trainer: Trainer) -> None:
        self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        """Append what is new to the files of every run."""
        self._written = time.monotonic()
        history = trainer.history
        history.flush()
        start, self._steps = self._steps, len(history.losses)
        first, self._records = self._records, len(history.records)
        fresh = history.records_of([run.members for run in trainer.runs], first)
        for run, writer, records in zip(trainer.runs, self._writers, fresh, strict=True):
            members = list(run.members)
            own = [(each.step, members.index(each.member), each.values) for each in records]
            losses, rates = history.losses[start:, members], _first(history.rates[start:, members])
            writer.write(start, losses, rates, own, trainer.steps_per_epoch)


def read_back(trainer: Trainer, run: Run, steps: int) -> None:
    """Take up the curves of the first `steps` steps; numbers that a damaged file does not hold stay unknown."""
    curves = read_curves(run.directory)
    losses, rates = curves.filled(steps, len(run.members))
    for position, member in enumerate(run.members):
        own = [Record.of(step, member, values) for step, values in curves.scalars(position, len(run.members)).items()]
        trainer.history.load(member, losses[:, position], rates, own)


def _first(rates: np.ndarray) -> np.ndarray:
    """The rate of the first member that is still in training, (steps,)."""
    first: np.ndarray = rates[np.arange(len(rates)), np.isfinite(rates).argmax(1)]
    return first
