"""Checkpoints of every run: the last, the one before it, and the best weights."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from nnlab.storage.checkpoint import LAST, PREVIOUS, rotate_and_save, save_best
from nnlab.storage.files import side_by_side
from nnlab.training import Callback, Run, Trainer
from nnlab.training.checkpoint import run_states
from nnlab.validation import check

SHARE = 0.03  # of the time may be spent on saving


class Checkpoint(Callback):
    """Saves between two steps every few seconds, and when training ends or is interrupted.

    Args:
        seconds: least time between two saves; where saving is slow (large networks, network drives), it takes at most
            a thirtieth of the time. 0 saves after every step. [0, inf)
        keep: whether a finished run keeps the state that extending it would need (`last.ckpt`).
    """

    essential: ClassVar[bool] = True

    def __init__(self, seconds: float = 5.0, keep: bool = True) -> None:
        self.seconds = check("seconds", seconds, "[0, inf)")
        self.keep = keep

    def fit_start(self, trainer: Trainer) -> None:
        self._due = time.monotonic() + self.seconds
        self._saved_step = trainer.step
        self._best: dict[int, list[int]] = {}

    def wants(self, step: int) -> bool:
        return time.monotonic() >= self._due and step != self._saved_step

    def step_start(self, trainer: Trainer) -> None:
        # All that belongs to the step before, validation and the end of an epoch included, has happened here.
        self._save(trainer)

    def trained(self, trainer: Trainer) -> None:
        self._save(trainer)

    def fit_end(self, trainer: Trainer) -> None:
        if not trainer.interrupted and not self.keep:
            for run in trainer.runs:
                run.disposable += [run.checkpoints / name for name in (LAST, PREVIOUS)]

    def _save(self, trainer: Trainer) -> None:
        """Save every run now."""
        started = time.monotonic()
        side_by_side(lambda each: self._save_run(trainer, *each), run_states(trainer))
        now = time.monotonic()
        pause = max(self.seconds, (now - started) / SHARE) if self.seconds else 0.0
        self._due, self._saved_step = now + pause, trainer.step

    def _save_run(self, trainer: Trainer, run: Run, state: dict[str, Any]) -> None:
        rotate_and_save(run.checkpoints, state)
        best = [trainer.best.steps[member] for member in run.members]
        if trainer.finished or self._best.get(id(run)) != best:
            save_best(run.checkpoints, state, sync=trainer.finished)
            self._best[id(run)] = best
