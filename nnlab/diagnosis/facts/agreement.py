"""How many rows agree by chance.

In a table of a few coarse columns (education, sex, region) people share all of them without being the same person. A
row that agrees with a training row by chance has neighbors, rows that agree in every column but one; a copy of a row of
fine measurements has none. With B_j training rows that differ from it in column j alone, and a share q_j of rows that
have its value there, chance alone gives

    e_j = B_j q_j / (1 - q_j)

rows that agree in all; a row for which every e_j is small is a copy. The target counts as one more column: where rows
agree in their inputs and differ in their targets, agreeing in both is chance, too. That no other row has a value does
not mean that none could: whole weeks, or days between two dates, recur by chance. So q_j is at least

- r / n, where a value that one row has is expected in r = 2 N_2 / N_1 further ones if N_1 values of the column are in
  one row and N_2 in two (Good 1953),
- and where all values are multiples of a step, the share of rows near it over the number of steps that they span.

Both are zero, or nearly so, of measurements with many digits. Equal rows count once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nnlab.diagnosis.facts.levels import sample
from nnlab.streaming import READ, at_once, pieces
from nnlab.types import Split

RECURRING = 8192  # rows from which it is estimated how often seldom values recur
BESIDE = 8  # rows to each side of a value that say how dense they are there
OFF = 0.1  # of a step up to which a value counts as a multiple of it
NUMBERS = 8  # different values of a column from which they are numbers, and not codes


def same_target(first: Tensor, second: Tensor, all_targets: Tensor) -> Tensor:
    """Whether targets are the same, of numbers up to a thousandth of the deviation of all."""
    if not first.is_floating_point():
        return first == second
    scale = all_targets.std(0) if len(all_targets) > 1 else torch.ones_like(all_targets[0])
    return ((first - second).abs() <= 1e-3 * scale).all(-1)


class _Rates:
    """How often values of a column that no other row has are met by chance.

    Args:
        rows: (n, D), of which equal ones count once.
    """

    def __init__(self, rows: Tensor) -> None:
        self.columns = torch.unique(rows, dim=0).sort(0).values
        self.seldom, self.step = zip(*map(_recurrence, self.columns.T), strict=True)

    def __call__(self, rows: Tensor) -> Tensor:
        """The probability (n, D) that a row has the same value as each of these (n, D), by column."""
        count, found = len(self.columns), torch.zeros_like(rows)
        for column, (seldom, step) in enumerate(zip(self.seldom, self.step, strict=True)):
            ordered, values = self.columns[:, column].contiguous(), rows[:, column].contiguous()
            place = torch.searchsorted(ordered, values)
            low, high = (ordered[(place + shift).clamp(0, count - 1)] for shift in (-BESIDE, BESIDE))
            beside = torch.searchsorted(ordered, high, right=True) - torch.searchsorted(ordered, low)
            dense = beside / ((high - low) / step + 1) if step else torch.zeros_like(values)
            found[:, column] = dense.clamp(min=seldom) / count
        return found


def _recurrence(ordered: Tensor) -> tuple[float, float]:
    """How many further rows (at most 1) have a value that one row has, and the step of all, or 0 if there is none."""
    values, times = torch.unique_consecutive(ordered, return_counts=True)
    once, twice = int((times == 1).sum()), int((times == 2).sum())
    if len(values) < NUMBERS:
        return 0.0, 0.0
    step = float(values.diff().min())
    steps = (values - values[0]).double() / step
    multiples = (steps - steps.round()).abs() < OFF
    return min(2 * twice / max(once, 1), 1.0) if once else 0.0, step if bool(multiples.all()) else 0.0


@dataclass
class _Counts:
    """Training rows in relation to a row and its target.

    Attributes:
        agree: that have its value, by column (D,).
        copies: that agree in all columns; `other`: of these those with another target.
        same: with its target, that are no copies.
        one: that differ in one column alone, by column (D,).
        two: that differ in two columns, by these; only such as have two values.
    """

    agree: Tensor
    one: Tensor
    two: Counter[tuple[int, ...]] = field(default_factory=Counter)
    copies: int = 0
    other: int = 0
    same: int = 0


class Agreement:
    """The training rows, among which chance is estimated.

    Args:
        train: the training split, of vectors.
    """

    def __init__(self, train: Split) -> None:
        self.train, self.sample = train, sample(train, len(train)).inputs
        few = train.inputs[:1000]
        self.binary = ((few == few.amin(0)) | (few == few.amax(0))).all(0)
        self.rates = _Rates(sample(train, RECURRING).inputs)

    def chances(self, rows: Tensor, targets: Tensor) -> list[float]:
        """How many training rows agree with each of these (n, D) and their targets by chance: the largest e_j.

        Where columns depend on each other (all that a county says about its people), only the others tell.
        """
        none = torch.zeros_like(rows, dtype=torch.int64)
        found = [_Counts(agree, one) for agree, one in zip(none.clone(), none, strict=True)]
        inputs, count = self.train.inputs, at_once(self.train.inputs, READ, len(self.train))
        for start, piece in zip(range(0, len(inputs), count), pieces(inputs, count), strict=True):
            part = Split(piece, self.train.targets[start : start + count])
            for row, target, counts in zip(rows, targets, found, strict=True):
                self._count(part, row, target, counts)
        each = zip(rows, found, self.rates(rows), strict=True)
        return [self._chance(row, counts, rates) for row, counts, rates in each]

    def _count(self, part: Split, row: Tensor, target: Tensor, counts: _Counts) -> None:
        """Add those among a part of the training rows."""
        agree = part.inputs == row
        missing = len(row) - agree.sum(1)
        copies, same = missing == 0, same_target(part.targets, target.expand_as(part.targets), self.train.targets)
        counts.agree += agree.sum(0)
        counts.copies += int(copies.sum())
        counts.other += int((copies & ~same).sum())
        counts.same += int((same & ~copies).sum())
        counts.one += (~agree[missing == 1]).sum(0)
        # A category as several columns of two values changes two of them at once.
        two = ~agree[missing == 2]
        pairs, times = torch.unique(two[~(two & ~self.binary).any(1)], dim=0, return_counts=True)
        for columns, count in zip(pairs, times.tolist(), strict=True):
            counts.two[tuple(columns.nonzero().flatten().tolist())] += count

    def _chance(self, row: Tensor, counts: _Counts, rates: Tensor) -> float:
        others = max(len(self.train) - counts.copies, 1)
        cells = [(counts.other, counts.same / others)]
        values = torch.maximum((counts.agree - counts.copies) / others, rates)
        cells += list(zip(counts.one.tolist(), values.tolist(), strict=True))
        share = len(self.sample) / len(self.train)
        for columns, count in counts.two.items():
            agree = int((self.sample[:, columns] == row[list(columns)]).all(1).sum())
            cells.append((count, (agree / share - counts.copies) / others))
        return max((count / max((1 - q) / max(q, 1e-9), 1e-3) for count, q in cells if count), default=0.0)
