"""Values so far from all others that a standardized column has no room for the rest: single ones, or a part of them.

One row with 1,000,000 in a column of values around 1 has nearly all of its variance: after division by the standard
deviation the others differ by hardly anything. A heavy tail is another matter: its values come ever nearer. So do those
of a column whose values are in different units, a part of them in grams among kilograms; there most are alike, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.columns import column_name
from nnlab.diagnosis.facts.values import original
from nnlab.types import Dataset

MOST, COLUMNS, FEWEST = 1 << 24, 1024, 60  # numbers, columns and rows that are looked at
ROWS = 4096  # for the scale of a column
LONE = 3  # values at most
ALL = 0.9  # share of the squared deviations that they have
GAP = 0.1  # of their distance from the middle, within which all others are
MOST_VALUES, NO_ROOM = 0.6, 0.01  # share of the values that lie within so much of the column's standard deviation
USUAL, DISTINCT = 0.2, 30  # share of one number that says nothing about scale, and different values that do
UNIT, APART = 50.0, 20.0  # times by which levels in another unit are larger, and those that no level lies between


@dataclass(frozen=True)
class LoneValues:
    """Single values that stretch the scale of their columns.

    Attributes:
        columns: names of the columns.
        value: the farthest in the first of them, in its own units where they are known; None where they are not.
        count: how many there are in the first column.
        others: standard deviation of its other values, as the network sees them.
    """

    columns: tuple[str, ...]
    value: float | None
    count: int
    others: float


@dataclass(frozen=True)
class UnevenScale:
    """Columns most of whose values look alike, because the others are so much larger.

    Attributes:
        columns: their names.
        within: the share of the first column's standard deviation within which most of its values lie.
    """

    columns: tuple[str, ...]
    within: float


def find_uneven_scale(dataset: Dataset) -> UnevenScale | None:
    """Columns of the training split whose scale a part of their values decides, if there are any."""
    inputs = dataset.train.inputs
    if not isinstance(inputs, Tensor) or inputs.ndim != 2 or not FEWEST * inputs.shape[1] <= inputs.numel() <= MOST:
        return None
    if inputs.shape[1] > COLUMNS:
        return None
    part = inputs[:: max(len(inputs) // ROWS, 1)].double()
    distance = (part - part.median(0).values).abs()
    suspects = (distance.quantile(MOST_VALUES, 0) < NO_ROOM * part.std(0)).nonzero().flatten().tolist()
    found = [(column, within) for column in suspects if (within := _within(dataset, column, part[:, column])) < NO_ROOM]
    return UnevenScale(tuple(column_name(dataset, column) for column, _ in found), found[0][1]) if found else None


def _within(dataset: Dataset, column: int, values: Tensor) -> float:
    """The share of the standard deviation within which most values lie, without a number that many of them are."""
    levels, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    if len(levels) < DISTINCT:
        own = [original(dataset, column, level) for level in levels.tolist()]
        small = _in_two_units([level for level in own if level is not None]) if None not in own else 0
        known = values[place < small]
        return float((known.max() - known.min()) / 2 / values.std()) if small else 1.0
    rest = values[(counts <= USUAL * len(values))[place]]
    if len(rest) < DISTINCT:
        return 1.0
    return float((rest - rest.median()).abs().quantile(MOST_VALUES) / rest.std())


def _in_two_units(levels: Sequence[float]) -> int:
    """How many of the ordered levels are the small ones, where the others are two of these or more in another unit.

    >>> _in_two_units([0, 1, 2, 3, 1000, 2000, 3000]), _in_two_units([1, 10, 100, 1000]), _in_two_units([0, 1, 2, 3])
    (4, 0, 0)
    >>> _in_two_units([-3, -2, -1, 0]), _in_two_units([0, 0, 0, 0])
    (0, 0)
    """
    for small in range(2, len(levels) - 1):
        low, high = levels[:small], levels[small:]
        if low[0] < 0 or low[-1] == 0 or high[0] <= APART * low[-1] or high[-1] <= UNIT * low[-1]:
            continue
        ratio = high[-1] / low[-1]
        if all(any(abs(value / ratio - each) < 1e-3 * each for each in low) for value in high):
            return small
    return 0


def find_lone_values(dataset: Dataset) -> LoneValues | None:
    """Lone values in the inputs of the training split, if there are any."""
    inputs = dataset.train.inputs
    if not isinstance(inputs, Tensor) or inputs.ndim != 2 or inputs.numel() > MOST:
        return None
    if inputs.shape[1] > COLUMNS or len(inputs) < FEWEST:
        return None
    deviations = (inputs - inputs.mean(0)).double().square()
    total = deviations.sum(0)
    most = deviations.amax(0)
    # The farthest of up to `LONE` values that have nearly all squared deviations has a third of them at least.
    suspects = (most > ALL / LONE * total).nonzero().flatten().tolist()
    found = [(column, *lone) for column in suspects if (lone := _lone(inputs[:, column].double())) is not None]
    if not found:
        return None
    column, value, count, others = found[0]
    names = tuple(column_name(dataset, each[0]) for each in found)
    own = original(dataset, column, value)
    return LoneValues(names, None if own is None or math.isinf(own) else own, count, others)


def _lone(values: Tensor) -> tuple[float, int, float] | None:
    """The farthest value of a column, how many are as lone, and the standard deviation of the others; None: no such."""
    distance = (values - values.median()).abs()
    order = distance.argsort(descending=True)
    for count in range(1, LONE + 1):
        nearest, next_one = float(distance[order[count - 1]]), float(distance[order[count]])
        rest = values[order[count:]]
        low, high = rest.quantile(rest.new_tensor([0.1, 0.9])).tolist()
        if next_one < GAP * nearest and high > low:  # a column that is one number nearly always has no scale to lose
            squares = (values - values.mean()).square()
            if float(squares[order[:count]].sum()) > ALL * float(squares.sum()) and len(torch.unique(rest)) > LONE:
                return float(values[order[0]]), count, float(rest.std())
    return None
