"""Split conformal prediction: sets of classes and intervals that hold the truth with a stated frequency.

Scores say how badly a prediction fits its target, on n examples that were not trained on. Of a new example the targets
are kept whose score is at most the ceil((n + 1) coverage)-th smallest of them: if old and new examples are drawn alike,
the truth is among them with at least that probability, whatever the network. Source: Vovk et al. 2005; the scores are
those of Sadinle et al. 2019, arXiv:1609.00451 (classes), and Lei et al. 2018, arXiv:1604.04173 (numbers; their
normalized form where standard deviations are predicted).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def class_scores(values: Array, targets: npt.NDArray[np.int64]) -> Array:
    """Scores (n, 1) of values (n, C), probabilities or not, and true classes (n,): minus the true class's value."""
    return -values[np.arange(len(values)), targets][:, None].astype(np.float64)


def number_scores(values: Array, std: Array | None, targets: Array) -> Array:
    """Scores (n, C) of numbers, all (n, C): distances from the truth, in predicted standard deviations if any."""
    distance = np.abs(values - targets)
    return distance if std is None else distance / std


def fewest(coverage: float) -> int:
    """How many examples a coverage needs at least: fewer have no score that high."""
    return math.ceil(coverage / (1 - coverage) * (1 - 1e-9))


def threshold(scores: Array, coverage: float) -> Array:
    """The largest score (C,) that is kept, of the scores (n, C) of n examples.

    Raises:
        ValueError: `coverage` is not in (0, 1), or asks for more examples than there are.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must be in (0, 1), got {coverage}")
    count = len(scores)
    place = math.ceil((count + 1) * coverage - 1e-9)
    if place > count:
        raise ValueError(f"a coverage of {coverage:g} needs at least {fewest(coverage)} examples, there are {count}")
    kept: Array = np.sort(scores, axis=0)[place - 1]
    return kept


def class_sets(values: Array, limit: Array) -> npt.NDArray[np.bool_]:
    """Which classes are in the set of each example, (n, C), from values (n, C) and a threshold (1,)."""
    return -values.astype(np.float64) <= limit


def intervals(values: Array, std: Array | None, limit: Array) -> tuple[Array, Array]:
    """Lower and upper ends (n, C) of the intervals around numbers (n, C)."""
    reach = limit if std is None else limit * std
    return values - reach, values + reach
