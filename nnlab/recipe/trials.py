"""Trials: training runs that differ from the user's configuration in a few values, stacked where possible.

A step of the recipe asks for networks or populations that differ in `Changes`, and reports what it saw, with the
command that reproduces each trial.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from nnlab.callbacks import HistoryFile
from nnlab.config.build import build_loss, build_trainer, dataset_key, load_dataset
from nnlab.config.chosen import option_of
from nnlab.config.command_line import command_line
from nnlab.config.dotted import get
from nnlab.config.lookup import locate
from nnlab.console import silenced
from nnlab.diagnosis.facts.levels import Levels, make_room, measure_levels
from nnlab.diagnosis.facts.linear import Baseline, linear_baseline
from nnlab.diagnosis.facts.once import once
from nnlab.diagnosis.facts.simple import SECONDS, Name, SimpleModel, simple_models
from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.recipe.changes import Changes, Config, changed, words
from nnlab.recipe.costs import Costs
from nnlab.recipe.populations import Populations
from nnlab.recipe.report import TrialRecord
from nnlab.recipe.trial import POINTS, Trial, held_out_losses, record, trained
from nnlab.regularizer import Ensemble
from nnlab.runs.launch import suitable_threads
from nnlab.training import Callback, Trainer
from nnlab.training.memory import check_step
from nnlab.training.native.engine import NativeEngine
from nnlab.types import Dataset

FEW = 1000  # validation examples: with no more, seeds take turns with the parts of the data that are for validation
FEW_INPUTS = 1024  # of an example: the linear model on no more is small enough to be kept
MOST_FOLDS = 10
ROOM = 256 * 2**20  # bytes of examples in other splits or preprocessings, that are kept in memory
LEAST_SECONDS = 0.001  # of a training
LIGHTEST = 0.2  # of the time of the user's network, that even a linear model takes


class Trials:
    """Makes trials that differ from `config` (plain, resolved, checked).

    Args:
        config: the user's.
        overrides: what the user typed, for the commands that reproduce trials; a batch size that is not among them
            takes what examples there are.
        config_dir: the user's own config folder, for those commands.

    Attributes:
        clock: seconds of the time that limits a recipe.
        until: moment of that clock at which trainings are stopped; none by default.
        costs: what trainings have taken.
        linear_seconds: what the best linear model took.
        stopped, left_out: how many networks the clock stopped in training, and how many had no time for any.
    """

    clock: Callable[[], float] = staticmethod(time.perf_counter)

    def __init__(self, config: Mapping[str, Any], overrides: Sequence[str] = (), config_dir: str | None = None) -> None:
        self.config: Config = copy.deepcopy({key: value for key, value in config.items() if key != "recipe"})
        if self.config.get("data_seed") is None:
            self.config["data_seed"] = self.config["seed"]
        self.config["callbacks"] = {}
        self.config["regularizer"] = _without_ensembles(self.config["regularizer"])
        self.overrides = [
            line for line in overrides if not line.lstrip("+~").startswith(("recipe.", "name=", "resume="))
        ]
        self.config_dir = config_dir
        self.observer: Callback | None = None
        self._populations = Populations(self.overrides, self._prepared)
        self._kept: dict[str, Dataset] = {}  # so that no trial reads and prepares again what another had
        self._room = ROOM
        self._simple: Sequence[SimpleModel] | None = None
        self.work = 0.0  # epochs of the user's network so far
        self.until = math.inf
        self.costs, self.linear_seconds = Costs(), 0.0
        self.stopped = self.left_out = 0
        self.dataset: Dataset = load_dataset(self.config)
        self.loss: Loss = build_loss(self.config, self.dataset)

    def value(self, key: str, default: Any = None) -> Any:
        """The value of a dotted key in the user's configuration, or `default` where it has none."""
        return get(self.config, key, default)

    def option(self, group: str) -> str:
        """The option's name; the name of its class where no option has it."""
        section = self.value(group.replace("/", ".")) or {}
        return option_of(group, section) or str(section.get("_target_", "none")).rpartition(".")[2]

    def configure(self, changes: Changes) -> Config:
        """The config of one trial."""
        return changed(self.config, changes)

    @functools.cached_property
    def epoch_steps(self) -> int:
        """Minibatches in an epoch."""
        size, examples = self.value("trainer.batch_size", 32), len(self.dataset.train)
        return 1 if size == "full" else -(-examples // min(int(size), examples))

    @functools.cached_property
    def folds(self) -> int:
        """Parts of the data that take turns as validation split; 1 where it is large, or not drawn at random."""
        validation, section = len(self.dataset.validation), self.config["data"]
        found = min((len(self.dataset.train) + validation) // validation, MOST_FOLDS)
        if section.get("limit") is not None or validation > FEW or "validation_fold" not in section or found < 2:
            return 1
        other = (int(section["validation_fold"]) + 1) % found
        try:
            self._prepared(self.configure({"data.validation_fold": other}))
        except UserError:  # groups, times, or the data say which examples are for validation
            return 1
        return found

    @functools.cached_property
    def compiled(self) -> bool:
        """Whether compiled code trains the user's network."""
        return isinstance(build_trainer([self.config], overrides=self.overrides).engine, NativeEngine)

    @functools.cached_property
    def linear(self) -> Baseline:
        """The best linear model of the user's loss, of which small ones are kept for later recipes of this process."""
        began = self.clock()

        def fitted() -> Baseline:
            return linear_baseline(self.dataset, self.loss)

        small = self.dataset.train.inputs[0].numel() <= FEW_INPUTS
        found = once("linear model", self.dataset, self.loss, fitted) if small else fitted()
        self.linear_seconds = self.clock() - began
        return found

    @functools.cached_property
    def levels(self) -> Levels:
        """Losses of fresh networks, of a constant answer, and of perfect ones."""
        return measure_levels(self.dataset, self.loss)

    def weight(self, changes: Changes) -> float:
        """About how long a step of a configuration takes, in those of the user's: by the weights of its layers."""
        own = self.value("architecture.widths")
        if not own:
            return 1.0
        inputs, outputs = self.dataset.train.inputs[0].numel(), self.loss.output_size(self.dataset.target_size)
        linear = changes.get("architecture") == "perceptron"
        widths = [] if linear else changes.get("architecture.widths") or own
        sizes = [
            sum(a * b for a, b in itertools.pairwise([inputs, *map(int, each), outputs])) for each in (widths, own)
        ]
        return max(sizes[0] / sizes[1], LIGHTEST)

    def simple(self, seconds: float = SECONDS) -> Sequence[SimpleModel]:
        """The constant, the linear model, and boosted trees that may take so many seconds; 0: none. Fitted once."""
        if self._simple is None:
            names: list[Name] = ["constant", "linear", "trees"] if seconds else ["constant", "linear"]
            self._simple = simple_models(self.dataset, self.loss, names, seconds, self.linear)
        return self._simple

    def seeded(self, changes: Changes, number: int) -> Changes:
        """A configuration with the seed of a number, and its own part of the data for validation where data are few."""
        own = {**changes, "seed": int(self.value("seed", 0)) + number}
        first = int(self.value("data.validation_fold", 0))
        fold = (first + number) % self.folds if self.folds > 1 else first
        return own if fold == first else {**own, "data.validation_fold": fold}

    @property
    def left(self) -> float:
        """Seconds until trainings are stopped."""
        return self.until - self.clock()

    @property
    def metric(self) -> str:
        """The metric that decides in tables: the user's, or that of the task."""
        return self.value("trainer.metric") or self.loss.primary_metric(self.dataset.task)

    def groups(self, changes: Sequence[Changes], fastest: bool = False) -> list[list[int]]:
        """Positions of the changes that can be trained as one population; alone where that is the `fastest` way."""
        return self._populations.of([self.configure(each) for each in changes], fastest)

    def make(self, changes: Sequence[Changes]) -> Trainer:
        """The trainer of one population, a member for each of the changes; it writes no files."""
        return self._make([self.configure(each) for each in changes])

    def _make(self, configs: Sequence[Config]) -> Trainer:
        make_room(self.dataset.train)  # of what the trial before took
        held = [self._prepared(config) for config in configs]  # until the trainer has them
        trainer = build_trainer(configs, overrides=self.overrides)
        del held
        check_step(trainer)
        trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, HistoryFile)]
        if self.observer is not None:
            trainer.callbacks.append(self.observer)
        torch.set_num_threads(self.config["trainer"]["threads"] or suitable_threads(trainer))
        return trainer

    def _prepared(self, config: Mapping[str, Any]) -> Dataset:
        """The data set of a config, which is held in memory while there is room."""
        key = dataset_key(config)
        if key in self._kept:
            return self._kept[key]
        with silenced():  # what is to be said about the data has been said
            dataset = load_dataset(config)
        size = sum(getattr(each.inputs, "nbytes", ROOM) for each in (dataset.train, dataset.validation, dataset.test))
        if size <= self._room:
            self._kept[key] = dataset
            self._room -= size
        return dataset

    def words(self, changes: Changes) -> list[str]:
        """The overrides of one trial: the user's, without those of sections that it exchanges, and its own."""
        own = self.config["data_seed"] != changes.get("seed", self.config["seed"])
        return words(self.overrides, {**({"data_seed": self.config["data_seed"]} if own else {}), **changes})

    def command(self, changes: Changes) -> str:
        """What to type to run one of them alone."""
        return command_line("train", self.words(changes), config=self.config, config_dir=self.config_dir)

    def run(
        self,
        changes: Sequence[Changes],
        watch: Callable[[], Callback] | None = None,
        held_out: bool = False,
        fastest: bool = False,
        whole: bool = False,
    ) -> list[Trial]:
        """Train what `changes` describe, stacked where possible; results in the same order.

        Where the clock allows for no more, there are results only of those that were trained to their end; if none
        was, of those whose training the clock stopped, of which there is at least one unless all have to be `whole`.

        Args:
            changes: of each trial.
            watch: makes a callback for each population; what it stores in `results` (by member) becomes `scores`, and
                what it stores in `predictions` becomes `prediction`.
            held_out: keep the loss of every validation example.
            fastest: train alone what gains nothing from being stacked; else what is watched can be ended together.
            whole: nothing is of use whose training is stopped.
        """
        results: dict[int, Trial] = {}
        configs = [self.configure(each) for each in changes]
        for group in self._populations.of(configs, fastest):
            began = self.clock()
            if began >= self.until and (results or whole):
                self.left_out += len(group)
                continue
            trainer = self._make([configs[i] for i in group])
            watching = watch() if watch else None
            if watching is not None:
                trainer.callbacks.append(watching)
            self._watch_the_clock(trainer)
            trainer.fit()
            losses = held_out_losses(trainer) if held_out else [None] * len(group)
            stopped = trainer.stop_requested == "time limit" and self.clock() >= self.until
            steps = 0.0
            for member, position in enumerate(group):
                results[position] = trained(trainer, member, changes[position], watching)
                results[position].held_out = losses[member]
                results[position].stopped = stopped and results[position].status == "completed"
                weight, taken = self.weight(changes[position]), len(results[position].losses)
                self.work += taken / trainer.steps_per_epoch * weight
                steps += taken * weight
            self.costs.add(steps, trainer.seconds, self.clock() - began - trainer.seconds)
        self.stopped += sum(trial.stopped for trial in results.values())
        ended = [position for position in sorted(results) if not results[position].stopped]
        return [results[position] for position in (ended if ended or whole else sorted(results))]

    def _watch_the_clock(self, trainer: Trainer) -> None:
        """Let a training stop when its time is over; a few steps are always taken."""
        if self.until == math.inf:
            return
        left = max(self.until - self.clock(), LEAST_SECONDS)
        own = trainer.settings.time_limit
        trainer.clock = self.clock
        trainer.settings = dataclasses.replace(trainer.settings, time_limit=left if own is None else min(own, left))

    def record(self, trial: Trial, name: str, points: int = POINTS) -> TrialRecord:
        """What a report keeps of a trial, with the command that runs it alone."""
        return record(trial, name, self.command(trial.changes), points)


def _without_ensembles(sections: Mapping[str, Config]) -> Config:
    def is_ensemble(section: Config) -> bool:
        found = locate(section["_target_"])
        return inspect.isclass(found) and issubclass(found, Ensemble)

    return {name: section for name, section in sections.items() if not is_ensemble(section)}
