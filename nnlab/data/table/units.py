"""Numbers with their unit in every cell of a column, such as 170 cm: found in training, taken off alike afterwards."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from nnlab.console import counted
from nnlab.data.table.amounts import amount_of, is_code, quantity_of, with_point
from nnlab.data.table.column import MISSING_NUMBERS, Column, Frame, coded_column

SHARE = 0.95  # of the cells that must have the unit; others are missing
LOOKS = 100  # texts after which a column of words is left
MOST_CLASSES = 20  # texts of a target up to which they are names of classes


def find_units(frame: Frame, target: str | int | None = None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The unit of each column of texts that are numbers with one unit, and what to say about them.

    Args:
        frame: a table, its amounts with decimal points.
        target: the target column, by name or position; None: the last. Few different texts in it are classes.
    """
    units, said = {}, []
    for name, column in frame.columns.items():
        if column.form != "text" or (_is_target(frame, name, target) and len(column.levels) <= MOST_CLASSES):
            continue
        unit, others = _unit_of(column, frame.writing.decimals.get(name, "."))
        if unit:
            units[name] = unit
            cells = counted(sum(others.values()), "cell")
            what = f" but for {cells} such as `{next(iter(others))}`" if others else ""
            said.append(f"`{name}` in {unit}{what}")
    return units, (f"numbers with a unit: {', '.join(said)} (data.columns)",) if said else ()


def without_unit(column: Column, unit: str, decimal: str) -> Column:
    """A column of texts with the numbers alone, with decimal points, where there is that unit behind them."""
    if not unit or column.form != "text":
        return column
    return coded_column(column.name, column.values, [_bare(level, unit, decimal) for level in column.levels])


def without_units(frame: Frame, units: Mapping[str, str]) -> Frame:
    """The same table, the columns that have these units as numbers alone."""
    if not units:
        return frame
    columns = {
        name: without_unit(column, units.get(name, ""), frame.writing.decimals.get(name, "."))
        for name, column in frame.columns.items()
    }
    return dataclasses.replace(frame, columns=columns)


def _is_target(frame: Frame, name: str, target: str | int | None) -> bool:
    """Whether a column is the target."""
    if isinstance(target, str) and target in frame.columns:
        return name == target
    names = list(frame.columns)
    position = -1 if target is None else int(target) if str(target).lstrip("-").isdecimal() else None
    return position is not None and -len(names) <= position < len(names) and names[position] == name


def _bare(level: str, unit: str, decimal: str) -> str:
    """A text without the unit, its amount with a decimal point; as it is where it has another or none."""
    amount, found = quantity_of(level)
    return level if found != unit else with_point(amount) if decimal == "," else amount


def _unit_of(column: Column, decimal: str) -> tuple[str, dict[str, int]]:
    """The unit of nearly all cells, empty where there is none, and how often each text recurs that has another."""
    first = Counter(quantity_of(level)[1] for level in column.levels[:: 1 + len(column.levels) // LOOKS])
    first.pop("", None)
    if not first:
        return "", {}
    unit = first.most_common(1)[0][0]
    known = column.values[column.values >= 0]
    counts = dict(zip(column.levels, np.bincount(known, minlength=len(column.levels)).tolist(), strict=True))
    bare = {level: _bare(level, unit, decimal) for level in counts if level.lower() not in MISSING_NUMBERS}
    others = {level: counts[level] for level, amount in bare.items() if math.isnan(amount_of(amount))}
    having = sum(counts[level] for level, amount in bare.items() if amount != level and level not in others)
    codes = any(is_code(amount) for amount in bare.values())
    same = len({amount_of(amount) for level, amount in bare.items() if level not in others}) < 2
    if codes or same or having < SHARE * sum(counts[level] for level in bare):
        return "", {}
    return unit, others
