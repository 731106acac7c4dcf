"""Checkpoints of every run: the last, the one before it, and the best weights."""

from __future__ import annotations

import time

from nnlab.training import Callback, Trainer
from nnlab.training.checkpoint import rotate_and_save, run_state
from nnlab.validation import check


class Checkpoint(Callback):
    """Saves after validations, and when training ends or is interrupted.

    Args:
        seconds: least time between two saves; a save costs about 10 ms, so that short epochs need not pay for one
            each. [0, inf)
        keep: whether a finished run keeps the state that extending it would need (`last.ckpt`).
    """

    def __init__(self, seconds: float = 5.0, keep: bool = True) -> None:
        self.seconds = check("seconds", seconds, "[0, inf)")
        self.keep = keep
        self._saved = time.monotonic()
        self._saved_step = -1

    def evaluated(self, trainer: Trainer) -> None:
        if time.monotonic() - self._saved >= self.seconds:
            self.save(trainer)

    def fit_end(self, trainer: Trainer) -> None:
        if self.keep or trainer.stop_requested:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Save every run now."""
        if trainer.step == self._saved_step and not trainer.finished:
            return
        for run in trainer.runs:
            rotate_and_save(run.directory / "checkpoints", run_state(trainer, run))
        self._saved, self._saved_step = time.monotonic(), trainer.step
