"""Short trainings of networks that differ from a run in a few values, on a budget of steps.

The budget is a number of steps and not of seconds, so that what is found does not depend on the clock. It is that of
the time which a run takes besides its training (files, figures, final evaluations), at the speed of an ordinary
machine; a cap on seconds is there for slower ones, and said where it is reached.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nnlab.diagnosis import RunRecord, records
from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.measure import facts_of
from nnlab.errors import UserError
from nnlab.recipe.candidate import deviation, mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.trials import Trials
from nnlab.training import Trainer
from nnlab.training.memory import NotEnoughMemory
from nnlab.types import Task

log = logging.getLogger(__name__)

SEEDS = 2
BESIDES = 3.0  # seconds that a run takes besides training
LONGEST = 60.0  # seconds of experiments, unless said otherwise
SPEED = 5e10  # multiply-adds a second, of one thread
STEP = {"native": 1e-6}  # seconds besides
USUAL_STEP = 3e-4
NETWORK = 4e-3  # seconds to build and measure a network
FEWEST_STEPS = 100  # of a trial, where the run had as many
STAGES = 1.5  # times as many networks as there are changes
VALIDATIONS = 8
DIVERGED = (-1.0, math.nan, math.inf)
UNKNOWN = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Outcome:
    """What networks with some changes reach on validation, over seeds.

    Attributes:
        skills: see `View.skill`; -1 where a network diverged.
        metric: the mean of the metric that a table shows.
        loss: mean validation loss.
        failure: why it could not be tried; empty where it was, or there was no time for it.
    """

    skills: tuple[float, ...]
    metric: float
    loss: float
    failure: str = ""

    @property
    def skill(self) -> float:
        """Mean over seeds."""
        return mean(self.skills)

    @property
    def known(self) -> bool:
        """Whether there was time for it, and it fits the config."""
        return not math.isnan(self.skill)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds."""
        return deviation(self.skills)

    @property
    def shown(self) -> str:
        """The metric in words."""
        return f"{self.metric:.3g}" if math.isfinite(self.metric) else "nothing (diverged)"


class Experiments:
    """Experiments on one configuration.

    Args:
        config: the run's.
        steps: of the run as planned.
        seconds: that the experiments may take by the model of speed; None: as long as the run, with what it takes
            besides training.
        cap: seconds after which no further experiment is begun.

    Attributes:
        length: steps of a trial.
        late: whether the cap was reached.
    """

    def __init__(self, config: Mapping[str, Any], steps: int, seconds: float | None, cap: float) -> None:
        self.trials = Trials(config)
        self.metric = self.trials.loss.primary_metric(self.trials.dataset.task)
        self.seed = int(self.trials.value("seed", 0))
        self.steps, self.length, self.cap = steps, steps, cap
        self.step_seconds = step_seconds(self.trials.make([{}]))
        self.seconds = min(steps * self.step_seconds + BESIDES, LONGEST) if seconds is None else seconds
        self.started, self.late = time.perf_counter(), False

    def plan(self, changes: int) -> None:
        """Make trials as long as the run, or so short that networks for so many changes fit into the budget."""
        networks = max(1.0, STAGES * SEEDS * changes)
        affordable = int((self.seconds / networks - NETWORK) / self.step_seconds)
        self.length = max(min(self.steps, affordable), min(self.steps, FEWEST_STEPS))

    def expected(self, changes: int) -> float:
        """Seconds that networks for so many changes take at least, by the model of speed."""
        return SEEDS * changes * self.length * self.step_seconds

    @property
    def over(self) -> bool:
        """Whether the cap on seconds is reached."""
        self.late = self.late or time.perf_counter() - self.started > self.cap
        return self.late

    @property
    def size(self) -> str:
        """How large the experiments were, in words."""
        ended = f", ended early after {self.cap:.0f} s" if self.late else ""
        return f"{SEEDS} networks each, {self.length} steps{ended}"

    def run(self, settings: Sequence[Changes]) -> list[Outcome]:
        """What networks with each of the settings reach; in populations where possible, alone where one fails."""
        every = [{**self.length_of(each), "seed": self.seed + k} for each in settings for k in range(SEEDS)]
        found = dict.fromkeys(range(len(every)), UNKNOWN)
        groups, failures = list(self._groups(every)), {}
        while groups and not self.over:
            group = groups.pop(0)
            try:
                found |= zip(group, self._train([every[i] for i in group]), strict=True)
            except NotEnoughMemory:  # says nothing about the change
                raise
            except Exception as error:  # components from outside raise what they like
                if len(group) > 1:
                    groups[:0] = [[position] for position in group]
                else:
                    failures[group[0] // SEEDS] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        return [
            replace(_outcome([found[i * SEEDS + k] for k in range(SEEDS)]), failure=failures.get(i, ""))
            for i in range(len(settings))
        ]

    def _groups(self, every: Sequence[Changes]) -> Iterator[list[int]]:
        usable = []
        for position, each in enumerate(every):
            try:
                self.trials.configure(each)
                usable.append(position)
            except (KeyError, TypeError, UserError) as error:
                log.debug("a change does not fit the config: %s", error)
        for group in self.trials.groups([every[i] for i in usable]):
            yield [usable[i] for i in group]

    def length_of(self, changes: Changes) -> dict[str, Any]:
        """The changes with a length that fits the budget; a change may ask for more epochs than the run had."""
        steps, longest = self.length, 4 * self.length + 400
        if changes.get("trainer.epochs") is not None:
            batch = changes.get("trainer.batch_size", self.trials.value("trainer.batch_size"))
            examples = len(self.trials.dataset.train)
            steps = min(int(changes["trainer.epochs"] * max(1, examples // _size(batch, examples))), longest)
        elif changes.get("trainer.steps"):
            steps = min(int(changes["trainer.steps"]), longest)
        common = {"trainer.epochs": None, "trainer.steps": steps, "trainer.validate_unit": "step"}
        return {**changes, **common, "trainer.validate_every": max(1, steps // self._validations(steps))}

    def _validations(self, steps: int) -> int:
        """How often a trial is validated: less often than usual where that would take longer than its training."""
        trained = steps * _size(self.trials.value("trainer.batch_size"), len(self.trials.dataset.train))
        return max(1, min(VALIDATIONS, 3 * trained // max(1, len(self.trials.dataset.validation))))

    def _train(self, changes: Sequence[Changes]) -> list[tuple[float, float, float]]:
        trainer = self.trials.make(changes)
        trainer.fit()
        found = list(records(trainer, facts_of(trainer, traps=False)))
        if any(View(record).ranked for record in found):
            self.metric = "auroc" if found[0].task is not Task.REGRESSION else "rank correlation"
        return [judged(record) for record in found]


def _size(batch: object, examples: int) -> int:
    return int(batch) if isinstance(batch, int) else examples


def _outcome(found: Sequence[tuple[float, float, float]]) -> Outcome:
    skills, metrics, losses = zip(*found, strict=True)
    return Outcome(skills, mean(metrics), mean(losses))


def judged(record: RunRecord) -> tuple[float, float, float]:
    """Skill, metric and loss on validation at the last weights; the metric is the one that skill is measured by."""
    facts, view = record.splits.get("validation"), View(record)
    skill = view.skill("validation")
    if record.status == "diverged" or facts is None or not math.isfinite(facts.metric):
        return DIVERGED
    if math.isnan(skill):  # on so few examples there is none
        return UNKNOWN
    metric = facts.metric
    if view.ranked:  # by AUROC, the mean over classes, or the rank correlation
        metric = facts.ranking if record.task is Task.REGRESSION else (1 + facts.ranking) / 2
    return max(skill, -1.0), metric, facts.loss


def step_seconds(trainer: Trainer) -> float:
    """Seconds of a step of one network by a model of speed, the same on every machine."""
    places = float(math.prod(trainer.members[0].dataset.input_shape[1:]))
    work = 0.0
    for slot in trainer.stack.layout.slots:
        convolutional = len(slot.shape) > 2
        work += math.prod(slot.shape) * (max(places, 1.0) if convolutional else 1.0)
        places = places / 2 if convolutional else places  # some layers are followed by pooling, which leaves a quarter
    examples = 3 * trainer.engine.batches.batch_size  # forward, and backward twice as much
    return examples * work / SPEED + STEP.get(trainer.engine.name, USUAL_STEP)
