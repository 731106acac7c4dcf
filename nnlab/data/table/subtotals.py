"""Rows within a table that hold the sums of a group of rows, above or below them: they say so, and all of them add up.

    North  Ann       3     12.50           North                  4     20.00
    North  Bob       1      7.50     or      Ann                  3     12.50
    Subtotal North   4     20.00             ...

A group begins where one ended, or with an earlier one, as that of a total of groups does, and a grand total's. Where a
single row that says that it is a total does not add up, all stay: a name may be Total Wine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nnlab.data.table.amounts import amount_of
from nnlab.data.table.column import Floats, Frame
from nnlab.data.table.sums import SAYS_SUM, holds_sums, is_large, known, near

BACK = 20  # groups before the last in which another may begin
WORDS = ("total", "sum", "gesamt", "somme", "totaal", "итого", "计", "計", "Σ", "σ")  # some of which each has
LOOKS = 1000  # texts of a column that are looked at before all are read
SHOWN = 3  # rows that are named

_Bools = npt.NDArray[np.bool_]


def without_subtotals(frame: Frame) -> tuple[Frame, tuple[str, ...]]:
    """The table without rows that hold the sums of groups of others, and a line about them.

    Args:
        frame: a table as a whole, its texts as they were read.
    """
    says = _says_sum(frame)
    rows = np.flatnonzero(says)
    if len(rows) < 2 or len(rows) > 0.5 * len(frame):
        return frame, ()
    numbers = _numbers(frame, ~says)
    for where, turned in (("above", slice(None)), ("below", slice(None, None, -1))):
        if _all_add_up([cells[turned] for cells in numbers], says[turned]):
            named = ", ".join(named_place(frame, row) for row in rows[:SHOWN].tolist())
            more = ", ..." if len(rows) > SHOWN else ""
            line = f"{len(rows)} rows are none: they hold the sums of rows {where} them: {named}{more} (data.footer)"
            return frame[~says], (line,)
    return frame, ()


def named_place(frame: Frame, row: int) -> str:
    """How a message names a row, with the first word in it."""
    words = [c.levels[c.values[row]] for c in frame.columns.values() if c.form == "text" and c.values[row] >= 0]
    name = next((word for word in words if not word[:1].isdigit()), "")
    return frame.place(row) + (f" ({name})" if name else "")


def _says_sum(frame: Frame) -> _Bools:
    """(n,) where a row says that it is a total."""
    says = np.zeros(len(frame), dtype=bool)
    for column in frame.columns.values():
        text = "\n".join(column.levels).lower()
        for word in WORDS:
            if word in text:  # searched at once, before a pattern looks at each of perhaps many
                codes = [code for code, level in enumerate(column.levels) if word in level.lower()]
                says |= np.isin(column.values, [code for code in codes if SAYS_SUM.search(column.levels[code])])
    return says


def _numbers(frame: Frame, body: _Bools) -> list[Floats]:
    """The columns (n,) most of whose cells in rows that are no totals are numbers."""
    found = []
    for column in frame.columns.values():
        some = column.levels[:: 1 + len(column.levels) // LOOKS]
        are_words = sum(math.isnan(amount_of(level)) for level in some) > 0.8 * len(some)
        if column.form in ("number", "text") and not (some and are_words):
            cells = column.numbers()
            if np.isnan(cells[body]).sum() <= 0.5 * body.sum():
                found.append(cells)
    return found


def _all_add_up(numbers: Sequence[Floats], says: _Bools) -> bool:
    """Whether each total holds the sums of the rows from where a group began, and not by chance.

    Args:
        numbers: columns (n,), NaN where there is no number.
        says: (n,) which rows are totals, each below its group.
    """
    starts, sums, large = [0], 0, False
    for row in np.flatnonzero(says).tolist():
        for start in [*starts[: -BACK - 1 : -1], 0]:
            body = np.flatnonzero(~says[start:row]) + start
            parts = [(known(cells[body]), float(cells[row])) for cells in numbers if not np.isnan(cells[row])]
            parts = [(above, own) for above, own in parts if len(above)]
            if not parts:
                continue
            if len(body) == 1 and all(near(float(above[0]), own) for above, own in parts):
                break
            if len(body) > 1 and holds_sums(parts, marked=True, named=True):
                sums += 1
                large = large or any(is_large(own) and abs(own) > abs(above).max() for above, own in parts)
                break
        else:
            return False
        starts.append(row + 1)
    return sums > 2 or (sums == 2 and large)
