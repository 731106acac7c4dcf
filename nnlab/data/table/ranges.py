"""Where the numbers of a column lie in training, and whether those of another file seem to be in another unit.

another unit: half of the numbers lie beyond nine tenths of the training's, and are ten times as large, or a tenth
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nnlab.data.table.amounts import amount_of
from nnlab.data.table.column import Column, Floats, Frame, number_name

LEAST = 5  # numbers of which a range says something
TIMES = 10.0  # from which numbers may be in another unit
MOST = 4096  # rows of a file that are kept

Range = Sequence[float]  # the 5% quantile, the median of the absolute numbers, the 95% quantile; empty: too few numbers


def range_of(values: Floats) -> tuple[float, ...]:
    """The range of numbers (n,), NaN where they are missing."""
    known = values[~np.isnan(values)]
    if len(known) < LEAST:
        return ()
    low, high = np.quantile(known, (0.05, 0.95)).tolist()
    return low, float(np.median(np.abs(known))), high


def ranges_of(values: Floats) -> tuple[tuple[float, ...], ...]:
    """The range of each column of numbers (n, D)."""
    return tuple(map(range_of, values.T))


def other_unit(before: Range, now: Floats) -> str:
    """A line where numbers (n,) seem to be in another unit than those of a range; empty where they do not."""
    now = now[~np.isnan(now)]
    if len(now) < LEAST or not before:
        return ""
    low, size, high = before
    own = float(np.median(np.abs(now)))
    start, end = np.quantile(now, (0.25, 0.75)).tolist()
    if (low <= end and start <= high) or min(size, own) == 0 or TIMES * min(size, own) > max(size, own):
        return ""
    return f"most numbers are near {_short(own)}, and near {_short(size)} in training: another unit?"


class Sample:
    """Numbers of rows at equal distances from a file that is read in pieces, at most `MOST` rows."""

    def __init__(self, ranges: Mapping[str, Range], what: str = "column") -> None:
        """Of the columns that have a range in training; `what` a line calls them."""
        self._what = what
        self._ranges = {name: known for name, known in ranges.items() if known}
        self._kept = np.empty((0, len(self._ranges)))
        self._rows, self._step = 0, 1

    def add(self, frame: Frame) -> None:
        """The next rows of the file."""
        while self._rows + len(frame) > MOST * self._step:
            self._kept = self._kept[::2]
            self._step *= 2
        rows = slice(-self._rows % self._step, None, self._step)
        self._rows += len(frame)
        if self._ranges:
            parts = [_numbers(frame.columns[name].take(rows)) for name in self._ranges]
            self._kept = np.concatenate([self._kept, np.column_stack(parts)])

    def doubts(self) -> Iterator[str]:
        """A line for each column that seems to be in another unit."""
        for name, numbers in zip(self._ranges, self._kept.T, strict=True):
            found = other_unit(self._ranges[name], numbers)
            if found:
                yield f"{self._what} `{name}`: {found}"


def _numbers(column: Column) -> Floats:
    """As `Column.numbers`; of few cells with many levels, only theirs are read."""
    if column.form != "text":
        return column.numbers()
    used, places = np.unique(column.values, return_inverse=True)
    found: Floats = np.array([np.nan if code < 0 else amount_of(column.levels[code]) for code in used.tolist()])[places]
    return found


def _short(value: float) -> str:
    """A number with few digits."""
    return number_name(float(f"{value:.3g}"))
