"""The page of a data set: one HTML file, a row for each column with its histogram, the target, and what to mind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnlab.data.summary import ColumnSummary, Histogram, Summary
from nnlab.report.pages import filled

WIDTH, HEIGHT = 180, 34  # of a histogram in pixels


@dataclass(frozen=True)
class Warning:
    """What to mind: a title, what was seen, and the overrides that help."""

    title: str
    text: str
    fault: bool
    override: str = ""


def render(summary: Summary, notes: Sequence[str], warnings: Sequence[Warning], command: str) -> str:
    """The page as HTML text; every name in it is escaped.

    Args:
        summary: the data set.
        notes: what was guessed or left out.
        warnings: what to mind.
        command: what to run next.
    """
    values = {"summary": summary, "notes": notes, "warnings": warnings, "command": command}
    return filled("data_page.html.j2", {"bars": bars, "range": _range}, **values, width=WIDTH, height=HEIGHT)


def bars(histogram: Histogram) -> list[dict[str, float | str]]:
    """The bars of a histogram: place and size in pixels, and what they stand for."""
    if not histogram.counts:
        return []
    most, step = max(*histogram.counts, 1), WIDTH / len(histogram.counts)
    heights = [max(1.0 if count else 0.0, count / most * HEIGHT) for count in histogram.counts]
    return [
        {
            "x": i * step,
            "y": HEIGHT - height,
            "width": max(step - 1, 0.5),
            "height": height,
            "title": f"{label}: {count}",
        }
        for i, (label, count, height) in enumerate(zip(histogram.labels, histogram.counts, heights, strict=True))
    ]


def _range(column: ColumnSummary) -> str:
    """The range of numbers and moments; words have none."""
    return f"{column.low} ... {column.high}" if column.low else ""
