"""Final seeds that ended apart from the others, and what their curves say about the cause.

A seed has failed where it diverged, or is no better on validation than the constant answer although another is clearly
so: where none is, the columns may say nothing, and no seed stands apart. It is an outlier where it
is worse than the median of the others by more than `FAR` times their spread, by more than a tenth of what that median
gains over the constant, and by more than so few validation examples can say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from nnlab.diagnosis.facts.simple import SimpleModel, comparable
from nnlab.diagnosis.finding import Finding, shown
from nnlab.metric_names import HIGHER_IS_BETTER, title
from nnlab.recipe.candidate import deviation
from nnlab.recipe.given import FinalRun
from nnlab.recipe.nothing_found import CLEAR
from nnlab.recipe.trials import Trials
from nnlab.storage.history import read_curves

FAR = 4.0  # spreads of the other seeds
PART = 0.1  # of what these gain over the constant
FEWEST = 3  # seeds, of which one can be apart from the others
WINDOW = 20  # minibatch losses whose mean counts, or a twentieth of all where these are more
JUMP = 0.3  # of the way from the first loss to the lowest, that a jump goes back
STUCK = 0.3  # of the way from the others' last loss to the first one, that a loss stays above theirs


@dataclass(frozen=True)
class Apart:
    """A seed that ended apart.

    Attributes:
        seed: its number.
        failed: whether it diverged, or is no better than the constant although another is.
        by_rate: whether its curve is one of a learning rate that is too high.
        words: its number, its value beside that of the others, and the cause.
    """

    seed: int
    failed: bool
    by_rate: bool
    words: str


@dataclass(frozen=True)
class Network:
    """One network of the final runs.

    Attributes:
        seed: of its run; of an ensemble's member its position.
        name: what words call it.
        diverged: whether it did.
        value: its metric on validation; NaN without one.
        last: the last step of its training.
        steps, losses: its smoothed curve, see `_smooth`.
    """

    seed: int
    name: str
    diverged: bool
    value: float
    last: int
    steps: np.ndarray
    losses: np.ndarray


def networks(runs: Sequence[FinalRun], metric: str) -> list[Network]:
    """Each network of the runs: each run's own, or each member of an ensemble."""
    found = []
    for run in runs:
        curves = read_curves(Path(run.directory), statistics=False)
        for position, metrics in enumerate(run.alone("validation")):
            value, losses = metrics.get(metric), curves.losses
            seed, name, diverged, taken = run.seed, f"seed {run.seed}", run.status == "diverged", curves.steps
            if run.members:
                losses = curves.member_losses[:, position]
                seed, name, diverged = position, f"member {position}", value is None
                taken = taken[np.isfinite(losses)]
            last = int(taken[-1]) if len(taken) else 0
            smooth = _smooth(curves.steps, losses)
            found.append(Network(seed, name, diverged, math.nan if value is None else value, last, *smooth))
    return found


def apart(trials: Trials, runs: Sequence[FinalRun], constant: SimpleModel) -> list[Apart]:
    """The seeds that failed, and the outliers among the others, in the order of the runs."""
    metric = comparable(trials.metric, trials.dataset, trials.loss)
    sign = 1 if metric in HIGHER_IS_BETTER else -1
    level = constant.metrics["validation"].get(metric, math.nan)
    found, every = [], networks(runs, metric)
    for one in every:
        rest = [other for other in every if other is not one]
        others = [other.value for other in rest if math.isfinite(other.value)]
        examples = len(trials.dataset.validation)
        behind = not sign * (one.value - level) > 0 and _learned(metric, others, level, examples)
        failed = one.diverged or not math.isfinite(one.value) or behind
        noise = _noise(metric, one.value, examples)
        if failed or _far(sign, one.value, others, level, noise):
            by_rate, cause = _cause(one, rest)
            beside = [f"the others {shown(median(others), 4)}"] if others else []
            beside += [f"the constant {shown(level, 4)}"] if failed else []
            own = f"{title(metric)} {shown(one.value, 4)}" if math.isfinite(one.value) else f"no {title(metric)}"
            words = f"{one.name} has {own} on validation ({', '.join(beside)}): {cause}"
            found.append(Apart(one.seed, failed, by_rate, words))
    return found


def findings(seeds: Sequence[Apart]) -> list[Finding]:
    """What is wrong, a fault where a seed failed."""
    kinds = {True: "failed_seed", False: "outlying_seed"}
    unknown = "Too few steps, or chance: its training loss does not point to the learning rate."
    return [
        Finding(kinds[each.failed], each.words, why=unknown if each.failed and not each.by_rate else "")
        for each in seeds
    ]


def _noise(metric: str, value: float, examples: int) -> float:
    """Standard error of the difference between two networks that were measured on so many examples, at most.

    Of a share of the examples it is that of two independent shares; of an error of numbers about its size by the root
    of their count.
    """
    if metric in HIGHER_IS_BETTER and 0 <= value <= 1:
        return math.sqrt(2 * value * (1 - value) / examples)
    return abs(value) / math.sqrt(examples)


def _learned(metric: str, values: Sequence[float], level: float, examples: int) -> bool:
    """Whether the best of some networks is clearly better than the constant.

    Both meet the same examples. Of squared errors, the difference between a constant and predictions that explain a
    part R^2 of the variance has a standard error smaller by R than that of two independent errors.
    """
    if not values:
        return False
    higher = metric in HIGHER_IS_BETTER
    best = max(values) if higher else min(values)
    gained, error = (best - level if higher else level - best), _noise(metric, best, examples)
    if not higher and gained > 0:
        error *= math.sqrt(1 - (best / level) ** 2)
    return gained > CLEAR * error


def _far(sign: int, value: float, others: Sequence[float], level: float, noise: float) -> bool:
    if len(others) < FEWEST - 1:
        return False
    behind, gained = sign * (median(others) - value), sign * (median(others) - level)
    return behind > max(FAR * deviation(others), 2 * noise) and behind > PART * gained > 0


def _cause(one: Network, others: Sequence[Network]) -> tuple[bool, str]:
    """Whether the rate is too high by the training loss, and what that loss did, in words."""
    steps, losses = one.steps, one.losses
    if one.diverged:
        return True, f"it diverged at step {one.last}"
    if len(losses) < 2:
        return False, "it has hardly been trained"
    lowest = np.minimum.accumulate(losses)
    back = losses - lowest
    top = int(back.argmax())
    if back[top] > JUMP * (losses[0] - losses.min()) > 0 and not any(_jumps(other) for other in others):
        start = int(np.flatnonzero(back[: top + 1] <= 0)[-1])
        jump = f"from {shown(losses[start])} to {shown(losses[top])}"
        return True, f"its loss jumped {jump} after step {int(steps[start])}"
    ends = [float(other.losses[-1]) for other in others if len(other.losses)]
    if not ends:
        return False, f"its training loss is {shown(losses[-1])}"
    usual = median(ends)
    if losses[-1] - usual > STUCK * (losses[0] - usual) > 0:
        return True, f"its training loss stayed at {shown(losses[-1])}, where the others reached {shown(usual)}"
    same = f"its training loss is {shown(losses[-1])}, the others' {shown(usual)}"
    return False, f"{same}, so it is what it learned that does not hold for validation"


def _jumps(one: Network) -> bool:
    losses = one.losses
    if len(losses) < 2:
        return False
    return bool((losses - np.minimum.accumulate(losses)).max() > JUMP * (losses[0] - losses.min()))


def _smooth(steps: np.ndarray, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of consecutive minibatch losses (steps,), and the steps after which they end."""
    known = np.isfinite(losses)
    steps, losses = steps[known], losses[known]
    size = max(WINDOW, len(losses) // 20) if len(losses) > WINDOW else 1
    count = len(losses) // size
    if not count:
        return steps, losses
    return steps[size - 1 :: size][:count], losses[: count * size].reshape(count, size).mean(1)
