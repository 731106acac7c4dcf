"""The figures of the recipe's page, each from the plain content of a step's report (as in `recipe.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlab.metric_names import title
from nnlab.report.recipe_axes import beside, dots, log_if_positive, plain_numbers, rate_axis
from nnlab.report.style import BLUE, GREEN, ORANGE, QUIET, VERMILLION, line_style, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Step = Mapping[str, Any]
WIDE = (9.0, 4.2)
MOST_ROWS = 14

OTHERS = {
    "constant": "the constant",
    "linear": "a linear model",
    "trees": "boosted trees",
    "given": "as given",
    "found": "as found",
}
MARKERS = "os^vDPX"
MARKS = {"constant": "x", "linear": "s", "trees": "^", "given": "P", "found": "P"}


def figures(step: Step) -> list[tuple[Figure, str]]:
    """The figures of one step, each with a caption; none where there is nothing to draw."""
    import matplotlib

    draw = {1: _initial, 2: _sample, 3: _rates, 4: _grid, 5: _refined, 6: _curves, 7: _changes, 8: _test}
    with matplotlib.rc_context({"axes.titley": 1.0}):  # no ticks are above, which a title would look for at length
        found = draw[step["number"]](step)
    return [] if found is None else [found]


def _is_number(value: Any) -> bool:
    """Whether a cell of a table holds a number; one that diverged is the text `inf`."""
    return isinstance(value, int | float)


def _table(step: Step, title: str) -> Mapping[str, Any] | None:
    return next((table for table in step["tables"] if table["title"].startswith(title)), None)


@styled
def _initial(step: Step) -> tuple[Figure, str] | None:
    numbers, activations = step["numbers"], _table(step, "Activations")
    if "initial_loss" not in numbers:
        return None
    figure, axes = panels(1, 2 if activations else 1, WIDE)
    parts = [numbers["theory"], numbers["at_mean_output"], numbers["initial_loss"], numbers["constant"]]
    names = ["theory", "at mean\noutput", "measured", "without\ninputs"]
    axes[0].bar(names, [0 if part is None else part for part in parts], color=[QUIET, ORANGE, BLUE, GREEN])
    axes[0].errorbar(
        [2], [numbers["initial_loss"] or 0], yerr=[numbers["initial_loss_std"] or 0], color="black", capsize=5
    )
    axes[0].set_title("Loss at initialization")
    axes[0].tick_params(axis="x", labelsize=10)
    if activations:
        names = [row[0] for row in activations["rows"]]
        axes[1].plot(names, [row[1] for row in activations["rows"]], "o-", label="root mean square", color=BLUE)
        axes[1].plot(
            names, [row[3] for row in activations["rows"]], "s--", label="spread between examples", color=VERMILLION
        )
        axes[1].set_yscale("log")
        low, high = axes[1].get_ylim()
        axes[1].set_ylim(min(low, 0.05), max(high, 5.0))
        plain_numbers(axes[1].yaxis, 100)
        axes[1].set_title("The signal, layer by layer")
        axes[1].tick_params(axis="x", rotation=30, labelsize=9)
        axes[1].legend()
    return (
        figure,
        "Left: what theory gives, what the outputs' mean and spread add, what was measured. Right: a healthy "
        "signal neither fades nor explodes from layer to layer.",
    )


@styled
def _sample(step: Step) -> tuple[Figure, str] | None:
    contests: dict[str, list[Any]] = {}
    for trial in step["trials"]:
        if trial["curves"].get("loss/train"):
            contests.setdefault(trial["name"].rpartition(" ")[0], []).append(trial)
    if not contests:
        return None
    examples = list(contests)[-1].partition(" ")[0]
    last = {name: trials for name, trials in contests.items() if name.startswith(f"{examples} ")}
    figure, axes = panels(1, len(last), (10.0, 4.2), sharey=True)
    for axis, (name, trials) in zip(axes, last.items(), strict=True):
        for position, trial in enumerate(trials):
            steps, values = trial["curves"]["loss/train"]
            rate = trial["name"].rpartition(" ")[2]
            axis.plot(steps, np.asarray(values, dtype=float), label=rate, linewidth=1.6, **line_style(position))
        axis.set(title=name.rpartition(" ")[2], xlabel="step")
        beside(axis, "learning rate")
    axes[0].set_ylabel("loss")
    log_if_positive(axes[0], [_values(trial, "loss/train") for trials in last.values() for trial in trials])
    return figure, f"Minibatch losses of the contestants on {examples} examples; one must come near the floor."


def _values(trial: Mapping[str, Any], tag: str) -> np.ndarray:
    return np.asarray(trial["curves"].get(tag, [[], [np.nan]])[1], dtype=float)


@styled
def _rates(step: Step) -> tuple[Figure, str] | None:
    numbers = step["numbers"]
    rates = np.asarray([[np.nan if v is None else v for v in row] for row in numbers["rates"]], dtype=float)
    if not np.isfinite(rates[:, 1]).any():
        return None
    figure, axes = panels(1, 2, (10.0, 4.2))
    finite = rates[np.isfinite(rates[:, 1])]
    axes[0].errorbar(finite[:, 0], finite[:, 1], yerr=finite[:, 2], fmt="o-", color=BLUE, capsize=4)
    for rate in rates[rates[:, 3] > 0, 0]:
        axes[0].axvline(rate, color=VERMILLION, linestyle=":", label="diverged")
    if numbers.get("lowest"):
        axes[0].axvspan(
            numbers["lowest"] / 1.2, numbers["highest"] * 1.2, color=GREEN, alpha=0.12, label="drops the loss"
        )
        axes[0].axvline(numbers["stable"], color=GREEN, label=f"largest stable: {numbers['stable']:g}")
    if numbers.get("configured"):
        axes[0].axvline(
            numbers["configured"], color=QUIET, linestyle="--", label=f"configured: {numbers['configured']:g}"
        )
    rate_axis(axes[0])
    axes[0].set(title="Loss at the end, mean and spread", xlabel="learning rate", ylabel="loss")
    handles, labels = axes[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes[0].legend(unique.values(), unique.keys(), fontsize=9, loc="best")
    _rate_curves(axes[1], step)
    return (
        figure,
        "Left: each rate's last losses, averaged, over seeds. Right: the curves behind them, averaged over seeds.",
    )


def _rate_curves(axis: Axes, step: Step) -> None:
    groups: dict[str, list[np.ndarray]] = {}
    for trial in step["trials"]:
        if trial["status"] != "diverged":
            groups.setdefault(trial["name"].split(" seed")[0].removeprefix("learning_rate="), []).append(
                _values(trial, "loss/train")
            )
    means = {name: np.mean([c[: min(map(len, curves))] for c in curves], 0) for name, curves in groups.items()}
    for position, (name, curve) in enumerate(means.items()):
        axis.plot(
            np.arange(1, len(curve) + 1) * step["numbers"]["steps"] / len(curve),
            curve,
            label=name,
            linewidth=1.6,
            **line_style(position),
        )
    log_if_positive(axis, list(means.values()))
    axis.set(title="Loss while training", xlabel="step")
    beside(axis, "learning rate")


@styled
def _grid(step: Step) -> tuple[Figure, str] | None:
    tried = [row for row in step["numbers"].get("tried", []) if row[2] is not None]
    if not tried:
        return None
    figure, (axis,) = panels(size=WIDE)
    for position, decay in enumerate(sorted({row[1] for row in tried})):
        rate, loss = zip(*((row[0], row[2]) for row in tried if row[1] == decay), strict=True)
        color = line_style(position)["color"]
        axis.plot(rate, loss, MARKERS[position % len(MARKERS)], label=f"{decay:g}", color=color, alpha=0.7)
    rate_axis(axis)
    log_if_positive(axis, [np.asarray([row[2] for row in tried])])
    axis.set(title="Coarse grid", xlabel="learning rate", ylabel="validation loss")
    beside(axis, "weight decay")
    return figure, "A point for each configuration; lower is better. The best should not lie at an edge."


@styled
def _refined(step: Step) -> tuple[Figure, str] | None:
    rows = [row for row in step["tables"][0]["rows"] if _is_number(row[2])][:MOST_ROWS]
    labels = [f"rate {row[0]:g}, {row[-1] or f'decay {row[1]:g}'}" for row in rows]
    return dots(
        "Refined grid, best first",
        labels,
        [row[2] for row in rows],
        [row[3] if _is_number(row[3]) else 0.0 for row in rows],
        "validation loss",
    ), "Points closer than their bars cannot be told apart."


@styled
def _curves(step: Step) -> tuple[Figure, str] | None:
    trials = step["trials"]
    if not trials:
        return None
    figure, axes = panels(1, 2, (10.0, 4.2))
    steps, _ = trials[0]["curves"]["loss/train"]
    per_epoch = len(_values(trials[0], "loss/validation"))
    x = np.asarray(steps) * per_epoch / steps[-1]
    loss = _values(trials[0], "loss/train")
    axes[0].scatter(x, loss, s=7, color=BLUE, alpha=0.4, label="minibatches")
    window = min(max(len(loss) // 20, 2), len(loss))
    average = np.convolve(loss, np.ones(window) / window, "valid")
    axes[0].plot(x[window - 1 :], average, color=VERMILLION, label="moving average")
    axes[0].set(title="Training loss, first seed", xlabel="epoch", ylabel="loss")
    axes[0].legend()
    log_if_positive(axes[0], [loss])
    for tag, colour, name in (("loss/fit", BLUE, "training split"), ("loss/validation", VERMILLION, "validation")):
        curves = [_values(trial, tag) for trial in trials]
        length = min(map(len, curves))
        for curve in curves:
            axes[1].plot(np.arange(1, len(curve) + 1), curve, color=colour, alpha=0.25, linewidth=1)
        axes[1].plot(np.arange(1, length + 1), np.mean([c[:length] for c in curves], 0), color=colour, label=name)
    log_if_positive(axes[1], [_values(t, tag) for t in trials for tag in ("loss/fit", "loss/validation")])
    axes[1].set(title="Training against validation", xlabel="epoch")
    axes[1].legend()
    return (
        figure,
        "Left: minibatches (averages of a few, where there are many) and their moving average. Right: loss on both "
        "splits after every epoch; thin lines are single seeds.",
    )


@styled
def _changes(step: Step) -> tuple[Figure, str] | None:
    finalists = [row for row in step["tables"][0]["rows"] if _is_number(row[4]) and row[-1] != "fell behind"]
    rows = finalists[-MOST_ROWS:]
    if not rows:
        return None
    labels = [f"round {row[0]}: {row[1]}" for row in rows]
    errors = [row[5] if _is_number(row[5]) else 0.0 for row in rows]
    figure = dots(
        "What each change gave",
        labels,
        [row[4] for row in rows],
        errors,
        "gain in validation loss",
        True,
        [row[-1] == "adopted" for row in rows],
    )
    return (
        figure,
        "Right of the line is better; bars are standard errors over seeds and examples; green was adopted.",
    )


@styled
def _test(step: Step) -> tuple[Figure, str] | None:
    numbers = step["numbers"]
    metric = numbers["metric"]
    runs = [run for run in numbers["runs"] if run["metrics"]]
    if not runs:
        return None
    members = [each for run in runs for each in run.get("members", {}).get("test", [])]
    alone = [
        each[metric] for each in members or [run["metrics"]["test"] for run in runs] if each.get(metric) is not None
    ]
    figure, (axis,) = panels(size=(9.0, 2.6))
    axis.plot(alone, [0.0] * len(alone), "o", color=BLUE, label="networks", markersize=9, alpha=0.7)
    mean = numbers["test"][metric]
    axis.errorbar(
        [mean],
        [0.0],
        xerr=[numbers["test_spread"][metric]],
        fmt="D",
        color=VERMILLION,
        capsize=6,
        label=f"{'ensemble' if members else 'mean'} {mean:.4g}",
    )
    others = dict(numbers.get("simple_test", {}))
    if rival := numbers.get("rival"):
        others["found" if numbers["network"] == "given" else "given"] = rival
    for place, (name, metrics) in enumerate(others.items(), 1):
        if metrics.get(metric) is not None:
            error, label = numbers["gain_errors"].get(name) or 0.0, f"{OTHERS[name]} {metrics[metric]:.4g}"
            axis.errorbar(
                [metrics[metric]], [-0.35 * place], xerr=[error], fmt=MARKS[name], color=QUIET, capsize=6, label=label
            )
    axis.set_yticks([])
    axis.set_ylim(-1.75, 0.6)
    axis.set(title=f"Test {title(metric)}", xlabel=title(metric))
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return (
        figure,
        "Each point is a network trained with another seed; the bar of another model is the standard error of its "
        "difference from the networks, over the test examples and the seeds.",
    )
