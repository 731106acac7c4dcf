"""Who watches a recipe: told when a step begins and ends, and, as a callback, of every trainer."""

from __future__ import annotations

import logging

from nnlab.recipe.report import Report
from nnlab.training import Callback

log = logging.getLogger(__name__)


class Watcher(Callback):
    """Writes one line to the log when a step begins, and its verdict when it ends."""

    def start(self, number: int, title: str, remaining: float | None) -> None:
        """A step begins; about `remaining` seconds are left, if that is known."""
        left = f"   (about {duration(remaining)} left)" if remaining else ""
        self.say(f"{number} {title}{left}")

    def done(self, report: Report) -> None:
        """A step has ended."""
        self.say("\n".join(f"  {line}" for line in verdict(report)))

    def say(self, text: str) -> None:
        """Show lines of text."""
        log.info(text)

    def close(self) -> None:
        """The recipe has ended."""


def verdict(report: Report) -> list[str]:
    """A step's verdict in lines: the conclusion, then its findings."""
    word = report.verdict
    lines = [f"{word if report.passed else word.upper()} in {report.seconds:.1f} s: {report.conclusion}"]
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
