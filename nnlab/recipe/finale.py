"""The end: the chosen configuration on several seeds, evaluated on the test split once, next to simple models.

A network that a constant, a linear model or boosted trees beat is told so: the same test examples judge all of them.
A seed that ended apart from the others is named, and lowers the rate where that is the cause.
The configuration as given is trained with the same seeds; where it is better on validation by more than the standard
error, it is the best network, and what was found is the rival.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nnlab.config import config_folder
from nnlab.config.folder import primary
from nnlab.console import counted
from nnlab.diagnosis.catalogue import Severity
from nnlab.diagnosis.facts.simple import SimpleModel, advantage, comparable, has_trees, simple_models
from nnlab.diagnosis.finding import Finding, shown, with_error
from nnlab.interruption import EXIT_CODES
from nnlab.recipe.best import write_experiment
from nnlab.recipe.budget import Budget
from nnlab.recipe.candidate import deviation, mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.given import (
    EQUAL,
    Contest,
    FinalRun,
    averages,
    compare,
    given_gain,
    is_given,
    paired_advantage,
    standing,
)
from nnlab.recipe.margin import STEPS_DOWN, Lowered, with_margin
from nnlab.recipe.nothing_found import CLEAR, nothing_on_test
from nnlab.recipe.numbers import FinalNumbers
from nnlab.recipe.rates import rate_key
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.seeds import apart, findings
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.trials import LEAST_SECONDS, Trials
from nnlab.runs.evaluation import evaluate
from nnlab.runs.launch import train_runs
from nnlab.storage.files import make_folder
from nnlab.storage.folder import read_result

MEMBERS = "regularizer.ensemble.members"
TITLE = "Train the chosen configuration"
NUMBER = 8
WORDS = {
    "constant": "the constant",
    "linear": "a linear model",
    "trees": "boosted trees",
    "given": "the configuration as given",
    "found": "the configuration found",
}


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

    def conclude(
        self,
        chosen: Changes,
        seeds: Sequence[int],
        given: Sequence[int] = (),
        stable: float | None = None,
        budget: Budget | None = None,
    ) -> StepReport[FinalNumbers]:
        """Train the chosen configuration, with a lower rate where a seed ends apart because of it, and judge it.

        Args:
            chosen: by step 7.
            seeds: of its networks.
            given: seeds with which the configuration as given is trained, too; fewer where there is no time.
            stable: the largest stable rate of step 3; a rate near it or beyond has to show its own margin.
            budget: what there is time for; everything, without one.
        """
        budget = budget or Budget(self.trials, RecipeSettings(final_seeds=len(seeds)))
        lowered, remarks = list[Lowered](), list[str]()
        if budget.affords_again(chosen, len(seeds) + self.settings.seeds):
            chosen, lowered = with_margin(self.trials, chosen, stable, seeds[: self.settings.seeds])
        planned, count = budget.final_plan(chosen, len(seeds))
        remarks += _shortened(chosen, planned, len(seeds), count)
        chosen, seeds = planned, seeds[:count]
        chosen, runs = self._train_chosen(chosen, seeds, budget, lowered, remarks)
        same = is_given(self.trials, chosen)
        given = () if same else given[: budget.given_seeds(len(given))]
        as_given = self.train({}, given, "given", budget.final_seconds()) if given else []
        as_given = [] if any(run.stopped for run in as_given) else as_given  # as if there had been no time
        contest = Contest(runs, as_given, given_gain(self.trials, runs, as_given), same)
        best, trained = ({}, given) if contest.given_wins else (chosen, seeds)
        experiment = write_experiment(
            self.directory,
            self._configs(best, trained)[0],
            f"Chosen by `nnlab recipe` on {self.trials.option('data')}",
        )
        remarks += budget.late()
        simple = self.trials.simple(budget.trees())
        if has_trees(self.trials.dataset) and all(each.name != "trees" for each in simple):
            remarks.append("no time was left for boosted trees")
        return conclude(self.trials, chosen, contest, experiment, lowered, remarks)

    def _train_chosen(
        self, chosen: Changes, seeds: Sequence[int], budget: Budget, lowered: list[Lowered], remarks: list[str]
    ) -> tuple[Changes, list[FinalRun]]:
        """Train it, and again with half the rate where a seed ends apart because of that; the last one and its runs."""
        [constant] = simple_models(self.trials.dataset, self.trials.loss, ["constant"])
        key, name = rate_key(self.trials), "final"
        while True:
            runs = self.train(chosen, seeds, name, budget.final_seconds())
            stopped = [run for run in runs if run.stopped]
            if key not in chosen or stopped or len(lowered) >= STEPS_DOWN:
                break
            too_high = [each.words for each in apart(self.trials, runs, constant) if each.by_rate]
            halved = {**chosen, key: float(chosen[key]) / 2}
            if too_high and not budget.affords_again(halved, len(seeds)):
                remarks.append("no time was left to train again with half the learning rate")
            if not too_high or not budget.affords_again(halved, len(seeds)):
                break
            lowered.append(Lowered(float(chosen[key]), "; ".join(too_high)))
            chosen, name = halved, f"final, rate {halved[key]:g}"
        if stopped:
            remarks.append(f"{len(stopped)} of {counted(len(runs), 'training')} ended early: {stopped[0].reason}")
        return chosen, runs

    def _changes(self, changes: Changes, seeds: Sequence[int]) -> list[Changes]:
        """A configuration with each of some seeds, or one ensemble of as many."""
        first = int(self.config["seed"])
        if self.settings.ensemble and len(seeds) > 1:
            names = [*changes.get("regularizer", self.trials.value("regularizer", {})), "ensemble"]
            changes, seeds = {**changes, "regularizer": names, MEMBERS: len(seeds)}, [0]
        return [{**changes, "seed": first + seed} for seed in seeds]

    def _configs(self, changes: Changes, seeds: Sequence[int]) -> list[dict[str, Any]]:
        return [self._config(each) for each in self._changes(changes, seeds)]

    def train(
        self, changes: Changes, seeds: Sequence[int], name: str = "final", seconds: float | None = None
    ) -> list[FinalRun]:
        """Train with some seeds, or one ensemble of as many, in a folder of a name; returns the runs.

        Args:
            seconds: after which the trainings are stopped; each has its share, and what those before it left.
        """
        chosen, configs = self._changes(changes, seeds), self._configs(changes, seeds)
        folders = [self.directory / name / f"seed={each['seed']}" for each in chosen]
        groups, started = self._unfinished(chosen, folders), self.trials.clock()
        for number, group in enumerate(groups):
            if seconds is not None:
                share = (seconds - (self.trials.clock() - started)) / (len(groups) - number)
                configs = [limited(config, max(share, LEAST_SECONDS)) for config in configs]
            words = [self.trials.words(chosen[i]) for i in group]
            results = train_runs([configs[i] for i in group], [folders[i] for i in group], words)
            stopped = [result for result in results if result.status == "interrupted"]
            if stopped:
                raise SystemExit(EXIT_CODES[stopped[0].signals[0]])
        found = [read_result(folder) or {} for folder in folders]
        return [
            FinalRun(
                *(str(folder), each["seed"], result["status"], self.trials.command(each), result["metrics"]),
                {split: found["members"] for split, found in result.get("ensemble", {}).items()},
                result.get("reason", ""),
            )
            for folder, each, result in zip(folders, chosen, found, strict=True)
        ]

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


def conclude(
    trials: Trials,
    chosen: Changes,
    contest: Contest,
    experiment: str,
    lowered: Sequence[Lowered] = (),
    remarks: Sequence[str] = (),
) -> StepReport[FinalNumbers]:
    """What the better networks achieved on the test split, against the others and simple models on the same examples.

    Args:
        chosen: what distinguishes the configuration found from the one that was given.
        contest: the final runs of both.
        experiment: the command that reproduces the first run.
        lowered: learning rates that were given up before.
        remarks: what there was no time for.
    """
    report = StepReport(NUMBER, TITLE, FinalNumbers())
    metric = comparable(trials.metric, trials.dataset, trials.loss)
    good = [run for run in contest.runs if run.metrics]
    if not good:
        report.conclusion = f"all {len(contest.runs)} networks diverged before their first validation"
        report.findings = [Finding("all_diverged", report.conclusion)]
        report.numbers = FinalNumbers(metric, lowered=[each.rate for each in lowered], experiment=experiment)
        return report
    test = averages(good, "test")
    alone = [metrics for run in good for metrics in run.alone("test")]
    spreads = {each: deviation([metrics[each] for metrics in alone if metrics.get(each) is not None]) for each in test}
    simple = trials.simple()
    others, judged = _opponents(trials, metric, contest, simple)
    rows = _rows_of_networks(good, test, spreads)
    rows += [[WORDS[each.name], *(each.metrics["test"].get(key, math.nan) for key in test)] for each in others]
    report.tables += [Table("Test split, at the best validation weights", ["", *test], rows), compare(trials, chosen)]
    report.numbers = FinalNumbers(
        metric,
        test,
        spreads,
        {each.name: each.metrics["test"] for each in simple},
        {each.name: each.metrics["validation"] for each in simple},
        {key: gain for key, (gain, _) in judged.items()},
        {key: error for key, (_, error) in judged.items()},
        winner(judged, "given" if contest.given_wins else "network"),
        contest.names[0],
        list(contest.gain or ()),
        averages(contest.rivals, "test"),
        [asdict(run) for run in contest.rivals],
        [each.rate for each in lowered],
        experiment,
        [asdict(run) for run in contest.runs],
    )
    bad = apart(trials, contest.runs, next(each for each in simple if each.name == "constant"))
    nothing = nothing_on_test(trials, metric, contest, simple, judged["constant"])
    report.findings = [
        *nothing,
        *findings(bad),
        *_better_models(metric, test, others, judged),
        *([Finding("given_configuration_better", standing(metric, contest))] if contest.given_wins else []),
        *(Finding("rate_lowered", each.words) for each in lowered),
    ]
    parts = [
        _reached(metric, good, test[metric], spreads[metric]),
        *remarks,
        *(each.words for each in bad),
        *(each.words for each in lowered),
        standing(metric, contest),
        verdict(metric, others, judged),
        *(each.observed for each in nothing),
    ]
    report.conclusion = "; ".join(parts)
    return report


def limited(config: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """A config whose training is stopped after so many seconds, if it is not stopped before."""
    own = config["trainer"]["time_limit"]
    return {**config, "trainer": {**config["trainer"], "time_limit": seconds if own is None else min(own, seconds)}}


def _shortened(chosen: Changes, planned: Changes, asked: int, count: int) -> list[str]:
    """What the time left has no room for, in words."""
    if planned is not chosen:
        now, before = (float(each["trainer.epochs"]) for each in (planned, chosen))
        return [f"there was time for 1 of {asked} networks, and for {now:g} of its {before:g} epochs"]
    return [f"there was time for {count} of {asked} networks"] if count < asked else []


Judged = Mapping[str, tuple[float, float]]  # by how much the networks are better than each, and the error of that


def _opponents(
    trials: Trials, metric: str, contest: Contest, simple: Sequence[SimpleModel]
) -> tuple[list[SimpleModel], Judged]:
    """The simple models and the rival, if there is one, and how the networks stand against each on the test split."""
    runs = [run for run in contest.runs if run.metrics]
    predictions = [evaluate(run.directory, "test").prediction for run in runs]
    judged = {
        each.name: advantage(metric, predictions, each.predictions["test"], trials.dataset, "test") for each in simple
    }
    against = paired_advantage(trials, runs, contest.rivals, "test")
    if against is None:
        return list(simple), judged
    rival = contest.names[1]
    metrics = {split: averages(contest.rivals, split) for split in ("validation", "test")}
    return [*simple, SimpleModel(rival, {}, metrics)], {**judged, rival: against}


def _rows_of_networks(
    runs: Sequence[FinalRun], test: Mapping[str, float], spreads: Mapping[str, float]
) -> list[list[Any]]:
    """Each network on the test split, what they reach together or on average, and how far they are apart."""
    ensemble = runs[0].members
    alone = [(f"seed {run.seed}", run.metrics["test"]) for run in runs]
    if ensemble:
        alone = [(f"member {position} alone", metrics) for position, metrics in enumerate(ensemble["test"])]
    rows = [[name, *(metrics.get(each, math.nan) for each in test)] for name, metrics in alone]
    together, spread = ("ensemble", "members") if ensemble else ("mean", "seeds")
    return [*rows, [together, *test.values()], [f"spread of the {spread}", *spreads.values()]]


def _reached(metric: str, runs: Sequence[FinalRun], value: float, spread: float) -> str:
    """What the networks reach on the test split, in words."""
    if not runs[0].members:
        spread = spread if len(runs) > 1 else math.nan
        return f"test {metric} {with_error(value, spread)} over {counted(len(runs), 'run')}"
    alone = [metrics[metric] for metrics in runs[0].members["test"] if metrics.get(metric) is not None]
    return (
        f"test {metric} {shown(value, 4)} as an ensemble of {len(runs[0].members['test'])} "
        f"(each alone {with_error(mean(alone), spread)})"
    )


def winner(judged: Judged, network: str = "network") -> str:
    """What is ahead of the network by most, of all that is ahead by more than a standard error; else the network."""
    ahead = {name: -gain for name, (gain, error) in judged.items() if gain < -error}
    return max(ahead, key=lambda name: ahead[name]) if ahead else network


def verdict(metric: str, simple: Sequence[SimpleModel], judged: Judged) -> str:
    """How the networks stand against each simple model and their rival on the test split, in words and numbers."""
    words = ["better", "perhaps better", EQUAL, "perhaps worse", "worse"]
    found: dict[str, list[str]] = {word: [] for word in words}
    for each in simple:
        found[_standing(*judged[each.name])].append(f"{WORDS[each.name]} ({shown(each.metrics['test'][metric], 4)})")
    parts = [f"{', '.join(models)} {word}" for word, models in found.items() if models]
    doubtful = any(models for word, models in found.items() if word.startswith("perhaps"))
    how = f" (perhaps: by less than {CLEAR:g} standard errors)" if doubtful else ""
    return f"compared with it on these test examples: {'; '.join(parts)}{how}"


def _standing(gain: float, error: float) -> str:
    """What an opponent is, which the networks are better than by `gain` with a standard error."""
    if abs(gain) <= error:
        return EQUAL
    word = "better" if gain < 0 else "worse"
    return word if abs(gain) > CLEAR * error else f"perhaps {word}"


def _better_models(
    metric: str,
    averages: Mapping[str, float],
    simple: Sequence[SimpleModel],
    judged: Judged,
) -> list[Finding]:
    found = []
    for each in simple:
        gain, error = judged[each.name]
        if gain < -error and each.name != "found":
            verb = "have" if each.name == "trees" else "has"
            observed = (
                f"{WORDS[each.name]} {verb} test {metric} {shown(each.metrics['test'][metric], 4)}, the network "
                f"{shown(averages[metric], 4)}: {_standing(gain, error)} by {with_error(-gain, error)}"
            )
            level: Severity | None = "fault" if each.name == "constant" and gain < -CLEAR * error else None
            kind = "given_configuration_better" if each.name == "given" else "simple_model_better"
            found.append(Finding(kind, observed, level=level))
    return found
