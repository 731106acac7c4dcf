"""Single values so far from all others that a standardized column has no room for the rest.

One row with 1,000,000 in a column of values around 1 has nearly all of its variance: after division by the standard
deviation the others differ by hardly anything. A heavy tail is another matter: its values come ever nearer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.columns import column_name
from nnlab.diagnosis.facts.values import original
from nnlab.types import Dataset

MOST, COLUMNS, FEWEST = 1 << 24, 1024, 60  # numbers, columns and rows that are looked at
LONE = 3  # values at most
ALL = 0.9  # share of the squared deviations that they have
GAP = 0.1  # of their distance from the middle, within which all others are


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
