"""The end: the chosen configuration on several seeds, evaluated on the test split once, next to a linear model.

A test metric is itself a sample: its standard error is sqrt(p (1 - p) / n) for an accuracy p, and std(e^2) / (2 rmse
sqrt(n)) for a root mean squared error (the delta method).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nnlab.diagnosis.facts.linear import LinearModel, linear_baseline, linear_metrics
from nnlab.metric_names import HIGHER_IS_BETTER
from nnlab.recipe.grid import deviation, mean
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.trials import Changes, Trials, primary_metric

TITLE = "Train the chosen configuration"
NUMBER = 8
HIDDEN = ("seed", "trainer.steps")
CHOSEN = "The configuration: given, and chosen"


@dataclass(frozen=True)
class FinalRun:
    """A finished run of the chosen configuration: its folder, seed, status, command, and metrics by split."""

    directory: str
    seed: int
    status: str
    command: str
    metrics: dict[str, dict[str, float]]


def conclude(trials: Trials, chosen: Changes, runs: Sequence[FinalRun], experiment: str) -> StepReport:
    """What the final runs achieved on the test split, against the linear baseline.

    Args:
        chosen: what distinguishes the configuration from the one that was given.
        experiment: the command that reproduces the first run.
    """
    report = StepReport(NUMBER, TITLE)
    metric = primary_metric(trials)
    good = [run for run in runs if run.metrics]
    names = [name for name in good[0].metrics["test"] if name in good[0].metrics["validation"]]
    rows: list[list[Any]] = [[f"seed {run.seed}", *(run.metrics["test"][name] for name in names)] for run in good]
    averages = {name: mean([run.metrics["test"][name] for run in good]) for name in names}
    spreads = {name: deviation([run.metrics["test"][name] for run in good]) for name in names}
    baseline = linear_baseline(trials.dataset, trials.loss)
    linear = linear_metrics(baseline.model, trials.dataset, trials.loss, trials.dataset.test)
    error = error_of_test(trials, baseline.model, linear[metric])
    rows += [
        ["mean", *averages.values()],
        ["spread of the seeds", *spreads.values()],
        ["linear model", *(linear.get(name, math.nan) for name in names)],
    ]
    report.tables += [
        Table("Test split, at the best validation weights", ["", *names], rows),
        compare(trials, chosen),
    ]
    better = (averages[metric] - linear[metric]) * (1 if metric in HIGHER_IS_BETTER else -1)
    report.numbers |= {
        "metric": metric,
        "test": averages,
        "test_spread": spreads,
        "linear_test": linear,
        "linear_error": error,
        "gain_over_linear": better,
        "linear_as_good": better <= error,
        "experiment": experiment,
        "runs": [
            {"directory": r.directory, "seed": r.seed, "status": r.status, "command": r.command, "metrics": r.metrics}
            for r in runs
        ],
    }
    verdict = (
        f"a linear model is as good ({linear[metric]:.4g}, standard error of the test split {error:.2g})"
        if better <= error
        else f"a linear model has {linear[metric]:.4g}"
    )
    report.conclusion = f"test {metric} {averages[metric]:.4g} ± {spreads[metric]:.2g} over {len(good)} runs; {verdict}"
    return report


def compare(trials: Trials, chosen: Changes) -> Table:
    """What was chosen, next to what the user gave, key by key."""
    rows = []
    for key, value in chosen.items():
        if key in HIDDEN or key.startswith("trainer.validate"):
            continue
        given = _given(trials, key)
        words = [", ".join(map(str, each)) if isinstance(each, list) else each for each in (given, value)]
        rows.append([key, *("none" if word in (None, "") else word for word in words), "" if given == value else "new"])
    return Table(CHOSEN, ["key", "given", "chosen", ""], rows)


def _given(trials: Trials, key: str) -> Any:
    """The user's value of a key; of a group the option, or the list of them."""
    if key in ("regularizer", "data/augmentation"):
        return list(trials.value(key.replace("/", "."), {}))
    value = trials.value(key)
    return trials.option(key) if isinstance(value, Mapping) else value


def error_of_test(trials: Trials, model: LinearModel, value: float) -> float:
    """Standard error of a test metric, from the size of the test split and the linear model's errors."""
    test = trials.dataset.test
    if not test.targets.is_floating_point():
        return math.sqrt(max(value * (1 - value), 1 / len(test)) / len(test))
    prediction = trials.loss.prediction(model(test.inputs))[..., : test.targets.shape[-1]]
    scale = trials.dataset.target_std if trials.dataset.target_std is not None else torch.ones(1)
    squares = ((prediction - test.targets) * scale.to(prediction)).square().mean(-1)
    return float(squares.std()) / (2 * max(value, 1e-12) * math.sqrt(len(test)))
