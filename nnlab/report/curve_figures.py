"""Figures of things that change over training: losses, metrics, gradients, learning rates.

`nnlab.report.figures` is where to import them from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nnlab import metric_names
from nnlab.report.style import (
    BLUE,
    GREEN,
    LARGEST_SVG_POINTS,
    QUIET,
    SKY,
    SLIDE,
    VERMILLION,
    epochs_above,
    line_style,
    panels,
    shades,
    shortened,
    styled,
)
from nnlab.statistics.curves import moving_average

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = Sequence[float] | np.ndarray
Curve = tuple[Values, Values]  # x and y, of equal length
WIDE = 50.0  # a loss that spans more than this factor is shown on a logarithmic scale


def smooth(values: Values, window: int | None = None) -> np.ndarray:
    """Mean of the last `window` values, by default a fiftieth of them; values that are not finite do not count."""
    array = torch.as_tensor(np.asarray(values, dtype=float))
    finite = torch.isfinite(array)
    size = window or max(1, len(array) // 50)
    total = moving_average(torch.where(finite, array, 0.0), size)
    share = moving_average(finite.double(), size)
    return torch.where(share > 0, total / share.clamp(min=1e-12), torch.nan).numpy()


@styled
def loss_curve(
    steps: Values,
    losses: Values,
    *,
    window: int | None = None,
    expected: float | None = None,
    steps_per_epoch: float | None = None,
    ylabel: str = "loss",
    title: str = "Training loss",
) -> Figure:
    """The loss of every minibatch as a scatter, with its moving average over the last `window` steps.

    `expected` marks the loss that theory gives before training.
    """
    figure, (axis,) = panels()
    values = np.asarray(losses, dtype=float)
    size = window or max(1, len(values) // 50)
    _scatter(axis, steps, values, BLUE, "one minibatch")
    axis.plot(steps, smooth(values, size), color=VERMILLION, label=f"mean of the last {size} steps")
    if expected is not None:
        axis.axhline(expected, color=QUIET, linestyle=":", label=f"expected at the start: {expected:.3g}")
    _loss_axis(axis, values, ylabel)
    axis.set(xlabel="step (updates of the weights)")
    axis.set_title(title)
    epochs_above(axis, steps_per_epoch)
    dots: Any = axis.legend(loc="best").legend_handles[0]
    dots.set(markersize=9, alpha=0.8)
    return figure


@styled
def train_validation(
    train: Curve,
    validation: Curve,
    *,
    metric: Curve | None = None,
    metric_name: str = "accuracy",
    best_step: int | None = None,
    window: int | None = None,
    steps_per_epoch: float | None = None,
    ylabel: str = "loss",
    title: str = "Training against validation",
) -> Figure:
    """Moving average of the training loss against the validation loss; below them the validation metric."""
    figure, axes = panels(1, 2 if metric is not None and len(metric[0]) else 1, size=(10.5, 4.5))
    losses = np.asarray(train[1], dtype=float)
    _scatter(axes[0], train[0], losses, SKY, None)
    axes[0].plot(train[0], smooth(losses, window), color=BLUE, label="training (moving average)")
    if len(validation[0]):
        axes[0].plot(*validation, color=VERMILLION, marker="o", ms=5, label="validation")
    _loss_axis(axes[0], losses, ylabel)
    axes[0].set_title(title)
    if len(axes) > 1 and metric is not None:
        axes[1].plot(*metric, color=VERMILLION, marker="o", ms=5, label="validation")
        axes[1].set(ylabel=metric_names.title(metric_name) + _metric_unit(metric_name))
        axes[1].set_title(f"Validation {metric_names.title(metric_name)}")
    for axis in axes:
        if best_step:
            axis.axvline(best_step, color=GREEN, linestyle=":", label="best weights")
        axis.set_xlabel("step (updates of the weights)")
        epochs_above(axis, steps_per_epoch)
    axes[0].legend(loc="best")
    return figure


@styled
def overlay(
    groups: Mapping[str, Sequence[Curve]],
    *,
    xlabel: str = "step (updates of the weights)",
    ylabel: str = "validation loss",
    title: str = "",
    logarithmic: bool | None = None,
    from_zero: bool = True,
) -> Figure:
    """Several settings in one chart: for each the mean over its repetitions (seeds), and a band of one deviation.

    The scale is logarithmic where the values span decades (`logarithmic` decides otherwise), and mean and deviation are
    then those of the logarithm, so that no band ends below zero. A linear one begins at zero, unless `from_zero` is
    false.
    """
    outside = len(groups) > 6
    figure, (axis,) = panels(size=(10.5, max(4.5, 0.9 + 0.25 * len(groups))) if outside else SLIDE)
    everything = np.array([float(y) for curves in groups.values() for _, ys in curves for y in ys])
    if logarithmic is None:
        logarithmic = from_zero and _spans_decades(everything)
    repeated = any(len(curves) > 1 for curves in groups.values())
    for position, (label, curves) in enumerate(groups.items()):
        x, mean, low, high, count = _band(curves, logarithmic)
        style = line_style(position)
        early = sum(len(xs) < len(x) for xs, _ in curves)
        ended = f", {early} ended early" if early else ""
        name = f"{shortened(label) or 'runs'} ({count} seeds{ended})" if count > 1 else shortened(label)
        axis.plot(x, mean, label=name, **style)
        if count > 1:
            axis.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)
    if from_zero or logarithmic:
        _loss_axis(axis, everything, ylabel, logarithmic)
    axis.set_ylabel(ylabel)
    axis.set_xlabel(xlabel)
    axis.set_title(title)
    if any(groups) or repeated:
        axis.legend(loc="upper left" if outside else "best", bbox_to_anchor=(1.01, 1) if outside else None)
    if repeated:
        axis.annotate(
            "band: ± one standard deviation" + (" of the logarithm" if logarithmic else ""),
            (1, 1),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            fontsize=11,
            color=QUIET,
        )
    return figure


def _band(curves: Sequence[Curve], logarithmic: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """x, mean, mean - deviation, mean + deviation, number of curves; of the logarithm, if that is wanted."""
    if not logarithmic:
        x, mean, std, count = averaged(curves)
        return x, mean, mean - std, mean + std, count
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not positive is not on the scale
        x, mean, std, count = averaged([(xs, np.log(np.asarray(ys, dtype=float))) for xs, ys in curves])
    return x, np.exp(mean), np.exp(mean - std), np.exp(mean + std), count


def averaged(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Longest x, mean, standard deviation (n - 1), number of curves; where one has ended, the mean of the others."""
    longest = max(curves, key=lambda curve: len(curve[0]))
    values = np.full((len(curves), len(longest[0])), np.nan)
    for row, (_, ys) in zip(values, curves, strict=True):
        row[: len(ys)] = ys
    there = np.isfinite(values)
    count = np.maximum(there.sum(0), 1)
    mean = np.where(there.any(0), np.where(there, values, 0).sum(0) / count, np.nan)
    square = np.where(there, values - mean, 0) ** 2
    return np.asarray(longest[0], dtype=float), mean, np.sqrt(square.sum(0) / np.maximum(count - 1, 1)), len(curves)


@styled
def gradient_flow(
    norms: Mapping[str, Curve],
    *,
    steps_per_epoch: float | None = None,
    title: str = "Gradient flow",
) -> Figure:
    """Left, the gradient norm of every weight over time; right, from the first to the last layer at a few steps."""
    figure, (left, right) = panels(1, 2, size=(10.5, 4.5))
    names = list(norms)
    for (name, curve), colour in zip(norms.items(), shades(len(names)), strict=True):
        left.plot(*curve, color=colour, label=name if len(names) <= 4 or name in (names[0], names[-1]) else None)
    left.set(yscale="log", xlabel="step (updates of the weights)", ylabel="gradient norm (L2)")
    left.set_title(title)
    epochs_above(left, steps_per_epoch)
    left.legend(loc="best", fontsize=10)
    steps = np.asarray(norms[names[0]][0]) if names else np.array([])
    for number, index in enumerate(sorted({0, len(steps) // 2, len(steps) - 1}) if len(steps) else []):
        values = [norms[name][1][index] for name in names]
        right.plot(range(len(names)), values, marker="o", label=f"step {int(steps[index])}", **line_style(number))
    right.set(yscale="log", ylabel="gradient norm (L2)", xlabel="layer, from input to output")
    right.set_xticks(
        range(len(names)), names, rotation=35 if len(names) > 3 else 0, ha="right" if len(names) > 3 else "center"
    )
    right.tick_params(axis="x", labelsize=10)
    right.set_title("From layer to layer", pad=42)  # beside the title on the left, above the legend
    right.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, columnspacing=1, handlelength=1.5)
    return figure


@styled
def learning_rate(
    curves: Mapping[str, Curve], *, steps_per_epoch: float | None = None, title: str = "Learning rate"
) -> Figure:
    """The learning rate of every step; several schedules by label."""
    figure, (axis,) = panels()
    for position, (label, curve) in enumerate(curves.items()):
        axis.plot(*curve, label=shortened(label), **line_style(position))
    axis.set(xlabel="step (updates of the weights)", ylabel="learning rate (per step)")
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_title(title)
    epochs_above(axis, steps_per_epoch)
    if len(curves) > 1:
        axis.legend(loc="best")
    return figure


@styled
def layer_statistics(
    curves: Mapping[str, Curve],
    *,
    ylabel: str,
    guide: tuple[float, str] | None = None,
    logarithmic: bool = False,
    steps_per_epoch: float | None = None,
    title: str = "",
) -> Figure:
    """One statistic of every layer over time, first layers dark and last ones light.

    `guide` is a value to compare with, and what it is.
    """
    figure, (axis,) = panels()
    for (name, curve), colour in zip(curves.items(), shades(len(curves)), strict=True):
        axis.plot(*curve, color=colour, label=name)
    if guide is not None:
        axis.axhline(guide[0], color=QUIET, linestyle=":", label=guide[1])
    if logarithmic and any(np.any(np.asarray(values) > 0) for _, values in curves.values()):
        axis.set_yscale("log")
    axis.set(xlabel="step (updates of the weights)", ylabel=ylabel)
    axis.set_title(title)
    epochs_above(axis, steps_per_epoch)
    outside = len(curves) > 4
    axis.legend(loc="upper left" if outside else "best", bbox_to_anchor=(1.0, 1.0) if outside else None)
    return figure


def _scatter(axis: Axes, x: Values, y: np.ndarray, colour: str, label: str | None) -> None:
    axis.plot(x, y, ".", color=colour, ms=4, alpha=0.45, mew=0, label=label, rasterized=len(y) > LARGEST_SVG_POINTS)


def _loss_axis(axis: Axes, values: np.ndarray, ylabel: str, logarithmic: bool | None = None) -> None:
    """Logarithmic where the values span decades; otherwise from zero up, without the few largest."""
    finite = values[np.isfinite(values)]
    if _spans_decades(values) if logarithmic is None else logarithmic:
        axis.set_yscale("log")
    elif len(finite) and finite.min() > 0:
        axis.set_ylim(0, 1.05 * max(np.quantile(finite, 0.995), finite[0] if np.isfinite(finite[0]) else 0))
    axis.set_ylabel(ylabel)


def _spans_decades(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() <= 0:
        return False
    return bool(np.quantile(finite, 0.99) / np.quantile(finite, 0.01) > WIDE)


def _metric_unit(name: str) -> str:
    units: dict[str, Any] = {"accuracy": " (fraction)", "rmse": " (the target's unit)", "mae": " (the target's unit)"}
    return str(units.get(name, ""))
