"""What each column is, from all of its cells: number, truth value, category, time, text, identifier or constant.

constant     one value at most
truth        two different words such as yes and no, true and false, in any letters
number       numbers; also a few that code categories, for a table does not say which ones do; of many numbers among
             which a word or two recur, such as k.A., these are missing
time         every cell is written as a date or a time
category     texts that recur
text         texts of which most occur once and that are sentences
identifier   what names or counts rows: all values different, and texts, or whole numbers in a row or so called
"""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnlab.data.table.amounts import amount_of, is_code
from nnlab.data.table.codes import suspected
from nnlab.data.table.column import Column, truth_of
from nnlab.data.table.target import spelled_alike
from nnlab.data.table.times import DAYS, are_days, time_patterns


class Kind(enum.StrEnum):
    """What a column is, and so what is done with it."""

    NUMBER = "number"
    TRUTH = "truth"
    CATEGORY = "category"
    TIME = "time"
    TEXT = "text"
    IDENTIFIER = "identifier"
    CONSTANT = "constant"
    DROP = "drop"  # by the user


USED = (Kind.NUMBER, Kind.TRUTH, Kind.CATEGORY, Kind.TIME)


@dataclasses.dataclass(frozen=True)
class Finding:
    """The kind of a column.

    Attributes:
        kind: what it is.
        why: for what is left out or was a guess, the reason in words; else empty.
        pattern: of times, how they are written.
        by_user: the user said so.
        words: among numbers, that stand for missing ones.
        code: the number that may stand for missing ones; empty where there is none.
    """

    kind: Kind
    why: str = ""
    pattern: str | None = None
    by_user: bool = False
    words: Sequence[str] = ()
    code: str = ""


# Names of columns that number or name rows, where all values are different.
_ROW_NAME = re.compile(
    r"(column 1|unnamed: ?\d+|\.\.\.1|_?(row|obs|case|record|sample|serial|item|subject|patient|index|rownames?)"
    r"[ _.-]?(id|no|nr|num|number|names?|index)?|(id|idx|key|uuid|guid|no|nr|number|num|#)"
    r"|.*[ _.-](id|uuid|key|nr\.?|nummer)|pid\w*)",
    re.IGNORECASE,
)
_ID_ENDING = re.compile(r".*[a-z](ID|Id)$|[a-z]?id$")
LATEST = 2200  # numbers up to which may be years, in rows of which each is one
LEAST_ROWS = 20  # below, all values are different by chance
MOST_TRUTHS = 8  # spellings of two words in one column, such as Yes, yes, NO and no
MOST_MISSING = 0.95  # of the cells of a column of numbers that may be one word
MOST_COMPARED = 10_000  # levels whose spelling is compared
FEW_TIMES = 20  # levels that are looked at for times
FEW_WORDS = 3  # that may stand for missing cells among numbers


def find_kind(column: Column) -> Finding:
    """The kind of a column from all of its cells."""
    found = _kind(column)
    return dataclasses.replace(found, code=suspected(column)) if found.kind in (Kind.NUMBER, Kind.CATEGORY) else found


def _kind(column: Column) -> Finding:
    known = column.values[~column.missing]
    if not len(known) or known.min() == known.max():
        return Finding(Kind.CONSTANT, "holds one value only" if len(known) else "is empty")
    if column.form == "truth":
        return Finding(Kind.TRUTH)
    if column.form == "time":
        return Finding(Kind.TIME)
    return _text_kind(column, known) if column.form == "text" else _number_kind(column, known)


def names_rows(name: str) -> bool:
    """Whether a name says that a column numbers or names the rows.

    >>> [names_rows(name) for name in ("id", "customer_id", "userId", "column 1", "age", "grid")]
    [True, True, True, True, False, False]
    """
    return bool(_ROW_NAME.fullmatch(name.strip()) or _ID_ENDING.fullmatch(name.strip()))


def _number_kind(column: Column, known: npt.NDArray[Any]) -> Finding:
    """A number, or the number of the row."""
    named = names_rows(column.name)
    if not named and are_days(known):
        return Finding(Kind.TIME, f"whole numbers such as {known[0]:.0f} are read as days", DAYS)
    if not bool((known == np.floor(known)).all()) or len(known) < (5 if named else LEAST_ROWS):
        return Finding(Kind.NUMBER)
    if (
        (known[0] in (0, 1) or known[0] > LATEST)
        and known[-1] == known[0] + len(known) - 1
        and bool((np.diff(known) == 1).all())
    ):
        return Finding(Kind.IDENTIFIER, "counts the rows")
    distinct = np.unique(known) if named else known[:0]
    if named and len(distinct) == len(known):
        return Finding(Kind.IDENTIFIER, "numbers the rows")
    if len(distinct) > 50:
        recurring = len(known) / len(distinct)
        return Finding(
            Kind.IDENTIFIER,
            f"numbers groups of {recurring:.1f} rows on average (`data.groups={column.name}` keeps each in one split)",
        )
    return Finding(Kind.NUMBER)


def _text_kind(column: Column, known: npt.NDArray[Any]) -> Finding:
    """A truth value, a time, a category, text or an identifier."""
    count = len(known)
    levels = [column.levels[code] for code in np.flatnonzero(np.bincount(known)).tolist()]
    folded = {level.casefold() for level in levels[: MOST_TRUTHS + 1]}
    if len(levels) <= MOST_TRUTHS and len(folded) == 2 and {truth_of(word) for word in folded} == {0.0, 1.0}:
        return Finding(Kind.TRUTH)
    patterns = time_patterns(levels)
    if patterns:
        why = f"day and month could be the other way round; read as {patterns[0]}" if len(patterns) > 1 else ""
        return Finding(Kind.TIME, why, patterns[0])
    strange = _among_numbers(levels)
    most = 0.5 if len(strange) > 1 else MOST_MISSING
    if strange and np.isin(known, [column.levels.index(word) for word in strange]).mean() < most:
        stand = "stands" if len(strange) == 1 else "stand"
        why = f"holds numbers, among which {', '.join(map(repr, strange))} {stand} for missing ones"
        return Finding(Kind.NUMBER, why, words=strange)
    share = len(levels) / count
    if share > 0.5 and (ways := _several_ways(levels)):
        return Finding(Kind.TEXT, ways)
    words = float(np.mean([len(level.split()) for level in levels[:1000]]))
    letters = float(np.mean([len(level) for level in levels[:1000]]))
    if len(levels) >= LEAST_ROWS and share > 0.5 and (words >= 4 or letters > 40):
        return Finding(Kind.TEXT, "is free text")
    if len(levels) >= LEAST_ROWS and share > 0.9:
        return Finding(Kind.IDENTIFIER, "names the rows: nearly all values are different")
    if len(levels) > LEAST_ROWS and share > 0.5 and names_rows(column.name):
        return Finding(Kind.IDENTIFIER, "names the rows")
    if len(levels) > 1000 and share > 0.5:
        return Finding(Kind.IDENTIFIER, "has hardly any value twice")
    if len(levels) < LEAST_ROWS and share == 1 and count > 2:
        return Finding(Kind.IDENTIFIER, "names the rows: all values are different")
    return Finding(Kind.CATEGORY, _doubt(levels))


def _doubt(levels: Sequence[str]) -> str:
    """What may be wrong with the levels of a category; empty where nothing is to be seen."""
    alike = spelled_alike(levels[:MOST_COMPARED])
    if alike:
        first = " and ".join(f"`{name}`" for name in alike[0])
        more = f", as {len(alike) - 1} more do" if len(alike) > 1 else ""
        return f"{first} differ in capitals or blanks only{more}; spell one thing one way"
    return _several_ways(levels)


def _several_ways(levels: Sequence[str]) -> str:
    """What to say about levels that are times, each for itself; empty where they are others."""
    some = levels[:: 1 + len(levels) // FEW_TIMES]
    if len(levels) < LEAST_ROWS or not all(time_patterns([level]) for level in some):
        return ""
    return (
        f"holds times written in several ways, such as {some[0]} and {some[-1]}, which are not read; write all one way"
    )


def _among_numbers(levels: Sequence[str]) -> list[str]:
    """The few words among many numbers; none where there are others than numbers, or codes with leading zeros."""
    words: list[str] = []
    for level in levels:
        if math.isnan(amount_of(level)):
            words.append(level)
        if len(words) > FEW_WORDS or is_code(level):
            return []
    return words if len(levels) - len(words) >= LEAST_ROWS else []
