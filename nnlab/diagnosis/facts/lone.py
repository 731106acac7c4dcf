"""Values so far from all others that a standardized column has no room for the rest: single ones, or a part of them.

One row with 1,000,000 in a column of values around 1 has nearly all of its variance: after division by the standard
deviation the others differ by hardly anything. A heavy tail is another matter: its values come ever nearer. So do those
of a column whose values are in different units, a part of them in grams among kilograms; there most are alike, too.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class LoneValues:
    """Single values that stretch the scale of their columns.

    Attributes:
        columns: names of the columns.
        value: the farthest in the first of them, in its own units where they are known.
        count: how many there are in the first column.
        others: standard deviation of its other values, as the network sees them.
    """

    columns: tuple[str, ...]
    value: float
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
    found = [(column, within) for column in suspects if (within := _within(part[:, column])) < NO_ROOM]
    return UnevenScale(tuple(column_name(dataset, column) for column, _ in found), found[0][1]) if found else None


def _within(values: Tensor) -> float:
    """The share of the standard deviation within which most values lie, without a number that many of them are."""
    levels, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    rest = values[(counts <= USUAL * len(values))[place]]
    if len(levels) < DISTINCT or len(rest) < DISTINCT:
        return 1.0
    return float((rest - rest.median()).abs().quantile(MOST_VALUES) / rest.std())


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
    return LoneValues(names, original(dataset, column, value), count, others)


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
