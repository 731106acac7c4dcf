"""The smallest step of a metric: what one example more or less changes.

An accuracy is a count of n examples, so that all its values are multiples of 1/n; n is read off the values. The other
metrics of classes step by less regular amounts, of which the smallest that was seen is taken. A loss has no steps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from nnlab.errors import UserError
from nnlab.metric_names import THOROUGH
from nnlab.storage.history import read_curves

MOST_EXAMPLES = 20_000  # beyond which one example tells too little to matter
COARSE = 0.01  # a step from which more values are looked at: those of few runs may share a divisor by chance
ROUNDING = 1e-7  # of a share in single precision


def smallest_step(values: Iterable[float], name: str) -> float:
    """The smallest step of a metric, from its values in several runs; 0 where it has none that matters.

    >>> round(1 / smallest_step([71 / 72, 70 / 72, 67 / 72], "accuracy")), smallest_step([0.31, 0.32], "loss")
    (72, 0.0)
    >>> round(smallest_step([0.75, 0.5, 0.9], "balanced_accuracy"), 3)
    0.1
    """
    distinct = sorted({0.0, 1.0, *values})
    if name == "accuracy":
        counts = (n for n in range(1, MOST_EXAMPLES + 1) if all(_whole(each * n, n) for each in distinct))
        return 1.0 / next(counts, float("inf"))
    if name in THOROUGH:
        gaps = (high - low for low, high in itertools.pairwise(distinct))
        return min(gap for gap in gaps if gap > ROUNDING)
    return 0.0


def measured(run: Path, tag: str) -> Sequence[float]:
    """What a run measured of a metric in the course of its training; nothing where that cannot be read."""
    try:
        series = read_curves(run, statistics=False).validation.get(tag)
    except (UserError, OSError):
        return []
    return [] if series is None else [float(value) for value in series.values if math.isfinite(value)]


def _whole(count: float, examples: int) -> bool:
    return abs(count - round(count)) < ROUNDING * examples
