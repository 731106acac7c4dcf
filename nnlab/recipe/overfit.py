"""Step 2: a network that cannot memorize a few minibatches has no business with the rest of the data.

Regularization off, a ladder of learning rates at once, until every example of the sample is right and the loss near
its floor (regression: squared error at most 1% of the sample's target variance). Plain gradient descent is always
among the contestants, because adaptive optimizers hide what is wrong with scales. Then the same networks answer
held-out examples: who memorized labels that have nothing to do with the inputs does no better than chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nnlab.diagnosis.facts.chance import CHANCE, association
from nnlab.diagnosis.facts.levels import Levels, measure_levels
from nnlab.diagnosis.facts.references import measure_references
from nnlab.diagnosis.finding import Finding, shown
from nnlab.diagnosis.rules.data import CERTAIN
from nnlab.diagnosis.rules.fit import TELLING
from nnlab.recipe.changes import UNREGULARIZED, Changes
from nnlab.recipe.numbers import SampleNumbers
from nnlab.recipe.overfit_causes import explain_failure
from nnlab.recipe.rates import ladder, rate_key
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.trial import Trial
from nnlab.recipe.trials import Trials
from nnlab.recipe.watch import SampleWatch
from nnlab.types import Task

TITLE = "Overfit a small sample"
BATCHES = 8  # minibatches in the sample
STEPS, PATIENT = 800, 2400  # on the sample, and on a smaller one
CHECK_EVERY = 50  # steps
NEAR_FLOOR = 0.9  # progress from the constant answer to the floor that counts as fitted
EXPLAINED = 0.99  # of the sample's target variance
MOVES = 0.1  # progress that plain gradient descent must make at its best rate
SMALLEST = 10  # examples


@dataclass
class Attempt:
    """Contestants on one sample: trials of plain gradient descent, and of the user's optimizer.

    `cut` says that the clock allowed for no more of the latter; of the former there are all or none.
    """

    examples: int
    levels: Levels
    plain: list[Trial]
    own: list[Trial]
    cut: bool = False

    @property
    def trials(self) -> list[Trial]:
        """All of them."""
        return [*self.own, *self.plain]


def overfit_sample(trials: Trials) -> StepReport[SampleNumbers]:
    """Memorize a small sample; smaller ones where that fails."""
    report = StepReport(2, TITLE, SampleNumbers())
    batch = trials.value("trainer.batch_size", 32)
    batch = 32 if batch == "full" else int(batch)
    available = len(trials.dataset.train)
    least = max(SMALLEST, trials.dataset.target_size)
    sizes = {min(BATCHES * batch, available): STEPS}
    for size in (2 * batch, least) if trials.dataset.task is not Task.REGRESSION else (least, least // 2):
        sizes.setdefault(min(size, available), PATIENT)
    attempts: list[Attempt] = []
    for size, steps in sizes.items():
        attempts.append(_attempt(trials, size, min(batch, size), steps))
        if attempts[-1].cut or _winner(attempts[-1].trials, trials, attempts[-1].levels) is not None:
            break
        if _progress(attempts[0].trials, attempts[0].levels) < MOVES:
            break
    _judge(report, trials, attempts)
    _describe(report, trials, attempts)
    return report


def is_fitted(metrics: dict[str, float], levels: Levels, classification: bool) -> bool:
    """Whether metrics on the sample are those of a network that has memorized it."""
    if not classification:
        # Where the variance is predicted too, an error of 1% of the variance is worth 1/2 log 100 nats.
        enough = EXPLAINED if levels.floor is not None else -0.5 * math.log(1 - EXPLAINED)
        reached = max(levels.progress(metrics["loss"]), levels.progress(metrics["minibatch"]))
        return reached >= enough or metrics["r2"] >= EXPLAINED
    return metrics["accuracy"] == 1.0 and levels.progress(metrics["loss"]) >= NEAR_FLOOR


def _attempt(trials: Trials, examples: int, batch: int, steps: int) -> Attempt:
    common: dict[str, Any] = {
        **UNREGULARIZED,
        "scheduler": "constant",
        "data.limit": examples,
        "trainer.batch_size": batch,
        "trainer.epochs": None,
        "trainer.steps": steps,
        "trainer.validate_unit": "step",
        "trainer.validate_every": CHECK_EVERY,
    }
    key = rate_key(trials)
    own = [{**common, key: rate} for rate in ladder(trials)]
    plain: list[Changes] = []
    if trials.option("optimizer") != "sgd":
        plain = [{**common, "optimizer": "sgd", "optimizer.learning_rate": rate} for rate in ladder(trials, plain=True)]
    sample = trials.make([own[0]]).members[0].dataset
    levels = measure_levels(sample, trials.loss)
    classification = trials.dataset.task is not Task.REGRESSION

    def watch() -> SampleWatch:
        return SampleWatch(lambda metrics: is_fitted(metrics, levels, classification))

    done = trials.run(own, watch)
    cut = len(done) < len(own) or any(trial.stopped for trial in done)
    others = trials.run(plain, watch, whole=True)
    return Attempt(examples, levels, others if len(others) == len(plain) else [], done, cut)


def _metrics(trial: Trial) -> dict[str, float]:
    return {name.removesuffix("/fit"): value for name, value in trial.scores.items() if name.endswith("/fit")}


def _winner(contestants: Sequence[Trial], trials: Trials, levels: Levels) -> Trial | None:
    classification = trials.dataset.task is not Task.REGRESSION
    return next((t for t in contestants if t.scores and is_fitted(_metrics(t), levels, classification)), None)


def _progress(contestants: Sequence[Trial], levels: Levels) -> float:
    """The best progress of any; minus infinity where all diverged before they were looked at."""
    found = [levels.progress(t.scores["loss/fit"]) for t in contestants if t.scores and not t.diverged]
    return max((value for value in found if math.isfinite(value)), default=-math.inf)


def _judge(report: StepReport[SampleNumbers], trials: Trials, attempts: Sequence[Attempt]) -> None:
    last = attempts[-1]
    own, plain = (_winner(each, trials, last.levels) for each in (last.own, last.plain))
    report.numbers = SampleNumbers(last.examples, own is not None or plain is not None)
    reached = _progress(attempts[0].plain or attempts[0].own, attempts[0].levels)
    if own is None and last.cut:
        report.judged = False
        report.conclusion = f"there was no time to memorize {last.examples} examples: nothing is said about it"
        return
    if own is None and plain is None:
        report.findings = explain_failure(trials, last.trials, last.levels)
        report.conclusion = f"{report.findings[0].name}: {report.findings[0].observed}"
        return
    if reached < MOVES:
        report.findings.append(_plain_stuck(trials, reached))
    if own is None and plain is not None:
        report.findings.append(
            Finding(
                "optimizer_worse_than_plain",
                f"`{trials.option('optimizer')}` does not fit {last.examples} examples at any "
                "rate of the ladder; plain gradient descent does",
                overrides=("optimizer=adam",),
                level="fault" if _progress(last.own, last.levels) < MOVES else "note",
            )
        )
    if last.examples != attempts[0].examples:
        report.findings.append(
            Finding(
                "fits_smaller_sample_only",
                f"{attempts[0].examples} examples were not memorized in {STEPS} steps, {last.examples} were",
            )
        )
    winner = own or plain
    assert winner is not None
    report.findings += _held_out(report, trials, [t for t in attempts[0].trials if t.prediction is not None])
    report.numbers.steps = winner.scores["steps"]
    report.conclusion = (
        f"{last.examples} examples memorized after {winner.scores['steps']:.0f} steps, loss "
        f"{shown(winner.scores['loss/fit'])}"
    )
    if report.faults:
        report.conclusion = f"{report.faults[0].name}: {report.faults[0].observed}"


def _plain_stuck(trials: Trials, reached: float) -> Finding:
    moved = f"{max(reached, 0):.0%}" if math.isfinite(reached) else "nothing"
    return Finding(
        "hidden_by_optimizer",
        f"plain gradient descent gets {moved} of the way from a constant answer to a "
        f"perfect one at its best rate; `{trials.option('optimizer')}` fits",
        overrides=("initialization=he",),
    )


def _held_out(report: StepReport[SampleNumbers], trials: Trials, fitted: Sequence[Trial]) -> list[Finding]:
    """Compare held-out answers of the better third of the contestants with chance, where there are enough to tell."""
    ranked = sorted(fitted, key=lambda t: t.scores.get("loss/fit", math.inf))[: max(1, len(fitted) // 3)]
    predictions = [
        t.prediction for t in ranked if t.prediction is not None and bool(torch.isfinite(t.prediction).all())
    ]
    if not predictions:
        return []
    targets = trials.dataset.validation.targets
    network = max(association(prediction, targets) for prediction in predictions)
    simple = measure_references(trials.dataset, trials.loss).order.association
    report.numbers.above_chance, report.numbers.simple_above_chance = network, simple
    few = len(targets) < CERTAIN or len(trials.dataset.train) < TELLING
    if few or network >= CHANCE or simple >= CHANCE:
        return []
    return [
        Finding(
            "targets_unrelated",
            f"the sample is memorized, but on {len(targets)} held-out examples the networks "
            f"are {shown(network, 2)} standard deviations above chance, simple methods {shown(simple, 2)}",
        )
    ]


def _describe(report: StepReport[SampleNumbers], trials: Trials, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        rows = []
        for kind, contestants in ((trials.option("optimizer"), attempt.own), ("sgd", attempt.plain)):
            for trial in contestants:
                rate = trial.changes.get(
                    rate_key(trials) if kind != "sgd" else "optimizer.learning_rate",
                    trial.changes.get(rate_key(trials)),
                )
                metrics = _metrics(trial)
                metric = metrics.get("accuracy", metrics.get("r2", float("nan")))
                rows.append(
                    [
                        kind,
                        rate,
                        trial.status,
                        metrics.get("loss", math.inf),
                        metric,
                        trial.scores.get("steps", len(trial.losses)),
                    ]
                )
                name = f"{attempt.examples} examples {kind} {rate:g}"
                report.trials.append(trials.record(trial, name))
        metric_name = "accuracy" if trials.dataset.task is not Task.REGRESSION else "r2"
        report.tables.append(
            Table(
                f"{attempt.examples} examples (floor {attempt.levels.floor}, constant answer "
                f"{attempt.levels.constant:.3f})",
                ["optimizer", "learning rate", "status", "loss", metric_name, "steps"],
                rows,
            )
        )
