"""Numbers with their unit in every cell of a column, such as 170 cm: found in training, taken off alike afterwards.

Cells in several units of one kind, such as 500 g and 1.2 kg, or 5 % and 50 ‰, are brought to the most frequent one.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from nnlab.console import counted
from nnlab.data.table.amounts import PER_CENT, amount_of, is_code, quantity_of, sign_of, with_point
from nnlab.data.table.column import MISSING_NUMBERS, Column, Frame, coded_column, number_name, signs_of
from nnlab.data.table.measures import converted, convertible, other_currency, same_unit

SHARE = 0.95  # of the cells that must have the unit; others are missing
LOOKS = 100  # texts after which a column of words is left
MOST_UNITS = 5  # different ones of a column that are said
ORDINALS = frozenset({"st", "nd", "rd", "th", "am", "pm"})  # 1st, 2 pm
MOST_CLASSES = 20  # texts of a target up to which they are names of classes


def find_units(frame: Frame, target: str | int | None = None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The unit of each column of texts that are numbers with one unit, or in units of one kind; and what to say.

    Args:
        frame: a table, its amounts with decimal points.
        target: the target column, by name or position; None: the last. Few different texts in it are classes.
    """
    units: dict[str, str] = {}
    said, several = [], []
    for name, column in frame.columns.items():
        if column.form != "text":
            signs = [sign for sign in column.signs if sign]
            plain = ", and without it in some cells, where 0.5 counts as 0.5 %" if "" in column.signs else ""
            said += [f"`{name}` in {' or '.join(signs)}{plain}"] if signs else []
            units |= {name: signs[0]} if len(signs) == 1 else {}
            continue
        if _is_target(frame, name, target) and len(column.levels) <= MOST_CLASSES:
            continue
        unit, others, mixed = _unit_of(column, frame.writing.decimals.get(name, "."))
        if unit:
            units[name] = unit
            cells = counted(sum(others.values()), "cell")
            what = f" but for {cells} such as `{next(iter(others))}`" if others else ""
            what = f" (from {', '.join(mixed)})" + what if len(mixed) > 1 else what
            said.append(f"`{name}` in {unit}{what}")
        elif mixed:
            several.append(f"`{name}` ({', '.join(mixed)})")
    lines = [f"numbers with a unit: {', '.join(said)} (data.columns)"] if said else []
    if several:
        lines.append(
            f"numbers in units that are not converted stay text: {', '.join(several)}; write each column in one unit"
        )
    return units, tuple(lines)


def mixed_currencies(frame: Frame) -> list[str]:
    """A line for each column of numbers with more than one currency."""
    lines = []
    for name, column in frame.columns.items():
        signs = [sign for sign in column.signs if sign]
        pairs = itertools.combinations(signs, 2)
        first, second = next((pair for pair in pairs if other_currency(*pair)), ("", ""))
        if first:
            what = f"1 {first} counts as much as 1 {second}, as none is converted"
            lines.append(f"column `{name}` is in {' and '.join(signs)}: {what}; write it in one currency")
    return lines


def other_currencies(frame: Frame, units: Mapping[str, str]) -> list[str]:
    """A line for each column of a further table that has another currency than the training."""
    lines = []
    for name, unit in units.items():
        column = frame.columns.get(name)
        if column is None or sign_of(f"1 {unit}") != unit:
            continue
        signs = signs_of(column.levels) if column.form == "text" else column.signs
        others = [sign for sign in signs if sign and other_currency(sign, unit)]
        if others:
            lines.append(f"`{name}` in {' or '.join(others)}, where training had {unit} (not converted)")
    return lines


def without_unit(column: Column, unit: str, decimal: str) -> Column:
    """A column of texts with the numbers alone, with decimal points, where there is that unit behind them.

    Numbers that were per cent, where that unit is per mille, are converted.
    """
    if not unit or column.form != "text":
        factor = converted(1.0, PER_CENT, unit) if {*column.signs} - {""} == {PER_CENT} else None
        scaled = factor is not None and unit != PER_CENT
        return Column(column.name, column.form, column.values * factor) if scaled else column
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
    """A text without the unit, its amount with a decimal point, converted from a unit of the same kind.

    As it is where it has another unit or none.
    """
    amount, found = quantity_of(level)
    if not found:
        return level
    amount = with_point(amount) if decimal == "," and found != PER_CENT else amount  # which has one already
    if same_unit(found, unit):
        return amount
    value = converted(amount_of(amount), found, unit)
    return level if value is None or math.isnan(value) else number_name(value)


def _unit_of(column: Column, decimal: str) -> tuple[str, dict[str, int], list[str]]:
    """The unit of nearly all cells, empty where there is none; how often each text recurs that has another; all units.

    Where the cells are in units of one kind, the most frequent is taken. Units that are of no kind are given alone.
    """
    first = Counter(quantity_of(level)[1] for level in column.levels[:: 1 + len(column.levels) // LOOKS])
    first.pop("", None)
    if not first:
        return "", {}, []
    known = column.values[column.values >= 0]
    counts = dict(zip(column.levels, np.bincount(known, minlength=len(column.levels)).tolist(), strict=True))
    counts = {level: count for level, count in counts.items() if count and level.lower() not in MISSING_NUMBERS}
    mixed: Counter[str] = Counter()
    for level, count in counts.items():
        found = quantity_of(level)[1]
        if found:
            mixed[next((each for each in mixed if same_unit(each, found)), found)] += count
        if len(mixed) > LOOKS:  # words behind numbers
            return "", {}, []
    often = [name for name, count in mixed.most_common() if count > 1]
    alike = [name for name in mixed if converted(1.0, name, often[0]) is not None] if often else []
    unit = often[0] if often else first.most_common(1)[0][0]
    if unit == "m" and len(alike) > 1 and convertible([*alike, "min"]):
        unit = "min"
    bare = {level: _bare(level, unit, decimal) for level in counts}
    others = {level: counts[level] for level, amount in bare.items() if math.isnan(amount_of(amount))}
    having = sum(counts[level] for level, amount in bare.items() if amount != level and level not in others)
    codes = any(is_code(amount) for amount in bare.values())
    same = len({amount_of(amount) for level, amount in bare.items() if level not in others}) < 2
    if not codes and not same and having >= SHARE * sum(counts.values()):
        return unit, others, sorted(alike, key=mixed.__getitem__, reverse=True)
    numbers = len({quantity_of(level)[0] for level in counts if quantity_of(level)[1]})
    several = 1 < len(often) <= MOST_UNITS and sum(mixed.values()) >= SHARE * sum(counts.values())
    tells = several and numbers > MOST_CLASSES and not codes and not ORDINALS.issuperset(often)
    return "", {}, often if tells else []
