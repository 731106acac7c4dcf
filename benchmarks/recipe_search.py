"""Does the recipe choose better than random search and Optuna's TPE, over the same space in the same time?

    python benchmarks/recipe_search.py [--data digits ...] [--seeds 5] [--first 0] [--limit 20] [--out results.json]
    python benchmarks/recipe_search.py --show results.json [more.json]

For each data set and seed (other splits, weights and data orders) the recipe walks steps 1 to 7 under
`recipe.time_limit`; then random search and TPE get the seconds that it took, and end with the batch in which these run
out. All three train on the same engine, stacked where trials can be stacked, and score a trial by the same lowest
validation loss. What each chooses is trained with the same three fresh seeds, and its error on the test split is
compared: misclassified examples, or root mean squared error. The order of the searches alternates.

The space is what the recipe itself can reach: rate (log-uniform 1e-4 ... 0.1), weight decay, constant or cosine rate,
one, two or four times 15 epochs, the widths or twice these or a linear model, dropout, and shifted images.

Measured with --limit 20 --seeds 5 on 2 CPU cores shared with other work, all twenty pairs in one run:

    data           seeds     recipe   random      tpe   recipe better by (standard error)
    digits             5     0.0165   0.0331   0.0299   random +0.0165 (0.0063)   tpe +0.0134 (0.0063)
    breast_cancer      5     0.0339   0.0357   0.0298   random +0.0018 (0.0035)   tpe -0.0041 (0.0037)
    diabetes           5    55.6111  56.4151  57.6847   random +0.8040 (1.1701)   tpe +2.0737 (1.4356)
    spirals            5     0.0033   0.0037   0.0043   random +0.0003 (0.0003)   tpe +0.0010 (0.0007)
    mean rank                 1.57     2.10     2.33

So its mean rank is the best, and of eight comparisons one is worse by more than a standard error (1.1 of them): TPE on
breast_cancer, by half of one of its 114 test examples.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna

from nnlab.cli import compose
from nnlab.recipe import Changes, FinalRun, Recipe, RecipeSettings, StepReport
from nnlab.recipe.coarse import candidate
from nnlab.recipe.grid import DECAY_KEY, run_grid
from nnlab.recipe.rates import rate_key
from nnlab.recipe.trials import Trials

LOSSES = {
    "digits": "softmax_cross_entropy",
    "breast_cancer": "binary_cross_entropy",
    "diabetes": "squared_error",
    "spirals": "softmax_cross_entropy",
}
METHODS = ("recipe", "random", "tpe")
BATCH = 10  # trials that a search asks for together
FINAL_SEEDS = range(1000, 1003)


class Quiet:
    """A view that shows nothing."""

    def start(self, number: int, title: str, remaining: float | None) -> None:
        """A step begins."""

    def done(self, report: StepReport) -> None:
        """A step has ended."""


def test_error(trials: Trials, changes: Changes) -> float:
    """Mean test error of the chosen configuration over fresh seeds, at the best validation weights."""
    trainer = trials.make([{**changes, "seed": seed} for seed in FINAL_SEEDS]).fit()
    metrics = trainer.final_evaluations()["test"].metrics
    errors = 1 - metrics["accuracy"] if "accuracy" in metrics else metrics["rmse"]
    return float(errors.mean())


def walk(trials: Trials, limit: float) -> tuple[Changes, float]:
    """What the recipe chooses, and the seconds of steps 1 to 7."""
    chosen: list[Changes] = []

    def finish(changes: Changes, seeds: Sequence[int]) -> tuple[list[FinalRun], str]:
        chosen.append(changes)
        nothing = {split: {"loss": 0.0, trials.loss.primary_metric(trials.dataset.task): 0.0} for split in
                   ("train", "validation", "test")}  # fmt: skip
        return [FinalRun("", 0, "completed", "", nothing)], ""

    with tempfile.TemporaryDirectory() as folder:
        settings = RecipeSettings(time_limit=limit, keep_going=True)
        recipe = Recipe(trials, settings, Path(folder), finish, Quiet(), {})
        recipe.run()
    return chosen[0], sum(report.seconds for number, report in recipe.reports.items() if number < 8)


def point(trials: Trials, trial: optuna.Trial) -> Changes:
    """The configuration of a trial."""
    changes = dict(candidate(trials, trial.suggest_float("rate", 1e-4, 0.1, log=True), 0.0, 15.0))
    changes[DECAY_KEY] = trial.suggest_categorical("decay", [0.0, 1e-5, 1e-4, 1e-3, 1e-2])
    changes["scheduler"] = trial.suggest_categorical("scheduler", ["constant", "cosine"])
    changes["trainer.epochs"] = 15.0 * trial.suggest_categorical("length", [1, 2, 4])
    size = trial.suggest_categorical("size", ["as given", "twice as wide", "linear"])
    if size == "linear":
        changes["architecture"] = "perceptron"
    elif size == "twice as wide":
        changes["architecture.widths"] = [2 * int(width) for width in trials.value("architecture.widths")]
    p = trial.suggest_categorical("dropout", [0.0, 0.2, 0.5])
    if p and size != "linear":
        changes |= {"regularizer": [*changes["regularizer"], "dropout"], "regularizer.dropout.p": p}
    if len(trials.dataset.input_shape) == 3 and trial.suggest_categorical("shift", [False, True]):
        changes["data/augmentation"] = ["shift"]
    return changes


def search(trials: Trials, sampler: optuna.samplers.BaseSampler, seconds: float) -> tuple[Changes, int]:
    """The best point that a search finds in so many seconds, and how many it tried."""
    study = optuna.create_study(sampler=sampler)
    started = time.perf_counter()
    tried: list[tuple[float, Changes]] = []
    while time.perf_counter() - started < seconds:
        asked = [study.ask() for _ in range(BATCH)]
        points = [point(trials, trial) for trial in asked]
        for group in trials.groups([{**each, "seed": 0} for each in points]):
            if time.perf_counter() - started >= seconds:
                break
            results, _ = run_grid(trials, [points[i] for i in group], range(1))
            for i, result in zip(group, results, strict=True):
                study.tell(asked[i], min(result.score, 1e9))
                tried.append((result.score, points[i]))
    return min(tried, key=lambda pair: pair[0])[1], len(tried)


def compare(data: str, seed: int, limit: float) -> dict[str, Any]:
    """Test errors of the three on one data set and seed."""
    words = [f"data={data}", f"loss={LOSSES[data]}", f"seed={seed}"]
    trials = Trials(compose(*words), words)
    chosen: dict[str, Changes] = {}
    tried: dict[str, int] = {}
    chosen["recipe"], seconds = walk(trials, limit)
    samplers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, constant_liar=True),
    }
    for name in list(samplers)[:: 1 if seed % 2 else -1]:
        chosen[name], tried[name] = search(trials, samplers[name](), seconds)
    errors = {name: test_error(trials, chosen[name]) for name in METHODS}
    result = {"data": data, "seed": seed, "seconds": seconds, "tried": tried, "errors": errors, "chosen": chosen}
    rate = rate_key(trials)
    print(
        f"{data:14s} seed {seed}  {seconds:5.1f} s  "
        + "  ".join(f"{name} {errors[name]:.4f} (rate {chosen[name][rate]:.2g})" for name in METHODS)
        + f"  trials {tried}",
        flush=True,
    )
    return result


def ranks(errors: dict[str, float]) -> dict[str, float]:
    """Ranks from 1; equal errors share the mean of theirs."""
    every = list(errors.values())
    return {name: 0.5 + sum(e < own for e in every) + every.count(own) / 2 for name, own in errors.items()}


def show(results: Sequence[dict[str, Any]]) -> None:
    """The table: mean errors, the recipe's advantage with its paired standard error, mean ranks."""
    names = list(dict.fromkeys(result["data"] for result in results))
    print(f"{'data':14s} seeds  " + "".join(f"{name:>9s}" for name in METHODS) + "   recipe better by (standard error)")
    for data in names:
        own = [result["errors"] for result in results if result["data"] == data]
        line = f"{data:14s} {len(own):5d}  " + "".join(f"{statistics.mean(e[n] for e in own):9.4f}" for n in METHODS)
        for other in METHODS[1:]:
            gains = [errors[other] - errors["recipe"] for errors in own]
            error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
            line += f"   {other} {statistics.mean(gains):+.4f} ({error:.4f})"
        print(line)
    every = [ranks(result["errors"]) for result in results]
    print("mean rank            " + "".join(f"{statistics.mean(r[name] for r in every):9.2f}" for name in METHODS))


def main() -> None:
    """Compare, or show what was compared before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=list(LOSSES), default=list(LOSSES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed, to go on where a run ended")
    parser.add_argument("--limit", type=float, default=20.0, help="recipe.time_limit, in seconds")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", type=Path, nargs="+")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if arguments.show:
        show([result for file in arguments.show for result in json.loads(file.read_text())])
        return
    results = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for data in arguments.data:
            results.append(compare(data, seed, arguments.limit))
            if arguments.out:
                arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    show(results)


if __name__ == "__main__":
    main()
