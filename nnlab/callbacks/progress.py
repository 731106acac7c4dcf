"""A live progress bar in a terminal and in a notebook, and plain lines elsewhere."""

from __future__ import annotations

import logging
import math
import time
import weakref
from collections.abc import Sequence

import numpy as np

from nnlab import console, notebook
from nnlab.training import Callback, Trainer
from nnlab.validation import check

log = logging.getLogger(__name__)


class Progress(Callback):
    """Shows epoch, training loss and validation metrics.

    Args:
        seconds: least time between two plain lines where the output is no terminal. [0, inf)
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = check("seconds", seconds, "[0, inf)")

    def fit_start(self, trainer: Trainer) -> None:
        self._bar = _make_bar(trainer.step, trainer.total_steps)
        self._drawn = self._printed = time.monotonic()

    def wants(self, step: int) -> bool:
        return self._bar is not None and time.monotonic() - self._drawn > 0.1

    def step_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._drawn = time.monotonic()
            self._bar.show(trainer.step)

    def evaluated(self, trainer: Trainer) -> None:
        for run in trainer.runs:
            run.say(self._line(trainer, run.members))
        if self._bar is not None:
            self._bar.show(trainer.step, self._line(trainer, with_step=False))  # the bar has it
        elif time.monotonic() - self._printed >= self.seconds or trainer.step >= trainer.total_steps:
            self._printed = time.monotonic()
            log.info(self._line(trainer))

    def fit_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.show(trainer.step)
            self._bar.stop()
        for member, reason in enumerate(outcome.reason for outcome in trainer.outcomes):
            if reason:
                who = f"member {member}: " if len(trainer.members) > 1 else ""
                log.info(who + reason)

    @staticmethod
    def _line(trainer: Trainer, members: Sequence[int] | None = None, *, with_step: bool = True) -> str:
        """One line about some members, or about all, that are in training: from the lowest value to the highest."""
        active, every = trainer.active, len(trainer.members if members is None else members)
        if members is not None:
            there = set(active) if every > 1 else members
            active = [member for member in members if member in there]
        shown = active or list(members or [0])[:1]
        words = [f"epoch {trainer.epoch:.4g}", *([f"step {trainer.step}"] if with_step else [])]
        if every > 1:
            words.append(f"{len(active)} of {every} members")
        losses = trainer.history.losses[-trainer.steps_per_epoch :, shown]
        if len(losses):
            words.append(f"train loss {_span(_mean(losses).tolist())}")
        for name in ("loss", trainer.primary_metric):
            found = [trainer.history.latest(f"{name}/validation", each) for each in shown]
            values = [value for value in found if value is not None]
            if values:
                words.append(f"validation {name} {_span(values)}")
        return "  ".join(words)


def _mean(losses: np.ndarray) -> np.ndarray:
    """Mean over steps (T, M) of what is a number, (M,); the last loss where none is finite."""
    means: np.ndarray = losses.sum(0) / len(losses)
    if math.isfinite(means.sum()):
        return means
    there = ~np.isnan(losses)
    means = np.where(there, losses, 0.0).sum(0) / np.maximum(there.sum(0), 1)
    return np.where(np.isfinite(losses).any(0), means, losses[-1])


def _span(values: Sequence[float]) -> str:
    """One value, or the lowest and the highest.

    >>> _span([0.25]), _span([0.25, 0.5, 0.75])
    ('0.2500', '0.25-0.75')
    """
    return f"{values[0]:.4f}" if len(values) == 1 else f"{min(values):.3g}-{max(values):.3g}"


def _make_bar(step: int, total: int) -> _Bar | notebook.Bar | None:
    """The bar that suits where news are shown; None where that is no place for pictures."""
    if console.is_live():
        return _Bar(step, total)
    return notebook.Bar(step, total) if console.are_news_shown() and notebook.is_open() else None


class _Bar:
    """Two lines in a terminal: how far training is and how long it takes still, and below it the latest metrics."""

    def __init__(self, step: int, total: int) -> None:
        from rich.console import Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.text import Text

        columns = BarColumn(), MofNCompleteColumn(), TextColumn("steps,"), TimeRemainingColumn(), TextColumn("left")
        self._progress = Progress(TextColumn("training"), *columns)
        self._task = self._progress.add_task("", total=total, completed=step)
        self._line = Text()
        live = Live(Group(self._progress, self._line), refresh_per_second=10)
        live.start()
        self.stop = weakref.finalize(self, live.stop)  # after an error too: a bar that lives hides the cursor

    def show(self, step: int, line: str | None = None) -> None:
        self._progress.update(self._task, completed=step)
        if line is not None:
            self._line.plain = line
