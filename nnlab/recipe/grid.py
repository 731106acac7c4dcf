"""Configurations compared over seeds: each one's score is its lowest validation loss (mean of three epochs).

Scores of the same seeds are paired: the same initial weights and data order meet the same splits, so that the spread
of the differences, not of the scores, says whether one configuration is better. So are the validation examples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nnlab.recipe.rates import rate_key
from nnlab.recipe.report import TrialRecord
from nnlab.recipe.trials import Changes, Trial, Trials, primary_metric, record, run_trials
from nnlab.recipe.watch import FitWatch

DECAY_KEY = "regularizer.weight_decay.strength"


@dataclass(frozen=True)
class Result:
    """A configuration's outcome.

    Attributes:
        changes: what distinguishes it, without the seed.
        scores: lowest validation loss of each seed; infinite where it diverged.
        metrics: the primary metric on validation at those points.
        fits: loss on the training split at those points.
        epochs: passes over the data until then.
        examples: loss of each validation example (N,), mean over seeds; None where it was not kept.
    """

    changes: Changes
    scores: Sequence[float]
    metrics: Sequence[float]
    fits: Sequence[float]
    epochs: Sequence[float]
    examples: Tensor | None = field(default=None, compare=False)

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return mean(self.scores)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds."""
        return deviation(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "changes": dict(self.changes),
            "scores": list(self.scores),
            "metrics": list(self.metrics),
            "fits": list(self.fits),
            "epochs": list(self.epochs),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Result:
        """What `to_dict` gave, after it went through JSON, where infinity is null."""

        def numbers(name: str) -> list[float]:
            return [math.inf if value is None else value for value in content[name]]

        return cls(content["changes"], numbers("scores"), numbers("metrics"), numbers("fits"), numbers("epochs"))


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """Standard deviation, dividing by n - 1; 0 for a single value, NaN where one is not finite."""
    if len(values) < 2:
        return 0.0
    if not all(map(math.isfinite, values)):
        return math.nan
    centre = mean(values)
    return math.sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1))


def gain(new: Result, old: Result) -> tuple[float, float]:
    """How much lower the new scores are, and the standard error of that difference.

    Both the seeds (those that both have) and the validation examples are samples, so their variances add up: on a
    small validation split, a few examples decide between configurations, and not in the same way as those of the test.
    """
    count = min(len(new.scores), len(old.scores))
    differences = [o - n for n, o in zip(new.scores[:count], old.scores[:count], strict=True)]
    error = deviation(differences) / math.sqrt(count)
    if new.examples is None or old.examples is None:
        return mean(differences), error
    apart = old.examples - new.examples
    return mean(differences), math.hypot(error, float(apart.std()) / math.sqrt(len(apart)))


def run_grid(
    trials: Trials, candidates: Sequence[Changes], seeds: Sequence[int], points: int = 60
) -> tuple[list[Result], list[TrialRecord]]:
    """Train every candidate with every seed; results in the order of the candidates."""
    first = int(trials.value("seed", 0))
    changes = [{**candidate, "seed": first + seed} for candidate in candidates for seed in seeds]
    done = run_trials(trials, changes, FitWatch, held_out=True, fastest=True)
    results, records = [], []
    for position, candidate in enumerate(candidates):
        own = done[position * len(seeds) : (position + 1) * len(seeds)]
        results.append(_result(trials, candidate, own))
        records += [record(trials, t, name_of(trials, t.changes), points) for t in own]
    return results, records


def _result(trials: Trials, candidate: Changes, own: Sequence[Trial]) -> Result:
    metric = primary_metric(trials)
    best = [trial.best("loss/validation") for trial in own]
    return Result(
        candidate,
        [score for _, score in best],
        [t.at(f"{metric}/validation", step) for t, (step, _) in zip(own, best, strict=True)],
        [t.at("loss/fit", step) for t, (step, _) in zip(own, best, strict=True)],
        [step / t.batches for t, (step, _) in zip(own, best, strict=True)],
        torch.stack([t.held_out for t in own if t.held_out is not None]).mean(0),
    )


def name_of(trials: Trials, changes: Changes) -> str:
    """A short name: the rate, the decay, what else distinguishes it, and the seed."""
    words = {rate_key(trials): "rate", DECAY_KEY: "decay", "trainer.epochs": "epochs"}
    parts = [f"{word} {changes[key]:g}" for key, word in words.items() if changes.get(key) is not None]
    hidden = (*words, "seed", "regularizer", "trainer.", "scheduler", "data/augmentation")
    parts += [f"{key.rpartition('.')[2]} {value}" for key, value in changes.items() if not key.startswith(hidden)]
    parts += [str(changes[key]) for key in ("scheduler",) if changes.get(key, "constant") != "constant"]
    parts += [str(name) for name in changes.get("data/augmentation", [])]
    parts += [
        f"{name} {changes.get(f'regularizer.{name}.p', '')}".strip()
        for name in changes.get("regularizer", [])
        if name != "weight_decay"
    ]
    return " ".join([*parts, *([f"seed {changes['seed']}"] if "seed" in changes else [])])


def rows(trials: Trials, results: Sequence[Result]) -> list[list[Any]]:
    """Rows of a table, best first: rate, decay, score, spread, primary metric, loss on the training split, epochs."""
    ranked = sorted(results, key=lambda r: r.score)
    return [
        [
            r.changes.get(rate_key(trials)),
            r.changes.get(DECAY_KEY),
            r.score,
            r.spread,
            mean(r.metrics),
            mean(r.fits),
            mean(r.epochs),
        ]
        for r in ranked
    ]


def columns(trials: Trials) -> list[str]:
    """The columns of `rows`."""
    metric = primary_metric(trials)
    return ["learning rate", "weight decay", "validation loss", "spread", metric, "training loss", "best epoch"]


def differences(results: Sequence[Result]) -> str:
    """Which differences from the best are larger than the seeds' spread, in a sentence."""
    ranked = sorted(results, key=lambda r: r.score)
    best, others = ranked[0], ranked[1:]
    behind = [other for other in others if _clearly(best, other)]
    if not others:
        return ""
    if not behind:
        if len(others) == 1:
            return "the other cannot be told from it (twice the standard error)"
        return f"none of the {len(others)} others can be told from it (twice the standard error)"
    rest = ", the rest cannot be told from it" if len(behind) < len(others) else ""
    return f"{len(behind)} of {len(others)} others are worse by more than twice the standard error{rest}"


def _clearly(best: Result, other: Result) -> bool:
    difference, error = gain(best, other)
    return not math.isfinite(difference) or difference > 2 * error
