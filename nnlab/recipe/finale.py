"""The end: the chosen configuration is trained on several seeds, and the one as given with them; `verdict` judges.

A seed that ended apart from the others lowers the rate where that is the cause. The configuration as given is trained
with the same seeds; where it is better on validation by more than the standard error, it is the best network, and what
was found is the rival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config import config_folder
from nnlab.config.folder import primary
from nnlab.console import counted
from nnlab.diagnosis.facts.simple import has_trees, simple_models
from nnlab.interruption import EXIT_CODES
from nnlab.recipe.best import write_experiment
from nnlab.recipe.changes import Changes
from nnlab.recipe.final_budget import FinalBudget
from nnlab.recipe.given import Contest, FinalRun, given_gain, is_given
from nnlab.recipe.margin import STEPS_DOWN, Lowered, with_margin
from nnlab.recipe.numbers import FinalNumbers
from nnlab.recipe.rates import rate_key
from nnlab.recipe.report import StepReport
from nnlab.recipe.seeds import apart
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.time_limit import TimeLimit
from nnlab.recipe.trials import LEAST_SECONDS, Trials
from nnlab.recipe.verdict import conclude
from nnlab.runs.launch import train_runs
from nnlab.storage.files import make_folder
from nnlab.storage.folder import read_result

MEMBERS = "regularizer.ensemble.members"


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
        stable: float | None = None,
        budget: FinalBudget | None = None,
        given: Sequence[int] | None = None,
    ) -> StepReport[FinalNumbers]:
        """Train the chosen configuration, with a lower rate where a seed ends apart because of it, and judge it.

        Args:
            chosen: by step 7.
            stable: the largest stable rate of step 3; a rate near it or beyond has to show its own margin.
            budget: what there is time for; everything, without one.
            given: seeds with which the configuration as given is trained, too, fewer where there is no time; those of
                the chosen one by default.
        """
        seeds: Sequence[int] = range(self.settings.final_seeds)
        given = seeds if given is None else given
        budget = budget or FinalBudget(TimeLimit(self.trials, RecipeSettings(final_seeds=len(seeds))))
        lowered, remarks = list[Lowered](), list[str]()
        if budget.affords_again(chosen, len(seeds) + self.settings.seeds):
            chosen, lowered = with_margin(self.trials, chosen, stable, seeds[: self.settings.seeds])
        planned, count = budget.plan(chosen, len(seeds))
        remarks += _shortened(chosen, planned, len(seeds), count)
        chosen, seeds = planned, seeds[:count]
        chosen, runs = self._train_chosen(chosen, seeds, budget, lowered, remarks)
        same = is_given(self.trials, chosen)
        given = () if same else given[: budget.given_seeds(len(given))]
        as_given = self.train({}, given, "given", budget.seconds()) if given else []
        as_given = [] if any(run.stopped for run in as_given) else as_given  # as if there had been no time
        contest = Contest(runs, as_given, given_gain(self.trials, runs, as_given), same)
        best, trained = ({}, given) if contest.given_wins else (chosen, seeds)
        experiment = write_experiment(
            self.directory,
            self._configs(best, trained)[0],
            f"Chosen by `nnlab recipe` on {self.trials.option('data')}",
        )
        remarks += budget.time.remarks()
        simple = self.trials.simple(budget.trees())
        if has_trees(self.trials.dataset) and all(each.name != "trees" for each in simple):
            remarks.append("no time was left for boosted trees")
        return conclude(self.trials, chosen, contest, experiment, lowered, remarks)

    def _train_chosen(
        self, chosen: Changes, seeds: Sequence[int], budget: FinalBudget, lowered: list[Lowered], remarks: list[str]
    ) -> tuple[Changes, list[FinalRun]]:
        """Train it, and again with half the rate where a seed ends apart because of that; the last one and its runs."""
        [constant] = simple_models(self.trials.dataset, self.trials.loss, ["constant"])
        key, name = rate_key(self.trials), "final"
        while True:
            runs = self.train(chosen, seeds, name, budget.seconds())
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
