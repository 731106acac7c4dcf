"""Figures of things that change over training: losses, metrics, gradients, learning rates.

`nnlab.report.figures` is where to import them from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

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


def shortened(label: str, length: int = 44) -> str:
    """A label that leaves room for the curves."""
    return label if len(label) <= length else f"{label[: length - 1]}…"


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
        axes[0].plot(*validation, color=VERMILLION, linestyle=(0, (5, 1.5)), marker="o", ms=4, label="validation")
    _loss_axis(axes[0], losses, ylabel)
    axes[0].set_title(title)
    if len(axes) > 1 and metric is not None:
        axes[1].plot(*metric, color=VERMILLION, linestyle=(0, (5, 1.5)), marker="o", ms=4, label="validation")
        axes[1].set(ylabel=f"{metric_name} on validation" + _metric_unit(metric_name))
        axes[1].set_title(f"Validation {metric_name}")
    for axis in axes:
        if best_step:
            axis.axvline(best_step, color=GREEN, linestyle=":", label="best weights")
        axis.set_xlabel("step (updates of the weights)")
        epochs_above(axis, steps_per_epoch)
        axis.legend(loc="best")
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

    The scale is logarithmic where the values span decades (`logarithmic` decides otherwise); a linear one begins at
    zero, unless `from_zero` is false.
    """
    outside = len(groups) > 6
    figure, (axis,) = panels(size=(10.5, max(4.5, 0.9 + 0.25 * len(groups))) if outside else SLIDE)
    everything = [float(y) for curves in groups.values() for _, ys in curves for y in ys]
    for position, (label, curves) in enumerate(groups.items()):
        x, mean, std, count = averaged(curves)
        style = line_style(position)
        early = sum(len(xs) < len(x) for xs, _ in curves)
        ended = f", {early} ended early" if early else ""
        name = f"{shortened(label) or 'runs'} ({count} seeds{ended})" if count > 1 else shortened(label)
        axis.plot(x, mean, label=name, **style)
        if count > 1:
            axis.fill_between(x, mean - std, mean + std, color=style["color"], alpha=0.2, linewidth=0)
    if from_zero or logarithmic:
        _loss_axis(axis, np.asarray(everything), ylabel, logarithmic)
    axis.set_ylabel(ylabel)
    axis.set_xlabel(xlabel)
    axis.set_title(title)
    if any(groups) or any(len(curves) > 1 for curves in groups.values()):
        axis.legend(loc="upper left" if outside else "best", bbox_to_anchor=(1.01, 1) if outside else None)
    if any(len(curves) > 1 for curves in groups.values()):
        axis.annotate(
            "band: ± one standard deviation",
            (1, 1),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            fontsize=11,
            color=QUIET,
        )
    return figure


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
        left.plot(*curve, color=colour, label=name)
    left.set(yscale="log", xlabel="step (updates of the weights)", ylabel="gradient norm (L2)")
    left.set_title(title)
    epochs_above(left, steps_per_epoch)
    if len(names) <= 8:
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
    right.set_title("From layer to layer")
    right.legend(loc="best")
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
    curves: Mapping[str, Curve], *, ylabel: str, steps_per_epoch: float | None = None, title: str = ""
) -> Figure:
    """One statistic of every layer over time, first layers dark and last ones light."""
    figure, (axis,) = panels()
    for (name, curve), colour in zip(curves.items(), shades(len(curves)), strict=True):
        axis.plot(*curve, color=colour, label=name)
    axis.set(xlabel="step (updates of the weights)", ylabel=ylabel)
    axis.set_title(title)
    epochs_above(axis, steps_per_epoch)
    axis.legend(loc="best")
    return figure


def _scatter(axis: Axes, x: Values, y: np.ndarray, colour: str, label: str | None) -> None:
    axis.plot(x, y, ".", color=colour, ms=4, alpha=0.45, mew=0, label=label, rasterized=len(y) > LARGEST_SVG_POINTS)


def _loss_axis(axis: Axes, values: np.ndarray, ylabel: str, logarithmic: bool | None = None) -> None:
    """Logarithmic where the values span decades; otherwise from zero up, without the few largest."""
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    wide = len(positive) == len(finite) > 0 and np.quantile(positive, 0.99) / np.quantile(positive, 0.01) > WIDE
    if wide if logarithmic is None else logarithmic:
        axis.set_yscale("log")
    elif len(positive) == len(finite) > 0:
        axis.set_ylim(0, 1.05 * max(np.quantile(finite, 0.995), finite[0] if np.isfinite(finite[0]) else 0))
    axis.set_ylabel(ylabel)


def _metric_unit(name: str) -> str:
    units: dict[str, Any] = {"accuracy": " (fraction)", "rmse": " (the target's unit)", "mae": " (the target's unit)"}
    return str(units.get(name, ""))
