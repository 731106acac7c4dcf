"""Rows at the end of a table that hold the sums, or the means, of the columns above: known by arithmetic.

A row of sums has the sum of the rows above in every cell that is a number, or their mean, as per cent have it; or at
least in two cells, where others hold a weighted mean. It says so in a word of its own; where it does not, there must be
many rows above, and sums too large to be there by chance. A mean, an extreme, a count may be a row's by chance, so that
a whole cell has to say it, and every number to agree.
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

MOST = 3  # rows of this kind below one another
LEAST = 3  # rows above them
LOOKS = 1000  # rows above that are looked at before all are added up
MANY = 20  # rows above one that does not say that it holds their sums
LARGE = 100  # last digits of a sum that is none by chance
_SUM = re.compile(r"\b(totals?|sum|\w*summe|gesamt|insgesamt|somme|suma|totaal|итого|all)\b|合计|合計|Σ", re.IGNORECASE)
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
    """A last row beside those above it.

    Attributes:
        numbers: of each column of numbers where the row has one, the rows above and the row's own.
        words: what it says in columns where no row above says that.
        gaps: whether it is empty where the rows above are filled.
    """

    numbers: list[tuple[Floats, float]]
    words: list[str]
    gaps: bool


def without_totals(frame: Frame) -> tuple[Frame, tuple[str, ...]]:
    """The table without rows at its end that summarize those above, and what to say about them.

    Args:
        frame: a table as a whole, its texts as they were read.
    """
    count = len(frame)
    for last in range(min(MOST, count - LEAST), 0, -1):
        rows = range(count - last, count)
        found = list(
            itertools.takewhile(bool, (_summary(_row(frame, row, count - last), count - last) for row in rows))
        )
        if len(found) == last:
            said = [_said(frame, row, what) for row, what in zip(rows, found, strict=True)]
            kept = frame[np.arange(count - last)]
            columns = {name: narrowed(_used(column)) for name, column in kept.columns.items()}
            return dataclasses.replace(kept, columns=columns), tuple(said)
    return frame, ()


def _row(frame: Frame, row: int, body: int) -> _Row | None:
    """What a row says beside the first `body` rows; None where it says in words what a row above says, as rows do."""
    numbers: list[tuple[Floats, float]] = []
    words = []
    gaps = False
    for column in frame.columns.values():
        own, above = column.take(slice(row, row + 1)), column.take(slice(0, body))
        if own.missing[0]:
            gaps = gaps or not above.take(slice(0, LOOKS)).missing.all()
        elif column.form != "text":
            numbers.append((above.values, float(own.values[0])))
        elif math.isnan(amount := amount_of(column.levels[own.values[0]])):
            words.append(column.levels[own.values[0]])
            if (above.values == own.values[0]).any():
                return None
        elif np.isnan(cells := above.numbers()).sum() <= 0.5 * body:
            numbers.append((cells, amount))
    return _Row(numbers, words, gaps)


def _summary(row: _Row | None, body: int) -> str:
    """What a row has of the columns of the `body` rows above: `sum`, `mean`, ...; empty: it is a row as any other."""
    if row is None:
        return ""
    named = any(_SUM.search(word) for word in row.words)
    said = [what for what, pattern in _WORDS.items() if any(map(pattern.fullmatch, row.words))]
    beyond = [pair for pair in row.numbers if abs(pair[1]) > np.nanmax(np.abs(pair[0][-LOOKS:]), initial=0)]
    telling = (named or body >= MANY) and any(_is_sum(_known(above), own, named) for above, own in beyond)
    if not telling and not said:
        return ""
    known = [(_known(above), own) for above, own in row.numbers]
    if not known or any(len(above) < LEAST for above, _ in known):
        return ""
    if telling and _holds_sums(known, bool(row.gaps or row.words), named):
        return "sum"
    return next((what for what in said if _agrees(what, known)), "")


def _agrees(what: str, known: Sequence[tuple[Floats, float]]) -> bool:
    """Whether every number is what a row says that it holds, and not just because rows above have it all the time."""
    if not all(any(_near(value, own) for value in _STATISTICS[what](above)) for above, own in known):
        return False
    if what in ("minimum", "maximum"):
        return any((above == own).sum() == 1 for above, own in known)
    return any(above.min() < above.max() for above, _ in known)


def _holds_sums(known: Sequence[tuple[Floats, float]], marked: bool, named: bool) -> bool:
    """Whether a row's numbers are sums of those above, not by chance.

    Args:
        known: of each column, the numbers above and the row's own.
        marked: whether the row shows that it is no other.
        named: whether it says that it is a sum.
    """
    sums = [_is_sum(above, own, named) for above, own in known]
    telling = [own for is_sum, (above, own) in zip(sums, known, strict=True) if is_sum and abs(own) > abs(above).max()]
    large = [own for own in telling if abs(own) >= LARGE * 10.0 ** -_digits(own)]  # small counts add up by chance
    if marked and len(large) > 1:
        return True
    if not (len(telling) > 1 or (large and marked) or (telling and named)):
        return False
    return all(is_sum or _near(float(above.mean()), own) for is_sum, (above, own) in zip(sums, known, strict=True))


_STATISTICS: Mapping[str, Callable[[Floats], Sequence[float]]] = {
    "mean": lambda above: [float(above.mean())],
    "minimum": lambda above: [float(above.min())],
    "maximum": lambda above: [float(above.max())],
    "median": lambda above: [float(np.median(above))],
    "deviation": lambda above: [float(above.std()), float(above.std(ddof=1))],
    "count": lambda above: [float(len(above))],
}


def _known(cells: Floats) -> Floats:
    """The cells that are numbers."""
    return cells[~np.isnan(cells)]


def _is_sum(above: Floats, own: float, named: bool) -> bool:
    """Whether a number is the sum of others, up to what rounding each may make; if it says so, its own rounding too."""
    digits = max(_digits(value) for value in (own, *above[:100].tolist()))
    rounding = 0.5 * 10.0**-digits * math.sqrt(len(above))
    slack = max(rounding if abs(own) > 1000 * rounding else 0.0, 1e-9 * float(np.abs(above).sum()))
    if named:
        slack = max(slack, 2 * rounding if digits else 0.0, 0.5001 * 10.0 ** -_digits(own) if digits else 0.0)
    return abs(float(above.sum()) - own) <= slack


def _near(value: float, own: float) -> bool:
    """Whether a number is another one, rounded to as many digits as it has."""
    return abs(value - own) <= 0.5001 * 10.0 ** -_digits(own) + 1e-9 * abs(value)


def _digits(value: float) -> int:
    """Digits behind the point that a number is written with.

    >>> _digits(2.0), _digits(2.25), _digits(1e-7)
    (0, 2, 7)
    """
    text = repr(value)
    mantissa, _, power = text.partition("e")
    fraction = mantissa.partition(".")[2].rstrip("0")
    return max(0, len(fraction) - int(power or 0))


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
    words = [c.levels[c.values[row]] for c in frame.columns.values() if c.form == "text" and c.values[row] >= 0]
    name = next((word for word in words if not word[:1].isdigit()), "")
    shown = f" ({name})" if name else ""
    return f"{frame.place(row)}{shown} is no row: it holds the {_NAMES[what]} of the columns above (data.footer)"
