"""A live progress bar in a terminal, and plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from nnlab.training import Callback, Trainer
from nnlab.validation import check


class Progress(Callback):
    """Shows epoch, training loss and validation metrics.

    Args:
        seconds: least time between two plain lines where the output is no terminal. [0, inf)
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = check("seconds", seconds, "[0, inf)")

    def fit_start(self, trainer: Trainer) -> None:
        self._bar: Any = None
        self._drawn = self._printed = time.monotonic()
        if sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
            )
            self._task = self._bar.add_task("", total=trainer.total_steps, completed=trainer.step)
            self._bar.start()

    def step_end(self, trainer: Trainer) -> None:
        if self._bar is not None and time.monotonic() - self._drawn > 0.1:
            self._drawn = time.monotonic()
            self._bar.update(self._task, completed=trainer.step)

    def evaluated(self, trainer: Trainer) -> None:
        line = self._line(trainer)
        for run in trainer.runs:
            run.say(self._line(trainer, run.members[0]))
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.step, description=line)
        elif time.monotonic() - self._printed >= self.seconds or trainer.step >= trainer.total_steps:
            self._printed = time.monotonic()
            print(line, flush=True)

    def fit_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.step)
            self._bar.stop()
        for member, reason in enumerate(trainer.reasons):
            if reason:
                who = f"member {member}: " if len(trainer.members) > 1 else ""
                print(who + reason, flush=True)

    @staticmethod
    def _line(trainer: Trainer, member: int | None = None) -> str:
        """One line about a member, or about the first with the number of members."""
        shown = (trainer.active or [0])[0] if member is None else member
        words = [f"epoch {trainer.epoch:.4g}", f"step {trainer.step}"]
        losses = trainer.history.losses[-trainer.steps_per_epoch :, shown]
        if len(losses):
            words.append(
                f"train loss {losses[losses == losses].mean() if (losses == losses).any() else losses[-1]:.4f}"
            )
        for name in ("loss", trainer.primary_metric):
            value = trainer.history.latest(f"{name}/validation", shown)
            if value is not None:
                words.append(f"validation {name} {value:.4f}")
        if member is None and len(trainer.members) > 1:
            words.append(f"({len(trainer.active)} of {len(trainer.members)} members in training)")
        return "  ".join(words)
