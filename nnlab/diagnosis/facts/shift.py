"""Whether validation examples can be told from training examples, and by which columns.

A classifier on inputs, their squares and, where there are few, their products is fitted on one half of both splits and
asked about the other (a classifier two-sample test; Lopez-Paz and Oquab 2017, arXiv:1610.06545). Each column, and the
target, are compared by the largest distance of their distribution functions (Kolmogorov and Smirnov).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.chance import ranks
from nnlab.diagnosis.facts.columns import levels_of
from nnlab.diagnosis.facts.levels import is_large, thumbnails
from nnlab.types import Dataset, Split

ROWS = 2048  # of each split
FEATURES = 600  # of the classifier
TELLS, SURE = 0.6, 5.0  # area under its curve, and standard deviations above chance, from which splits differ
RARE = 1e-5  # probability with which any column differs by chance
APART = 0.15  # least distance of distribution functions worth speaking of
WIDER = 3.0  # ratio of the standard deviations of another scale
MOSTLY = 0.5  # of the validation rows, whose categories must be known
BEYOND = 0.6  # share of the validation that lies outside of the training's range in a sorted split


@dataclass(frozen=True)
class Column:
    """A column that differs: its number, -1 for the target; its distance, means and standard deviations."""

    number: int
    distance: float
    means: tuple[float, float]
    stds: tuple[float, float]
    beyond: float


@dataclass(frozen=True)
class Shift:
    """How the validation split differs from the training split.

    Attributes:
        area: under the curve of the classifier that tells them apart; 0.5 is chance.
        deviations: by which that is above chance.
        columns: those that differ, the farthest first.
        features: how many columns there are.
        squares: whether they are averages over squares of large images.
    """

    area: float
    deviations: float
    columns: tuple[Column, ...]
    features: int
    squares: bool = False

    @property
    def differs(self) -> bool:
        """Whether the two can be told apart."""
        return (self.area > TELLS and self.deviations > SURE) or bool(self.columns)

    @property
    def rescaled(self) -> bool:
        """Whether most columns have another scale."""
        wider = [max(c.stds) > WIDER * max(min(c.stds), 1e-12) for c in self.columns if c.number >= 0]
        return len(wider) > 0.5 * self.features and sum(wider) > 0.7 * len(wider)

    @property
    def sorted_by(self) -> Column | None:
        """The column whose validation values lie beyond those of the training split."""
        far = [column for column in self.columns if column.beyond > BEYOND]
        return far[0] if len(far) in range(1, max(2, self.features // 4 + 1)) else None


def measure_shift(dataset: Dataset) -> Shift:
    """Compare the training and the validation split."""
    train, held = thumbnails(dataset.train, ROWS), thumbnails(dataset.validation, ROWS)
    train, held = _without_names(dataset, train, held)
    held = _without_unseen(dataset, train, held)
    x, z = train.inputs.flatten(1).double(), held.inputs.flatten(1).double()
    if min(len(x), len(z)) < 20:
        return Shift(0.5, 0.0, (), x.shape[1])
    area = _told_apart(x, z)
    spread = math.sqrt((len(x) + len(z) + 1) / (12 * len(x) * len(z)))
    columns = tuple(_columns(train, held, x, z))
    return Shift(area, (area - 0.5) / spread, columns, x.shape[1], is_large(dataset.input_shape))


def _without_names(dataset: Dataset, train: Split, held: Split) -> tuple[Split, Split]:
    """With zeros for a category whose levels hardly recur: a name or a text, of which new rows have others."""
    start, kept = 0, torch.ones(dataset.input_size, device=train.inputs.device)
    for kind, count in dataset.input_columns:
        if kind == "category" and levels_of(dataset, start) > MOSTLY * len(dataset.train):
            kept[start : start + count] = 0
        start += count
    if bool(kept.all()):
        return train, held
    return Split(train.inputs * kept, train.targets), Split(held.inputs * kept, held.targets)


def _without_unseen(dataset: Dataset, train: Split, held: Split) -> Split:
    """Without the rows with a rare category that no training row has, by chance: it is coded like none of theirs."""
    seen, start = torch.ones(len(held), dtype=torch.bool), 0
    for kind, count in dataset.input_columns:
        if kind == "category":
            own = slice(start, start + count)
            _, code = torch.unique(torch.cat([train.inputs[:, own], held.inputs[:, own]]), dim=0, return_inverse=True)
            seen &= torch.isin(code[len(train) :], code[: len(train)]).cpu()
        start += count
    return held if bool(seen.all()) or seen.double().mean() < MOSTLY else Split(held.inputs[seen], held.targets[seen])


def _told_apart(x: Tensor, z: Tensor) -> float:
    """The area under the curve of held-out answers, (N, D) against (n, D)."""
    rows = torch.cat([x, z])
    goal = torch.cat([torch.zeros(len(x)), torch.ones(len(z))]).double()
    mean, std = rows.mean(0), rows.std(0).clamp(min=1e-9)
    rows = ((rows - mean) / std).clamp(-5, 5)
    if rows.shape[1] > FEATURES // 2:
        draw = torch.Generator().manual_seed(0)
        rows = rows @ torch.randn(rows.shape[1], FEATURES // 4, generator=draw, dtype=rows.dtype) / rows.shape[1] ** 0.5
    features = [rows, rows.square()]
    pairs = rows.shape[1] * (rows.shape[1] - 1) // 2
    if 0 < pairs <= FEATURES // 2:
        i, j = torch.triu_indices(rows.shape[1], rows.shape[1], 1)
        features.append(rows[:, i] * rows[:, j])
    design = torch.cat(features, 1)
    design = design - design.mean(0)
    weight = torch.where(goal > 0, len(rows) / (2 * len(z)), len(rows) / (2 * len(x)))
    halves = torch.arange(len(rows)) % 2
    answers = torch.zeros(len(rows), dtype=rows.dtype)
    for half in (0, 1):
        fit, asked = halves != half, halves == half
        a, w, y = design[fit], weight[fit, None], goal[fit, None] - 0.5
        gram = a.T @ (w * a)
        gram.diagonal().add_(0.05 * len(a))
        answers[asked] = (design[asked] @ torch.linalg.solve(gram, a.T @ (w * y)))[:, 0]
    order = ranks(answers.unsqueeze(1))[:, 0]
    positive = goal > 0
    wins = float(order[positive].sum()) - len(z) * (len(z) + 1) / 2
    return wins / (len(x) * len(z))


def _columns(train: Split, held: Split, x: Tensor, z: Tensor) -> list[Column]:
    """The columns that differ beyond chance, the target included."""
    values = [(number, x[:, number], z[:, number]) for number in range(x.shape[1])]
    goals = train.targets.double().reshape(len(train), -1), held.targets.double().reshape(len(held), -1)
    values += [(-1, goals[0][:, k], goals[1][:, k]) for k in range(goals[0].shape[1])]
    limit = math.sqrt(-math.log(RARE / 2 / len(values)) / 2 * (len(x) + len(z)) / (len(x) * len(z)))
    found = []
    for number, first, second in values:
        distance = _distance(first, second)
        if distance > max(limit, APART):
            low, high = float(first.min()), float(first.max())
            beyond = float(((second < low) | (second > high)).double().mean())
            means = float(first.mean()), float(second.mean())
            found.append(Column(number, distance, means, (float(first.std()), float(second.std())), beyond))
    return sorted(found, key=lambda column: -column.distance)


def _distance(first: Tensor, second: Tensor) -> float:
    """The largest distance of two distribution functions."""
    points = torch.cat([first, second]).unique()
    one = torch.searchsorted(first.sort().values.contiguous(), points, right=True) / len(first)
    two = torch.searchsorted(second.sort().values.contiguous(), points, right=True) / len(second)
    return float((one - two).abs().max())
