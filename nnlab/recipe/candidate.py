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

from nnlab.recipe.changes import Changes


@dataclass(frozen=True)
class Candidate:
    """A configuration with its outcome.

    Attributes:
        changes: what distinguishes it, without the seed.
        scores: lowest validation loss of each seed; infinite where it diverged.
        metrics: the primary metric on validation at those points.
        fits: loss on the training split at those points.
        epochs: passes over the data until then.
        examples: losses of the validation examples (S, N) of each of S seeds; None where they were not kept.
        classes: whether the targets are classes.
        folds: parts of the data that take turns as validation split; 1: all seeds have the same validation examples.
    """

    changes: Changes
    scores: Sequence[float]
    metrics: Sequence[float]
    fits: Sequence[float]
    epochs: Sequence[float]
    examples: Tensor | None = field(default=None, compare=False)
    folds: int = field(default=1, compare=False)
    classes: bool = field(default=False, compare=False)

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return mean(self.scores)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds."""
        return deviation(self.scores)

    def joined(self, more: Candidate) -> Candidate:
        """The same configuration with further seeds."""
        kept = None if self.examples is None or more.examples is None else torch.cat([self.examples, more.examples])
        return Candidate(
            self.changes,
            [*self.scores, *more.scores],
            [*self.metrics, *more.metrics],
            [*self.fits, *more.fits],
            [*self.epochs, *more.epochs],
            kept,
            self.folds,
            self.classes,
        )

    def after(self, seeds: int) -> Candidate:
        """The same configuration without its first seeds."""
        kept = None if self.examples is None else self.examples[seeds:]
        scores, metrics = self.scores[seeds:], self.metrics[seeds:]
        fits, epochs = self.fits[seeds:], self.epochs[seeds:]
        return Candidate(self.changes, scores, metrics, fits, epochs, kept, self.folds, self.classes)

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
    def from_dict(cls, content: Mapping[str, Any]) -> Candidate:
        """What `to_dict` gave, read from JSON, where scores that diverged are null, and what is missing."""

        def numbers(name: str, missing: float = math.nan) -> list[float]:
            return [missing if value is None else value for value in content[name]]

        scores = numbers("scores", math.inf)
        return cls(content["changes"], scores, numbers("metrics"), numbers("fits"), numbers("epochs"))


def best_first(candidates: Sequence[Candidate], rate_key: str) -> list[Candidate]:
    """Candidates by their score; of those that the validation examples cannot tell apart, the lowest rate first.

    n validation examples of classes that are all answered right say little about losses below 1/n: a network of a high
    rate has a loss of 0 there, and a large one at the first example that it gets wrong.
    """
    return sorted(candidates, key=lambda each: _rank(each, rate_key))


def _rank(candidate: Candidate, rate_key: str) -> tuple[float, float]:
    seen = 0 if candidate.examples is None else candidate.examples.numel()
    known = bool(candidate.classes and seen)
    return max(candidate.score, 1 / seen if known else -math.inf), float(candidate.changes.get(rate_key) or 0.0)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """Standard deviation, dividing by n - 1; 0 for a single value, NaN where one is not finite."""
    if len(values) < 2:
        return 0.0
    if not all(map(math.isfinite, values)):
        return math.nan
    center = mean(values)
    return math.sqrt(sum((value - center) ** 2 for value in values) / (len(values) - 1))


def gain(new: Candidate, old: Candidate) -> tuple[float, float]:
    """How much lower the new scores are, and the standard error of that difference.

    Both the seeds (those that both have) and the validation examples are samples. Where all seeds share their
    validation examples, their variances add up: on a small validation split, a few examples decide between
    configurations, and not in the same way as those of the test. Where parts of the data take turns, the spread over
    seeds is that over examples too, as is that over all examples, and the larger of the two counts.
    """
    count = min(len(new.scores), len(old.scores))
    differences = [o - n for n, o in zip(new.scores[:count], old.scores[:count], strict=True)]
    error = deviation(differences) / math.sqrt(count)
    if new.examples is None or old.examples is None:
        return mean(differences), error
    apart = old.examples[:count] - new.examples[:count]
    if new.folds > 1:
        return mean(differences), max(error, float(apart.std()) / math.sqrt(apart.numel()), key=_known)
    over_seeds = apart.mean(0)
    return mean(differences), math.hypot(error, float(over_seeds.std()) / math.sqrt(len(over_seeds)))


def _known(value: float) -> float:
    return value if math.isfinite(value) else math.inf
