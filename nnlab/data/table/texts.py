"""Numbers among the texts of a table that is no text file, such as a sheet, JSON or a DataFrame."""

from __future__ import annotations

import dataclasses
import logging

from nnlab.data.table.amounts import with_point
from nnlab.data.table.codes import as_known
from nnlab.data.table.column import Column, Frame, coded_column
from nnlab.data.table.times import find_times
from nnlab.data.table.units import other_currencies
from nnlab.data.table.writing import Writing, find_decimals

log = logging.getLogger(__name__)

MOST = 10_000  # texts of a column that are looked at


def noted(frame: Frame, expected: Writing, decimal: str | None = None) -> tuple[Frame, tuple[str, ...]]:
    """The same table with how its texts write numbers, and what was guessed.

    Args:
        frame: the table.
        expected: how the table of the training was written.
        decimal: the decimal sign, where the user says it.
    """
    texts = {name: column.levels for name, column in frame.columns.items() if column.form == "text"}
    some = {name: levels[:: 1 + len(levels) // MOST] for name, levels in texts.items()}
    decimals, said = (dict.fromkeys(texts, decimal), ()) if decimal else find_decimals(some, expected)
    writing = Writing({name: decimals.get(name, "") for name in frame.columns})
    return dataclasses.replace(frame, writing=writing), said


def pointed(column: Column, decimal: str) -> Column:
    """A column whose amounts have a decimal point; `decimal` is the sign that they have."""
    if decimal != "," or column.form != "text":
        return column
    return coded_column(column.name, column.values, [with_point(level) for level in column.levels])


def as_written(frame: Frame, expected: Writing) -> Frame:
    """The same table, its texts read as those of the training were: amounts with a decimal point, and without units.

    Times that are written in another way are noted.
    """
    found, _ = noted(frame, expected)
    times, said = find_times(frame.columns, expected.times)
    for line in (*said, *other_currencies(frame, expected.units)):
        log.info("%s", line)
    found = dataclasses.replace(found, writing=dataclasses.replace(found.writing, times=times))
    columns = {name: pointed(column, found.writing.decimals[name]) for name, column in found.columns.items()}
    return as_known(dataclasses.replace(found, columns=columns), expected)
