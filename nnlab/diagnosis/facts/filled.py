"""Gaps that were filled with a mean of each class: numbers that recur in otherwise fine columns, each with one target.

What is filled by the target knows it. A number that recurs in a column that hardly repeats any stands for no
measurement; where several such numbers each go with one class, or with targets between which no other's lie, and the
numbers next to them do not, and they are the mean, or the median, of the column's other values with such targets, they
were made from the target. (What is a function of the target, or stays as it is for a while as prices do, is not.)
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.columns import column_name
from nnlab.diagnosis.facts.levels import sample
from nnlab.types import Dataset

ROWS, COLUMNS, FEWEST = 4096, 1024, 100  # that are looked at
RECURS, FINE = 0.02, 0.3  # share of the rows with a number that recurs, and of different values in a fine column
LEAST = 8  # rows with a number that recurs
ONE_CLASS = 0.98  # share of such rows with the most frequent class
OTHERS, ERRORS = 5, 4.0  # other values with such targets at least, and standard errors of their mean from the number
ALIKE = 0.65  # share of the rows with the next numbers whose target is as that of a number that means something


@dataclass(frozen=True)
class Filled:
    """Columns with numbers that go with one target each.

    Attributes:
        columns: their names.
        values: how many such numbers the first of them has.
        share: of its rows that have one.
    """

    columns: tuple[str, ...]
    values: int
    share: float


def find_filled(dataset: Dataset) -> Filled | None:
    """The columns that were filled by the target, if there are any."""
    if len(dataset.input_shape) != 1 or dataset.input_size > COLUMNS or len(dataset.train) < FEWEST:
        return None
    part = sample(dataset.train, ROWS)
    targets = part.targets.cpu()
    goal = targets.reshape(len(targets), -1)[:, 0]
    found = []
    for column, values in enumerate(part.inputs.cpu().T):
        levels, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
        often = (counts >= max(RECURS * len(values), LEAST)).nonzero().flatten().tolist()
        if len(often) < 2 or len(levels) < FINE * len(values):
            continue
        groups = [goal[place == level] for level in often]
        if not _apart(groups) or not all(map(functools.partial(_central, values, place, goal), often, groups)):
            continue
        if _as_next_to(groups, [goal[_next_to(values, levels[level])] for level in often]) < ALIKE:
            found.append((column, len(often), sum(map(len, groups)) / len(values)))
    if not found:
        return None
    return Filled(tuple(column_name(dataset, column) for column, *_ in found), *found[0][1:])


def _central(values: Tensor, place: Tensor, goal: Tensor, level: int, group: Tensor) -> bool:
    """Whether a number that recurs is the mean or the median of the column's other values with such targets."""
    own, low, high = values[place == level][0], group.min(), group.max()
    if not group.is_floating_point():
        low = high = group.mode().values
    others = values[(goal >= low) & (goal <= high) & (place != level)].double()
    if len(others) < OTHERS:
        return False
    error = ERRORS * float(others.std()) / math.sqrt(len(others))
    away = (others.mean() - own, others.median() - own)
    return any(abs(float(each)) <= error for each in away)


def _apart(groups: list[Tensor]) -> bool:
    """Whether groups of targets have one class each, not all the same, or intervals that do not overlap."""
    if groups[0].is_floating_point():
        ordered = sorted(groups, key=lambda group: float(group.mean()))
        return all(float(a.max()) <= float(b.min()) for a, b in itertools.pairwise(ordered))
    modes = [int(group.mode().values) for group in groups]
    pure = all(float((group == mode).double().mean()) >= ONE_CLASS for group, mode in zip(groups, modes, strict=True))
    return pure and len(set(modes)) > 1


def _next_to(values: Tensor, number: Tensor) -> Tensor:
    """Positions of the rows with the numbers next to one that recurs, as many as have that one."""
    distance = (values - number).abs()
    same = distance == 0
    return distance.masked_fill(same, torch.inf).topk(min(int(same.sum()), int((~same).sum())), largest=False).indices


def _as_next_to(groups: list[Tensor], others: list[Tensor]) -> float:
    """The mean over groups of the share of the others' targets that lie within the group's range, or are its class."""
    shares = []
    for group, other in zip(groups, others, strict=True):
        low, high = (group.min(), group.max()) if group.is_floating_point() else (group.mode().values,) * 2
        shares.append(float(((other >= low) & (other <= high)).double().mean()))
    return sum(shares) / len(shares)
