"""Values that stand for missing ones, such as -9 and 99 for no answer: those that the user names, and suspects.

A number is suspected where it is a usual code, recurs, and lies apart from all others: farther than these are wide, or
below 0 alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from nnlab.data.table.amounts import amount_of
from nnlab.data.table.column import Column, Frame, coded_column, is_missing, narrowed, number_name
from nnlab.data.table.units import without_units
from nnlab.data.table.writing import Writing
from nnlab.errors import UserError

BELOW = (-1, -7, -8, -9, -77, -88, -97, -98, -99, -888, -999, -8888, -9999, -99999, -999999, -99.9, -999.9, -9999.9)
ABOVE = (77, 88, 97, 98, 99, 777, 888, 997, 998, 999, 8888, 9999, 99999, 999999, 99.9, 999.9, 9999.9)
MARKS = frozenset(
    {"-", "--", "---", "\u2013", "\u2014", "*", "**", "..", "...", "n.a.", "n.a", "n/d", "n.d.", "k.a.", "(null)", "?"}
)
LEAST, SHARE = 2, (0.005, 0.6)  # rows with a code, and their share
OTHERS = 3  # different numbers beside it at least
WIDE = 10.0  # of the others, beside which -1 alone is below 0

Code = float | str
Codes = Code | list[Code]


def check_codes(given: Any) -> None:
    """Refuse what names no codes.

    Raises:
        UserError: it is no number or text, list of these, or mapping of columns to one of both.
    """
    each = given.values() if isinstance(given, Mapping) else [given]
    if not all(_is_code(own) or (isinstance(own, list | tuple) and all(map(_is_code, own))) for own in each):
        raise UserError(
            "`missing` must be a number or text, or a list of them, such as [-9, 99], or these by column, such as "
            f"{{age: 999}}, got {given!r}"
        )


def _is_code(given: Any) -> bool:
    return isinstance(given, Real | str) and not isinstance(given, bool)


def codes_of(given: Codes | Mapping[str, Codes], names: Sequence[str]) -> dict[str, list[str]]:
    """The codes of each column as text, from those of all columns or by column.

    >>> codes_of([99], ["a", "b"]), codes_of({"a": -9.0}, ["a", "b"])
    ({'a': ['99'], 'b': ['99']}, {'a': ['-9']})
    """
    each = given if isinstance(given, Mapping) else dict.fromkeys(names, given)
    return {str(name): [_text(code) for code in _several(own)] for name, own in each.items()}


def _several(given: Codes) -> Sequence[Code]:
    return given if isinstance(given, list | tuple) else [given]


def _text(code: Code) -> str:
    return code.strip() if isinstance(code, str) else number_name(float(code))


def without_codes(column: Column, codes: Sequence[str]) -> Column:
    """A column whose cells with these codes are missing."""
    numbers = [value for value in map(amount_of, codes) if not math.isnan(value)]
    if column.form != "text":
        cells = np.isin(column.values, numbers)
        return dataclasses.replace(column, values=np.where(cells, np.nan, column.values)) if cells.any() else column
    coded = [level in codes or amount_of(level) in numbers for level in column.levels]
    if not any(coded):
        return column
    levels = [None if code else level for code, level in zip(coded, column.levels, strict=True)]
    return narrowed(coded_column(column.name, column.values, levels))


def unused(frame: Frame, codes: Mapping[str, Sequence[str]], by_column: bool) -> list[str]:
    """One sentence for each code that no cell has, in its column or in the whole table."""
    absent = {
        name: [code for code in own if not is_missing(code) and without_codes(column, [code]) is column]
        for name, own in codes.items()
        for column in [frame.columns[name]]
    }
    if by_column:
        return [f"no cell of `{name}` is `{code}`" for name, own in absent.items() for code in own]
    first, *others = absent.values()
    return [f"no cell is `{code}`" for code in first if all(code in own for own in others)]


def as_known(frame: Frame, expected: Writing) -> Frame:
    """A further table with its numbers without the training's units, and its codes as missing."""
    frame = without_units(frame, expected.units)
    if not expected.missing:
        return frame
    columns = {name: without_codes(column, expected.missing.get(name, ())) for name, column in frame.columns.items()}
    return dataclasses.replace(frame, columns=columns)


def suspected(column: Column) -> str:
    """A number, or a mark among words, that may stand for missing ones, as text; empty where there is none."""
    if column.form == "text":
        marks = [level for level in column.levels if level.lower() in MARKS]
        return marks[0] if len(marks) == 1 and (column.values == column.levels.index(marks[0])).any() else ""
    known = column.numbers()
    known = known[~np.isnan(known)]
    if not len(known):
        return ""
    for value in (float(known.min()), float(known.max())):
        same = known == value
        count, others = int(same.sum()), known[~same]
        share = count / len(known)
        if value not in (*BELOW, *ABOVE) or count < LEAST or not SHARE[0] <= share <= SHARE[1] or not len(others):
            continue
        low, high = float(others.min()), float(others.max())
        gap = low - value if value < low else value - high
        alone = value < 0 <= low and (value < -1 or high - low >= WIDE)
        if (gap >= high - low or alone) and len(np.unique(others)) >= OTHERS:
            return number_name(value)
    return ""
