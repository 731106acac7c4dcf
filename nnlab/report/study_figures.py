"""Figures of a study: one for every axis, and a table of colours for a pair of axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nnlab.report.style import BLUE, INK, ORANGE, QUIET, SEQUENTIAL, VERMILLION, panels, shortened, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPREAD = 0.16  # half the width over which runs with the same value are spread, in units of the distance of two values
LONGEST = 18  # characters of a value beside its tick
MOST_NUMBERS = 80  # cells of a heat map that are written into


@dataclass(frozen=True)
class AxisFigure:
    """What the figure of an axis shows.

    Attributes:
        name: the key.
        labels: its values, one for each tick; empty where the axis is an interval.
        points: position (of the tick, or the number itself) and metric of every run that completed.
        best: position, metric and standard deviation over seeds (or NaN) of the best configuration at each value.
        star: position and metric of the best of all.
        diverged: position and share of the runs that diverged there.
        metric: what is on the vertical axis, in words.
        log_x, log_y: whether the scales are logarithmic.
        connected: whether the values have an order, so that a line between them means something.
        bar_widths: of the bars for the diverged, where the axis is an interval.
    """

    name: str
    labels: Sequence[str]
    points: Sequence[tuple[float, float]]
    best: Sequence[tuple[float, float, float]]
    star: tuple[float, float]
    diverged: Sequence[tuple[float, float]]
    metric: str
    log_x: bool = False
    log_y: bool = False
    connected: bool = True
    bar_widths: Sequence[float] = field(default_factory=list)


@styled
def draw_axis(content: AxisFigure) -> Figure:
    """The results at every value of an axis: all runs, the best configuration, and below the share that diverged."""
    shows_diverged = any(share > 0 for _, share in content.diverged)
    rows, heights = (2, [5, 1]) if shows_diverged else (1, [1])
    figure, axes = panels(rows, 1, size=(7.2, 4.8 if shows_diverged else 4.2), sharex=True, height_ratios=heights)
    top = axes[0]
    _draw_results(top, content)
    if shows_diverged:
        below = axes[1]
        positions, shares = zip(*content.diverged, strict=True)
        widths: Any = content.bar_widths or 0.5
        below.bar(positions, [100 * share for share in shares], width=widths, color=VERMILLION)
        below.set(ylim=(0, 100), ylabel="diverged")
        below.set_yticks((0, 100), ("0", "100%"))
        below.yaxis.label.set_fontsize(11)
        below.grid(axis="x", visible=False)
    last = axes[-1]
    if content.labels:
        last.set_xlim(-0.6, len(content.labels) - 0.4)
        turned = sum(min(len(label), LONGEST) for label in content.labels) > 48
        last.set_xticks(
            range(len(content.labels)),
            _short(content.labels),
            rotation=30 if turned else 0,
            ha="right" if turned else "center",
        )
    elif content.log_x:
        last.set_xscale("log")
    last.set_xlabel(content.name)
    return _laid_out(figure)


def _draw_results(axis: Axes, content: AxisFigure) -> None:
    seen: dict[float, int] = {}
    crowd: dict[float, int] = {}
    for x, _ in content.points:
        crowd[x] = crowd.get(x, 0) + 1
    spread = []
    for x, _ in content.points:
        seen[x] = seen.get(x, 0) + 1
        share = ((seen[x] * 0.618034) % 1.0 - 0.5) if content.labels and crowd[x] > 1 else 0.0
        spread.append(x + 2 * SPREAD * share)
    axis.scatter(
        spread, [y for _, y in content.points], s=22, color=QUIET, alpha=0.45, linewidths=0, label="runs", zorder=2,
        rasterized=len(content.points) > 3000,
    )  # fmt: skip
    xs, ys, errors = ([each[i] for each in content.best] for i in range(3))
    line = "-" if content.connected else "none"
    axis.errorbar(
        xs, ys, [0.0 if error != error else error for error in errors], color=BLUE, marker="o", markersize=6,
        linestyle=line, linewidth=2, elinewidth=1.4, capsize=3, zorder=3,
        label="best configuration" + _spread_words(errors),
    )  # fmt: skip
    x, y = content.star
    axis.plot([x], [y], marker="o", markersize=13, color="none", markeredgecolor=ORANGE, markeredgewidth=2.6, zorder=4,
              linestyle="none", label="best of all")  # fmt: skip
    if content.log_y:
        axis.set_yscale("log")
    axis.set_ylabel(content.metric)
    if content.labels:
        axis.grid(axis="x", visible=False)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.2, handletextpad=0.5)


def _spread_words(errors: Sequence[float]) -> str:
    return " ± std over seeds" if any(error == error for error in errors) else ""


@styled
def draw_pair(
    names: tuple[str, str],
    labels: tuple[Sequence[str], Sequence[str]],
    cells: Sequence[Sequence[float | None]],
    metric: str,
    higher_is_better: bool,
    log: bool = False,
) -> Figure:
    """The best result for each pair of values (rows: the first axis); the better, the lighter; empty: no result."""
    import matplotlib
    import numpy as np
    from matplotlib.colors import LogNorm, Normalize

    values = np.array([[np.nan if cell is None else cell for cell in row] for row in cells], dtype=float)
    rows, columns = values.shape
    figure, [axis] = panels(size=(7.2, min(max(3.4, 1.6 + 0.5 * rows), 6.4)))
    low, high = np.nanmin(values), np.nanmax(values)
    colours = matplotlib.colormaps[SEQUENTIAL if higher_is_better else f"{SEQUENTIAL}_r"].with_extremes(bad="#eeeeee")
    scale = LogNorm(low, high) if log and low > 0 else Normalize(low, high)
    image = axis.imshow(values, cmap=colours, norm=scale, aspect="auto")
    figure.colorbar(image, ax=axis, pad=0.02).set_label(f"best {metric}", fontsize=12)
    for i in range(rows):
        for j in range(columns) if values.size <= MOST_NUMBERS else ():
            if np.isfinite(values[i, j]):
                dark = sum(colours(scale(values[i, j]))[:3]) < 1.5
                axis.text(j, i, f"{values[i, j]:.3g}", ha="center", va="center", fontsize=11,
                          color="white" if dark else INK)  # fmt: skip
    turned = sum(min(len(label), LONGEST) for label in labels[1]) > 40
    axis.set_xticks(range(columns), _short(labels[1]), rotation=30 if turned else 0, ha="right" if turned else "center")
    axis.set_yticks(range(rows), _short(labels[0]))
    axis.set(xlabel=names[1], ylabel=names[0])
    axis.grid(visible=False)
    return _laid_out(figure)


def _laid_out(figure: Figure) -> Figure:
    """Lay the figure out now and once; matplotlib would do so twice for each file, which takes most of the time."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)  # "none" would leave a placeholder, for which the file is drawn once for nothing
    return figure


def _short(labels: Sequence[str]) -> list[str]:
    return [shortened(label, LONGEST) for label in labels]
