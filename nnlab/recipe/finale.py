"""The end: the chosen configuration on several seeds, evaluated on the test split once, next to a linear model.

A test metric is itself a sample: its standard error is sqrt(p (1 - p) / n) for an accuracy p, and std(e^2) / (2 rmse
sqrt(n)) for a root mean squared error (the delta method).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from nnlab.config import config_folder
from nnlab.config.folder import primary
from nnlab.diagnosis.facts.linear import LinearModel, linear_baseline, linear_metrics
from nnlab.metric_names import HIGHER_IS_BETTER
from nnlab.recipe.best import write_experiment
from nnlab.recipe.candidate import deviation, mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.numbers import FinalNumbers
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.trials import Trials
from nnlab.runs.launch import train_runs
from nnlab.storage.files import make_folder
from nnlab.storage.folder import read_result
from nnlab.training.signals import EXIT_CODES

MEMBERS = "regularizer.ensemble.members"
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


class FinalTraining:
    """Trains the chosen configuration as ordinary runs, which continue from their own checkpoints.

    Args:
        config: the user's.
        trials: makes the configs of changes.
        settings: of the recipe.
        directory: the recipe's folder.
    """

    def __init__(self, config: Mapping[str, Any], trials: Trials, settings: RecipeSettings, directory: Path) -> None:
        self.config, self.trials, self.settings, self.directory = config, trials, settings, directory

    def train(self, changes: Changes, seeds: Sequence[int]) -> tuple[list[FinalRun], str]:
        """Train with some seeds, or one ensemble of as many; returns the runs and the command of the experiment."""
        first = int(self.config["seed"])
        if self.settings.ensemble:
            names = [*changes.get("regularizer", []), "ensemble"]
            changes, seeds = {**changes, "regularizer": names, MEMBERS: len(seeds)}, [0]
        chosen = [{**changes, "seed": first + seed} for seed in seeds]
        configs = [self._config(each) for each in chosen]
        command = write_experiment(
            self.directory, configs[0], f"Chosen by `nnlab recipe` on {self.trials.option('data')}"
        )
        folders = [self.directory / "final" / f"seed={each['seed']}" for each in chosen]
        for group in self._unfinished(chosen, folders):
            words = [self.trials.words(chosen[i]) for i in group]
            results = train_runs([configs[i] for i in group], [folders[i] for i in group], words)
            stopped = [result for result in results if result.status == "interrupted"]
            if stopped:
                raise SystemExit(EXIT_CODES[stopped[0].signals[0]])  # type: ignore[index]
        found = [read_result(folder) or {} for folder in folders]
        return [
            FinalRun(str(folder), each["seed"], result["status"], self.trials.command(each), result["metrics"])
            for folder, each, result in zip(folders, chosen, found, strict=True)
        ], command

    def _config(self, changes: Changes) -> dict[str, Any]:
        config = self.trials.configure(changes)
        callbacks = {name: each for name, each in self.config["callbacks"].items() if name != "progress"}
        usual = primary("train", config_folder()).values
        own = {"name": "final", "output_dir": str(self.directory), "callbacks": callbacks}
        return {**{key: usual[key] for key in usual if key not in config}, **config, **own}

    def _unfinished(self, chosen: Sequence[Changes], folders: Sequence[Path]) -> list[list[int]]:
        """Groups of runs that have no result yet."""
        for folder in folders:
            make_folder(folder)
        left = [i for i, folder in enumerate(folders) if read_result(folder) is None]
        return [[left[i] for i in group] for group in self.trials.groups([chosen[i] for i in left], fastest=True)]


def conclude(trials: Trials, chosen: Changes, runs: Sequence[FinalRun], experiment: str) -> StepReport[FinalNumbers]:
    """What the final runs achieved on the test split, against the linear baseline.

    Args:
        chosen: what distinguishes the configuration from the one that was given.
        experiment: the command that reproduces the first run.
    """
    report = StepReport(NUMBER, TITLE, FinalNumbers())
    metric = trials.metric
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
    report.numbers = FinalNumbers(
        metric, averages, spreads, linear, error, better, better <= error, experiment, [asdict(run) for run in runs]
    )
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
