"""Rows below a table, or at its top, that hold the sums, or the means, of all others: known by arithmetic.

A row of sums has the sum of the others in every cell that is a number, or their mean, as per cent have it; or at least
in two cells, where others hold a weighted mean. It says so in a word of its own; where it does not, it stands below
many rows, with sums too large to be there by chance. A mean, an extreme, a count may be a row's by chance, so that a
whole cell has to say it, and every number to agree.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nnlab.data.table.amounts import amount_of
from nnlab.data.table.column import Column, Floats, Frame, narrowed
from nnlab.data.table.subtotals import named_place, without_subtotals
from nnlab.data.table.sums import SAYS_SUM, holds_sums, is_sum, known, near

MOST = 3  # rows of this kind below one another
LEAST = 3  # rows above them
LOOKS = 1000  # rows above that are looked at before all are added up
MANY = 20  # rows above one that does not say that it holds their sums
_WORDS: Mapping[str, re.Pattern[str]] = {
    what: re.compile(rf"\W*(column )?({words})( values?| of .*)?\W*", re.IGNORECASE)
    for what, words in {
        "mean": "means?|averages?|avg|mittelwert|durchschnitt|mittel|ø|moyenne|media|promedio",
        "minimum": "min|minim(um|a)|kleinster wert",
        "maximum": "max|maxim(um|a)|größter wert",
        "median": "m[eé]dian|mediana",
        "deviation": r"std|sd|stdev|std\.? ?dev|standard deviation|standardabweichung|écart[- ]type",
        "count": "counts?|n|anzahl|nombre",
    }.items()
}
_NAMES = {"sum": "sums", "mean": "means", "minimum": "minima", "maximum": "maxima", "median": "medians"}
_NAMES |= {"deviation": "standard deviations", "count": "counts"}


@dataclasses.dataclass(frozen=True)
class _Row:
    """A first or last row beside the others.

    Attributes:
        numbers: of each column of numbers where the row has one, the others and the row's own.
        words: what it says in columns where no other says that.
        gaps: whether it is empty where the others are filled.
    """

    numbers: list[tuple[Floats, float]]
    words: list[str]
    gaps: bool


def without_totals(frame: Frame) -> tuple[Frame, tuple[str, ...]]:
    """The table without rows that summarize others, and what to say about them.

    They stand below their groups, or above them, below all rows, or at the top.

    Args:
        frame: a table as a whole, its texts as they were read.
    """
    frame, said = without_subtotals(frame)
    for at_top in (False, True):
        frame, more = _without_end(frame, at_top)
        said += more
    if not said:
        return frame, ()
    columns = {name: narrowed(_used(column)) for name, column in frame.columns.items()}
    return dataclasses.replace(frame, columns=columns), said


def _without_end(frame: Frame, at_top: bool) -> tuple[Frame, tuple[str, ...]]:
    """The table without rows at one of its ends that summarize all others, and what to say about them."""
    count = len(frame)
    for last in range(min(MOST, count - LEAST), 0, -1):
        rows = range(last) if at_top else range(count - last, count)
        body = slice(last, count) if at_top else slice(0, count - last)
        found = list(
            itertools.takewhile(bool, (_summary(_row(frame, row, body), count - last, at_top) for row in rows))
        )
        if len(found) == last:
            where = "below" if at_top else "above"
            said = [
                _said(frame, row, f"{_NAMES[what]} of the columns {where}")
                for row, what in zip(rows, found, strict=True)
            ]
            return frame[np.arange(count)[body]], tuple(said)
    return frame, ()


def _row(frame: Frame, row: int, body: slice) -> _Row | None:
    """What a row says beside the others; None where it says in words what another says, as rows do."""
    numbers: list[tuple[Floats, float]] = []
    words = []
    gaps = False
    for column in frame.columns.values():
        own, others = column.take(slice(row, row + 1)), column.take(body)
        if own.missing[0]:
            gaps = gaps or not others.take(slice(0, LOOKS)).missing.all()
        elif column.form != "text":
            numbers.append((others.values, float(own.values[0])))
        elif math.isnan(amount := amount_of(column.levels[own.values[0]])):
            words.append(column.levels[own.values[0]])
            if (others.values == own.values[0]).any():
                return None
        elif np.isnan(cells := others.numbers()).sum() <= 0.5 * len(others):
            numbers.append((cells, amount))
    return _Row(numbers, words, gaps)


def _summary(row: _Row | None, body: int, at_top: bool) -> str:
    """What a row has of the columns of `body` others: `sum`, `mean`, ...; empty: it is a row as any other.

    At the top it has to say so: people sort rows by size.
    """
    if row is None:
        return ""
    named = any(SAYS_SUM.search(word) for word in row.words)
    said = [what for what, pattern in _WORDS.items() if any(map(pattern.fullmatch, row.words))]
    beyond = [pair for pair in row.numbers if abs(pair[1]) > np.nanmax(np.abs(pair[0][-LOOKS:]), initial=0)]
    telling = (named or (body >= MANY and not at_top)) and any(
        is_sum(known(above), own, named) for above, own in beyond
    )
    if not telling and not said:
        return ""
    parts = [(known(above), own) for above, own in row.numbers]
    if not parts or any(len(above) < LEAST for above, _ in parts):
        return ""
    if telling and holds_sums(parts, bool(row.gaps or row.words), named):
        return "sum"
    return next((what for what in said if _agrees(what, parts)), "")


def _agrees(what: str, parts: Sequence[tuple[Floats, float]]) -> bool:
    """Whether every number is what a row says that it holds, and not just because rows above have it all the time."""
    if not all(any(near(value, own) for value in _STATISTICS[what](above)) for above, own in parts):
        return False
    if what in ("minimum", "maximum"):
        return any((above == own).sum() == 1 for above, own in parts)
    return any(above.min() < above.max() for above, _ in parts)


_STATISTICS: Mapping[str, Callable[[Floats], Sequence[float]]] = {
    "mean": lambda above: [float(above.mean())],
    "minimum": lambda above: [float(above.min())],
    "maximum": lambda above: [float(above.max())],
    "median": lambda above: [float(np.median(above))],
    "deviation": lambda above: [float(above.std()), float(above.std(ddof=1))],
    "count": lambda above: [float(len(above))],
}


def _used(column: Column) -> Column:
    """A column of texts without levels that no cell has."""
    if column.form != "text":
        return column
    present = np.unique(column.values[column.values >= 0])
    if len(present) == len(column.levels):
        return column
    table = np.full(len(column.levels) + 1, -1, dtype=np.int32)
    table[present] = np.arange(len(present))
    return Column(column.name, "text", table[column.values], tuple(column.levels[code] for code in present.tolist()))


def _said(frame: Frame, row: int, what: str) -> str:
    """A line about a row that is none."""
    return f"{named_place(frame, row)} is no row: it holds the {what} (data.footer)"
