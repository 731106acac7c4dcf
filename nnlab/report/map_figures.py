"""Figures of one moment: distributions, calibration, confusion, loss surfaces, images.

`nnlab.report.figures` is where to import them from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlab.report.style import (
    BLUE,
    DIVERGING,
    INK,
    ORANGE,
    QUIET,
    SEQUENTIAL,
    SKY,
    line_style,
    panels,
    shades,
    shortened,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 10  # examples in a bin, below which its accuracy says little
LONGEST = 20  # characters of the name of a class
WIDE = 50.0  # a loss that spans more than this factor is shown on a logarithmic scale


@styled
def activation_histograms(
    layers: Mapping[str, np.ndarray],
    *,
    before: Mapping[str, np.ndarray] | None = None,
    limits: tuple[float, float] | None = None,
    title: str = "Activations layer by layer",
    bins: int = 60,
) -> Figure:
    """The outputs of every layer as histograms side by side, as on the lecture's slide on initialization.

    Args:
        layers: outputs by layer, of any shape, in the order of the network.
        before: the same before training, for a row above.
        limits: the range of values shown; by default that of all layers.
        title: above the figure.
        bins: number of bins.
    """
    stages = {"before training": before, "at the best weights": layers} if before is not None else {"": layers}
    flat = {(stage, name): np.asarray(y, float).ravel() for stage, shown in stages.items() for name, y in shown.items()}
    columns = min(len(layers), 6)
    blocks = [list(layers)[start : start + columns] for start in range(0, len(layers), columns)]
    rows = len(blocks) * len(stages)
    size = max(8.0, 2.3 * columns), 0.9 + (3.2 if rows == 1 else 2.4) * rows
    figure, axes = panels(rows, columns, size=size, sharex=True)
    low, high = limits or (min(v.min() for v in flat.values()), max(v.max() for v in flat.values()))
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    colours = dict(zip(layers, shades(len(layers)), strict=True))
    for axis in axes:
        axis.axis("off")
    for row, (block, stage) in enumerate((block, stage) for block in blocks for stage in stages):
        for axis, name in zip(axes[row * columns :], block, strict=False):
            _histogram(axis, flat[stage, name], bins, (low, high), colours[name])
            if row % len(stages) == 0:
                axis.set_title(name, fontsize=13, loc="center")
        axes[row * columns].set_ylabel(stage, fontsize=12)
    figure.supxlabel("output of a unit", fontsize=14)
    figure.supylabel("share of outputs (%)", fontsize=14)
    figure.suptitle(title, x=0.01, ha="left", fontsize=15)
    return figure


def _histogram(axis: Axes, values: np.ndarray, bins: int, limits: tuple[float, float], colour: Any) -> None:
    axis.axis("on")
    axis.hist(values, bins=bins, range=limits, color=colour, weights=np.full(len(values), 100 / len(values)))
    words = f"mean {values.mean():#.2g}\nstd {values.std():#.2g}"
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none"}
    axis.annotate(words, (0.97, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=11, bbox=box)
    axis.margins(y=0.45)  # room for the text
    axis.grid(axis="x", visible=False)
    axis.tick_params(labelsize=10)


@styled
def calibration(
    confidence: Sequence[float] | np.ndarray,
    accuracy: Sequence[float] | np.ndarray,
    count: Sequence[int] | np.ndarray,
    *,
    error: float | None = None,
    before: tuple[np.ndarray, np.ndarray] | None = None,
    error_before: float | None = None,
    title: str = "Calibration",
) -> Figure:
    """Reliability diagram: confidence against accuracy in bins of equal width, and below it how full the bins are.

    Arguments are as `nnlab.statistics.calibration.Reliability` holds them, (bins,); `error` is the expected
    calibration error. `before`, confidence and accuracy, and `error_before` are those without a temperature.
    """
    figure, (axis, below) = panels(2, 1, size=(7.2, 6.2), sharex=True, height_ratios=[3, 1])
    counts = np.asarray(count, dtype=float)
    filled = counts > 0
    width = 1 / len(counts)
    centres = (np.arange(len(counts)) + 0.5) * width
    right, sure = np.asarray(accuracy, dtype=float), np.asarray(confidence, dtype=float)
    many, few = counts >= FEW, filled & (counts < FEW)
    for chosen, colour, label in ((many, BLUE, "accuracy"), (few, SKY, f"accuracy of fewer than {FEW} examples")):
        if chosen.any():
            axis.bar(centres[chosen], right[chosen], width * 0.94, color=colour, label=label)
    low, high = np.minimum(right, sure)[filled], np.maximum(right, sure)[filled]
    gap: dict[str, Any] = {"facecolor": "none", "edgecolor": ORANGE, "hatch": "///", "linewidth": 1.2}
    axis.bar(centres[filled], high - low, width * 0.94, bottom=low, label="gap to the confidence", **gap)
    axis.plot([0, 1], [0, 1], color=INK, linestyle=":", label="perfectly calibrated")
    if before is not None:
        axis.plot(*before, color=INK, marker="o", label="before its temperature")
    axis.set(ylabel="accuracy (fraction)", ylim=(0, 1), xlim=(0, 1))
    earlier = f", {100 * error_before:.1f} % before its temperature" if error_before is not None else ""
    axis.set_title(title + (f"\nexpected calibration error {100 * error:.1f} %{earlier}" if error is not None else ""))
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    bars = below.bar(centres, 100 * counts / max(counts.sum(), 1), width * 0.94, color=QUIET)
    below.bar_label(bars, [f"{int(number)}" if number else "" for number in counts], fontsize=11, padding=1)
    below.set(xlabel="confidence (probability of the predicted class)", ylabel="examples (%)")
    below.margins(y=0.3)  # room for the numbers
    return figure


@styled
def loss_surface(
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    losses: np.ndarray,
    *,
    paths: Mapping[str, np.ndarray] | None = None,
    xlabel: str = "first direction",
    ylabel: str = "second direction",
    zlabel: str = "training loss",
    title: str = "Loss surface",
) -> Figure:
    """Contours of a loss over two parameters or directions, with the trajectories of training.

    Args:
        x, y: coordinates (X,) and (Y,).
        losses: (Y, X), shown on a logarithmic scale where they span more than a factor of 50.
        paths: positions (T, 2) of every run by label, from the start (circle) to the end (star).
        xlabel, ylabel, zlabel, title: as shown.
    """
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.patheffects import Normal as Plain
    from matplotlib.patheffects import Stroke
    from matplotlib.ticker import MaxNLocator

    figure, (axis,) = panels(size=(8.0, 5.6))
    values = np.asarray(losses, dtype=float)
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(np.quantile(finite, 0.98))
    logarithmic = low > 0 and high / low > WIDE
    norm = LogNorm(low, high) if logarithmic else Normalize(low, high)
    levels = np.geomspace(low, high, 22) if logarithmic else np.linspace(low, high, 22)
    shown = np.clip(np.nan_to_num(values, nan=high, posinf=high), low, high)
    if high > low:
        filled = axis.contourf(x, y, shown, levels, norm=norm, cmap=SEQUENTIAL)
        axis.contour(x, y, shown, levels, norm=norm, colors="white", linewidths=0.4, alpha=0.5)
        ticks = None if logarithmic else MaxNLocator(7)
        digits = "%.3g" if high - low > 0.02 * abs(high) else "%.6g"
        bar = figure.colorbar(filled, ax=axis, label=zlabel, format=digits, ticks=ticks)
        bar.ax.tick_params(labelsize=11)
    outline = [Stroke(linewidth=4.2, foreground="white"), Plain()]
    for position, (label, path) in enumerate((paths or {}).items()):
        style = {**line_style(position + 1), "path_effects": outline}
        axis.plot(path[:, 0], path[:, 1], label=label, **style)
        axis.plot(*path[0], marker="o", ms=9, mfc="white", mec=style["color"], mew=2)
        axis.plot(*path[-1], marker="*", ms=16, mfc=style["color"], mec="white")
    axis.set(xlabel=xlabel, ylabel=ylabel, xlim=(min(x), max(x)), ylim=(min(y), max(y)))
    axis.xaxis.set_major_locator(MaxNLocator(6))
    axis.set_title(title)
    axis.grid(visible=False)
    if paths and any(paths):
        figure.legend(loc="outside lower left", ncols=1 if max(map(len, paths)) > 32 else 2)
    return figure


@styled
def confusion_matrix(counts: np.ndarray, names: Sequence[str], *, title: str = "Confusion matrix") -> Figure:
    """Counts (C, C): true classes in rows, predicted classes in columns; errors stand out by their own colour."""
    counts = np.asarray(counts)
    classes = len(names)
    names = [shortened(name, LONGEST) for name in names]
    longest = max(map(len, names))
    side = float(np.clip(0.52 * classes + 2.2, 4.6, 9.0)) + 0.08 * max(longest - 8, 0)
    figure, (axis,) = panels(size=(side, side - 0.4))
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    # Right answers towards purple, errors towards orange: the two ends of a map with white between them.
    signed = np.where(np.eye(classes, dtype=bool), share, -np.sqrt(share))
    axis.imshow(signed, cmap=DIVERGING, vmin=-1, vmax=1)
    size = 12 if classes <= 12 else 8
    for row in range(classes if classes <= 25 else 0):
        for column in range(classes):
            if counts[row, column]:
                colour = "white" if signed[row, column] > 0.6 else INK
                axis.text(
                    column, row, str(int(counts[row, column])), ha="center", va="center", fontsize=size, color=colour
                )
    long = longest > 3
    axis.set_xticks(range(classes), names, rotation=45 if long else 0, ha="right" if long else "center")
    axis.set_yticks(range(classes), names)
    axis.set(xlabel="predicted class", ylabel="true class")
    figure.suptitle(title, x=0.01, ha="left", fontsize=15)  # above the names, too: the matrix alone may be narrower
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return figure


@styled
def image_grid(images: Sequence[np.ndarray], captions: Sequence[str] = (), *, title: str = "") -> Figure:
    """Images (H, W) or (H, W, 3), values in [0, 1], with a caption above each: mispredictions, filters, a batch."""
    columns = min(len(images), 8)
    rows = -(-len(images) // columns)
    figure, axes = panels(rows, columns, size=(1.35 * columns + 0.3, 1.75 * rows + 0.6))
    for axis in axes:
        axis.axis("off")
    for position, (axis, image) in enumerate(zip(axes, images, strict=False)):
        axis.imshow(image, cmap="gray", interpolation="nearest")
        if position < len(captions):
            axis.set_title(captions[position], fontsize=10, loc="center", pad=3)
    figure.suptitle(title, x=0.01, ha="left", fontsize=15)
    return figure
