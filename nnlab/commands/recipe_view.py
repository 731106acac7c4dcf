"""A live table of the recipe in a terminal; elsewhere its lines go to the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlab import console
from nnlab.recipe.report import Report
from nnlab.recipe.watcher import Watcher, duration, verdict
from nnlab.training import Trainer

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 32  # of the curve
PAUSE = 0.2  # seconds between two pictures
MARKS = {"passed": ("ok", "green"), "not passed": ("!!", "bold red"), "not judged": ("??", "yellow")}


def make_view(titles: Mapping[int, str]) -> Watcher:
    """The view that suits standard output."""
    return LiveView(titles) if console.is_live() else Watcher()


def sparkline(values: np.ndarray, width: int = WIDTH) -> str:
    """A curve in one line of text, from its lowest to its highest value."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return ""
    means = np.array([block.mean() for block in np.array_split(finite, min(width, len(finite)))])
    low, high = float(means.min()), float(means.max())
    level = (means - low) / max(high - low, 1e-12) * (len(BARS) - 1)
    return "".join(BARS[round(value)] for value in level)


class LiveView(Watcher):
    """A table of the steps with the curve of the best network in training; it observes the trainers itself."""

    def __init__(self, titles: Mapping[int, str]) -> None:
        from rich.live import Live

        self.titles = titles
        self.reports: dict[int, Report] = {}
        self.present = 0
        self.remaining: float | None = None
        self.line = ""
        self._drawn = 0.0
        self._live = Live(auto_refresh=False)
        self._live.start()

    def start(self, number: int, title: str, remaining: float | None) -> None:
        """A step begins."""
        self.present, self.remaining, self.line = number, remaining, ""
        self._began = time.monotonic()
        self.draw()

    def done(self, report: Report) -> None:
        """A step has ended."""
        self.reports[report.number], self.line = report, ""
        self.draw()

    def wants(self, step: int) -> bool:
        return time.monotonic() - self._drawn >= PAUSE

    def step_end(self, trainer: Trainer) -> None:
        trainer.history.flush()
        last = trainer.history.losses[-20:, trainer.active].mean(0)
        best = trainer.active[int(np.nanargmin(last))] if np.isfinite(last).any() else trainer.active[0]
        curve = sparkline(trainer.history.losses[:, best])
        self.line = f"{len(trainer.active)} networks, step {trainer.step} of {trainer.total_steps}  {curve}"
        self.draw()

    def draw(self) -> None:
        """Draw the present state."""
        self._drawn = time.monotonic()
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Any:
        from rich.table import Table

        left = ""
        if self.remaining is not None:
            left = f"about {duration(max(self.remaining - (time.monotonic() - self._began), 0))} left"
        table = Table("", "step", "verdict", title="nnlab recipe", caption=left, title_justify="left", expand=True)
        for number, title in self.titles.items():
            report = self.reports.get(number)
            if report is not None:
                mark, style = MARKS[report.verdict]
                text = "\n".join(verdict(report))
            elif number == self.present:
                mark, text, style = "..", self.line, "bold"
            else:
                mark, text, style = "", "", "dim"
            table.add_row(mark, f"{number} {title}", text, style=style)
        return table

    def close(self) -> None:
        """Leave the last picture on the screen."""
        self.line, self.remaining = "", None
        self.draw()
        self._live.stop()
