"""Step 3: which learning rates make the loss drop within about a hundred iterations?

All rates at once, on all training data, several seeds each. A rate's result is the mean of its last minibatch losses
(one loss has a spread of 0.05 to 0.1) over its seeds. Rates drop the loss significantly where they go at least half
the way from the best constant answer to the best rate's loss; the largest stable rate is the largest whose result is
as good as the best's but for the spread. A single steepest point of one curve decides nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nnlab.console import counted
from nnlab.diagnosis.facts.chance import CHANCE, mixed_pair, told_apart
from nnlab.diagnosis.facts.levels import Levels
from nnlab.diagnosis.facts.linear import linear_held_out
from nnlab.diagnosis.facts.references import measure_references
from nnlab.diagnosis.finding import Finding, shown
from nnlab.recipe.changes import Changes
from nnlab.recipe.numbers import RateNumbers
from nnlab.recipe.rates import configured_rate, ladder, merged, rate_key, rung
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.trial import Trial
from nnlab.recipe.trials import Trials
from nnlab.recipe.watch import FitWatch

TITLE = "Find a learning rate"
STEPS = 100
LONGER = 4  # times as many, where nothing has dropped yet
AVERAGED = 20  # last losses
DECAY = 1e-4
SIGNIFICANT = 0.5  # of the best rate's drop below a constant answer
AS_GOOD = 0.1  # of that drop, by which the largest stable rate may be worse
TOO_LOW = 0.25  # of that drop, which a rate that is too low does not reach
FAR_ABOVE, FAR_BELOW = 2.0, 3.0  # factors beyond the range from which the configured rate is too high or too low
EXTENSIONS = 2
MARGIN = 2.0  # to the largest stable rate, that the rate to use keeps


@dataclass(frozen=True)
class Rate:
    """A rate's result: mean and standard deviation over seeds of the averaged last losses."""

    rate: float
    loss: float
    spread: float
    diverged: int


@dataclass(frozen=True)
class Range:
    """Rates that drop the loss significantly, from `lowest` to `highest`; `stable` is the largest stable one."""

    lowest: float
    highest: float
    stable: float
    best: Rate
    drop: float


def find_learning_rate(trials: Trials, seeds: Sequence[int] = (0, 1, 2), steps: int = STEPS) -> StepReport[RateNumbers]:
    """Try a ladder of rates; model and random state of the caller are left untouched."""
    report = StepReport(3, TITLE, RateNumbers())
    levels, before = trials.levels, trials.clock()
    done, found = _climb(trials, ladder(trials), seeds, steps, levels)
    if not _significant(found, levels) and trials.left > LONGER * (trials.clock() - before):
        steps *= LONGER
        done, found = _climb(trials, ladder(trials), seeds, steps, levels)
    cut = any(trial.stopped for trial in done)
    steps = max(len(trial.losses) for trial in done) if cut else steps
    configured = configured_rate(trials)
    report.numbers = RateNumbers(steps, len(seeds), configured, [[r.rate, r.loss, r.spread, r.diverged] for r in found])
    report.tables.append(_table(trials, done, found, steps))
    report.trials = [
        trials.record(t, f"learning_rate={t.changes[rate_key(trials)]:g} seed={t.changes['seed']}") for t in done
    ]
    limits = find_range(found, levels.constant)
    # The first loss is that of the initial weights; beside an unknown spread, that of one seed, a small drop is chance.
    unknown = cut and len(seeds) == 1
    drops = limits is not None and (
        _significant(found, levels) or (not unknown and _small_but_real(trials, found, levels))
    )
    if limits is None or steps == 1 or not drops:
        best = min(found, key=lambda each: each.loss)
        if math.isfinite(best.loss):
            report.numbers.stable = report.numbers.best = best.rate  # for a recipe that is to keep going
            if cut:
                report.judged = False
                report.conclusion = (
                    f"in {counted(steps, 'step')}, for which there was time, no rate drops the loss clearly yet: "
                    "nothing is said about the rates"
                )
                return report
        report.findings = [_nothing_drops(found, levels, steps)]
        report.conclusion = f"{report.findings[0].name}: {report.findings[0].observed}"
        return report
    numbers = report.numbers
    numbers.lowest, numbers.highest = limits.lowest, limits.highest
    numbers.stable, numbers.best = limits.stable, limits.best.rate
    numbers.use = min(limits.best.rate, limits.stable / MARGIN)
    report.findings = [*_mixed_labels(trials, done, limits), *_judge_configured(configured, found, limits, levels)]
    report.conclusion = f"{described(limits, numbers.use)}: {trials.command({rate_key(trials): numbers.use})}"
    if report.faults:
        report.conclusion = f"{report.faults[0].name}: {report.faults[0].observed}"
    return report


def described(limits: Range, use: float) -> str:
    """What each range means, and the rate to use, in words.

    >>> print(described(Range(0.001, 0.1, 0.003, Rate(0.003, 0.1, 0.01, 0), 0.5), 0.0015).replace("; ", ";\\n"))
    rates from 0.001 to 0.1 make the loss drop by half or more of what the best, 0.003, does;
    the largest stable rate, which is about as good as the best with all seeds, is 0.003;
    use 0.0015, a factor of 2 below it
    """
    below = limits.stable / use
    margin = f", a factor of {below:.3g} below it" if below > 1 else ""
    return (
        f"rates from {limits.lowest:g} to {limits.highest:g} make the loss drop by half or more of what the best, "
        f"{limits.best.rate:g}, does; the largest stable rate, which is about as good as the best with all seeds, is "
        f"{limits.stable:g}; use {use:g}{margin}"
    )


def _climb(
    trials: Trials, rates: Sequence[float], seeds: Sequence[int], steps: int, levels: Levels
) -> tuple[list[Trial], list[Rate]]:
    """Try the rates, and further ones beyond an edge that wins."""
    done = _try(trials, rates, seeds, steps)
    for _ in range(EXTENSIONS if trials.left > 0 else 0):
        found = _results(trials, done)
        limits = find_range(found, levels.constant)
        if limits is None:
            break
        if limits.stable >= found[0].rate:
            more = [rung(found[0].rate, 1), rung(found[0].rate, 2)]
        elif limits.best.rate <= found[-1].rate:
            more = [rung(found[-1].rate, -1), rung(found[-1].rate, -2)]
        else:
            break
        done += _try(trials, more, seeds, steps, whole=True)
    return done, _results(trials, done)


def _try(trials: Trials, rates: Sequence[float], seeds: Sequence[int], steps: int, whole: bool = False) -> list[Trial]:
    common: dict[str, Any] = {
        "regularizer": ["weight_decay"],
        "regularizer.weight_decay.strength": DECAY,
        "data/augmentation": [],
        "scheduler": "constant",
        "trainer.epochs": None,
        "trainer.steps": steps,
        "trainer.validate_unit": "step",
        "trainer.validate_every": steps,
    }
    key, first = rate_key(trials), int(trials.value("seed", 0))
    changes: list[Changes] = [{**common, key: rate, "seed": first + s} for rate in rates for s in seeds]
    with torch.random.fork_rng():
        return trials.run(changes, lambda: FitWatch(keep=True), whole=whole)


def _results(trials: Trials, done: Sequence[Trial]) -> list[Rate]:
    """The rates from high to low."""
    key = rate_key(trials)
    found = []
    for rate in merged(t.changes[key] for t in done):
        own = [t for t in done if t.changes[key] == rate]
        losses = [t.last_loss(AVERAGED) for t in own if not t.diverged]
        diverged = len(own) - len(losses)
        mean = sum(losses) / len(losses) if losses and not diverged else math.inf
        variance = sum((loss - mean) ** 2 for loss in losses) / max(len(losses) - 1, 1) if mean < math.inf else 0.0
        found.append(Rate(rate, mean, math.sqrt(variance), diverged))
    return found


def _table(trials: Trials, done: Sequence[Trial], found: Sequence[Rate], steps: int) -> Table:
    """Every rate's result; the spread is not known of a single seed, or where one diverged."""
    of_rate = Counter(trial.changes[rate_key(trials)] for trial in done)
    averaged = (
        f"the last {AVERAGED} of {steps} minibatch losses" if steps > AVERAGED else counted(steps, "minibatch loss")
    )
    return Table(
        f"Mean of {averaged}, {counted(max(of_rate.values()), 'seed')}",
        ["learning rate", "loss", "spread", "diverged"],
        [[r.rate, r.loss, r.spread if of_rate[r.rate] > 1 and not r.diverged else math.nan, r.diverged] for r in found],
    )


def find_range(found: Sequence[Rate], constant: float) -> Range | None:
    """The range of good rates, of results from high to low; None where no rate gets below a constant answer."""
    best = min(found, key=lambda r: r.loss)
    drop = constant - best.loss
    if not drop > 0:
        return None
    significant = [r for r in found if constant - r.loss >= SIGNIFICANT * drop]
    as_good = [r for r in significant if r.loss <= best.loss + max(AS_GOOD * drop, best.spread)]
    return Range(significant[-1].rate, significant[0].rate, max(r.rate for r in as_good), best, drop)


def _significant(found: Sequence[Rate], levels: Levels) -> bool:
    best = min(found, key=lambda r: r.loss)
    return levels.constant - best.loss > max(2 * best.spread, 0.1 * levels.span)


def _small_but_real(trials: Trials, found: Sequence[Rate], levels: Levels) -> bool:
    """Whether the loss drops by more than the seeds' spread, and simple methods are above chance on validation, too.

    Inputs that say little about the targets leave the loss near that of a constant, and nothing is wrong.
    """
    best = min(found, key=lambda r: r.loss)
    falls = levels.constant - best.loss > 2 * best.spread
    return falls and measure_references(trials.dataset, trials.loss).order.association >= CHANCE


def _nothing_drops(found: Sequence[Rate], levels: Levels, steps: int) -> Finding:
    best = min(found, key=lambda r: r.loss)
    if all(r.diverged for r in found):
        return Finding(
            "loss_exploded",
            f"every rate from {found[-1].rate:g} to {found[0].rate:g} diverges",
            overrides=("initialization=he",),
            why="Weights or inputs are too large, or the gradient is wrong.",
        )
    return Finding(
        "loss_does_not_fall",
        f"the best rate, {best.rate:g}, reaches {shown(best.loss)} in {steps} steps; a "
        f"constant answer has {shown(levels.constant)}",
        why="No rate drops the loss significantly on all the data, although a sample could be memorized: the "
        "labels may have little to do with the inputs.",
    )


def _judge_configured(configured: float | None, found: Sequence[Rate], limits: Range, levels: Levels) -> list[Finding]:
    """Whether the user's own rate is far off; the recipe goes on with its own."""
    own = next((r for r in found if configured is not None and math.isclose(r.rate, configured)), None)
    if own is None:
        return []
    gained = levels.constant - own.loss
    suggestion = f"optimizer.learning_rate={limits.stable:g}"
    if own.rate > FAR_ABOVE * limits.stable and gained < SIGNIFICANT * limits.drop:
        what = f"diverges for {own.diverged} seeds" if own.diverged else f"ends at {shown(own.loss)}"
        return [
            Finding(
                "learning_rate_too_high",
                f"the configured rate {own.rate:g} {what}; the largest stable one is "
                f"{limits.stable:g}, {shown(own.rate / limits.stable, 2)} times less",
                overrides=(suggestion,),
                level="note",
            )
        ]
    if own.rate * FAR_BELOW < limits.lowest and gained < TOO_LOW * limits.drop:
        return [
            Finding(
                "learning_rate_too_low",
                f"the configured rate {own.rate:g} ends at {shown(own.loss)}, the best at "
                f"{shown(limits.best.loss)}; the loss drops from {limits.lowest:g} on, "
                f"{shown(limits.stable / own.rate, 2)} times more is stable",
                overrides=(suggestion,),
                level="note",
            )
        ]
    return []


def _mixed_labels(trials: Trials, done: Sequence[Trial], limits: Range) -> list[Finding]:
    """Two classes that networks at the best rate do not tell apart, although they tell all others apart."""
    own = [t for t in done if t.changes[rate_key(trials)] == limits.best.rate and t.prediction is not None]
    predictions = [t.prediction for t in own if t.prediction is not None]
    if not predictions:
        return []
    prediction = torch.stack(predictions).double().mean(0)
    pair = mixed_pair(prediction, trials.dataset.train.targets[: len(prediction)])
    if pair is None or told_apart(*linear_held_out(trials.dataset, trials.loss), pair):
        return []
    names = trials.dataset.target_names
    return [
        Finding(
            "classes_mixed_up",
            f"of {pair.count} training examples of classes `{names[pair.first]}` and "
            f"`{names[pair.second]}`, {pair.right:.0%} get the right one of the two; every other pair of classes "
            f"at least {pair.others:.0%}",
        )
    ]
