"""Axes as the recipe's figures have them: logarithmic where that says more, legends beside, rows of dots with bars."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnlab.report.style import BLUE, GREEN, QUIET, panels, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DECADE = 10.0  # ratio of the ends of an axis up to which ticks between powers of ten are labelled
LINE, LONGEST = 36, 100  # characters of a line of a label beside its dot, and of the whole label


def log_if_positive(axis: Axes, curves: Sequence[np.ndarray]) -> None:
    """Make an axis of losses logarithmic where all of them are positive, from the lowest to what few are above."""
    every = np.concatenate(curves)
    every = every[np.isfinite(every)]
    if len(every) and every.min() >= 0 and every.max() > 0:
        axis.set_yscale("log")
        axis.set_ylim(max(every[every > 0].min() * 0.7, 1e-6), min(every.max() * 1.4, np.median(every) * 1e3))
        low, high = axis.get_ylim()
        plain_numbers(axis.yaxis, high / low)


def plain_numbers(axis: Axis, ratio: float) -> None:
    """Write 0.01 rather than a power of ten; between the powers too, where an axis spans few of them.

    Where it spans more there is a tick at twice and five times each: eight of them take longer than all else there is.
    """
    from matplotlib.ticker import LogLocator

    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("{x:g}" if ratio < DECADE else "")
    if ratio >= DECADE:
        axis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.set_tick_params(which="minor", labelsize=9)


def rate_axis(axis: Axes) -> None:
    """Make the horizontal axis one of learning rates."""
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    plain_numbers(axis.xaxis, high / low)


def beside(axis: Axes, title: str) -> None:
    """Put the legend to the right of an axis, where it hides no curves."""
    axis.legend(fontsize=9, title=title, title_fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))


def dots(
    title: str,
    labels: Sequence[str],
    values: Sequence[float],
    spreads: Sequence[float],
    unit: str,
    zero: bool = False,
    marked: Sequence[bool] = (),
) -> Figure:
    """A row for each value: its label, a dot, and a bar of its spread to both sides.

    Args:
        title: of the figure.
        labels: of the rows, from above; long ones have several lines.
        values, spreads: of the rows.
        unit: what the values are.
        zero: whether to draw a line there.
        marked: which rows are green.
    """
    texts = [textwrap.fill(shortened(label, LONGEST), LINE) for label in labels]
    lines = sum(1 + text.count("\n") for text in texts)
    figure, (axis,) = panels(size=(9.0, 1.4 + 0.14 * len(texts) + 0.22 * lines))
    places = np.arange(len(texts))[::-1]
    for i, place in enumerate(places):
        colour = GREEN if marked and marked[i] else BLUE
        axis.errorbar(values[i], place, xerr=spreads[i], fmt="o", color=colour, capsize=4)
    axis.set_yticks(places, texts, fontsize=10)
    axis.set(xlabel=unit)
    axis.locator_params(axis="x", nbins=6)
    figure.suptitle(title, x=0.01, ha="left", fontsize=15)
    if zero:
        axis.axvline(0, color=QUIET)
    return figure
