"""Who watches the recipe: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlab.recipe.report import StepReport
from nnlab.training import Callback, Trainer

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 32  # of the curve
PAUSE = 0.2  # seconds between two pictures


def make_view(titles: Mapping[int, str]) -> PlainView | LiveView:
    """The view that suits standard output."""
    return LiveView(titles) if sys.stdout.isatty() else PlainView()


class PlainView(Callback):
    """One line when a step begins, and its verdict when it ends."""

    def start(self, number: int, title: str, remaining: float | None) -> None:
        """A step begins."""
        left = f"   (about {duration(remaining)} left)" if remaining else ""
        print(f"{number} {title}{left}", flush=True)

    def done(self, report: StepReport) -> None:
        """A step has ended."""
        print("\n".join(f"  {line}" for line in verdict(report)), flush=True)

    def close(self) -> None:
        """Nothing to tidy up."""


def verdict(report: StepReport) -> list[str]:
    """A step's verdict in lines: the conclusion, then its findings."""
    word = "passed" if report.passed else "NOT PASSED"
    lines = [f"{word} in {report.seconds:.1f} s: {report.conclusion}"]
    for finding in report.findings:
        lines.append(f"{'!' if finding.fault else '-'} {finding.name}: {finding.observed}")
        if finding.fault:
            lines.append(f"  {finding.reason}")
        if finding.override:
            lines.append(f"  try: {finding.override}")
    return lines


def duration(seconds: float) -> str:
    """A time as a person would say it.

    >>> duration(7.4), duration(200)
    ('7 s', '3 min')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def sparkline(values: np.ndarray, width: int = WIDTH) -> str:
    """A curve in one line of text, from its lowest to its highest value."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return ""
    means = np.array([block.mean() for block in np.array_split(finite, min(width, len(finite)))])
    low, high = float(means.min()), float(means.max())
    level = (means - low) / max(high - low, 1e-12) * (len(BARS) - 1)
    return "".join(BARS[round(value)] for value in level)


class LiveView(Callback):
    """A table of the steps with the curve of the best network in training; it observes the trainers itself."""

    def __init__(self, titles: Mapping[int, str]) -> None:
        from rich.live import Live

        self.titles = titles
        self.reports: dict[int, StepReport] = {}
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

    def done(self, report: StepReport) -> None:
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
                style = "green" if report.passed else "bold red"
                mark, text = ("ok" if report.passed else "!!"), "\n".join(verdict(report))
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
