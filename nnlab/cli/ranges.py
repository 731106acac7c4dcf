"""From the overrides of a search to its space: Hydra's `interval`, `range`, `choice` and `tag`.

KEY=interval(0.1,1)            numbers; logarithmic from two decades on, tag(linear,interval(...)) otherwise
KEY=tag(log,interval(1,50))    on a logarithmic scale
KEY=int(interval(4,16))        whole numbers
KEY=range(1,10,3)              1, 4, 7
KEY=a,b,c                      one of these values
seed=0,1,2                     every trial runs with all of them, and counts with their mean
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, RangeSweep

from nnlab.cli.grammar import check_length, parsed, values_of
from nnlab.errors import UserError
from nnlab.study.model import REPLICATES
from nnlab.sweep.search_space import WIDE, Choice, Dimension, Interval, SearchPlan


def search_plan(overrides: Sequence[str]) -> SearchPlan:
    """Read the overrides of a search; the last of several for one key counts.

    Raises:
        UserError: a range cannot be searched.
    """
    entries = {entry.get_key_element(): entry for entry in parsed(overrides)}
    space: list[Dimension] = []
    fixed, repeated = [], []
    for key, entry in entries.items():
        if not entry.is_sweep_override():
            fixed.append(entry.input_line if entry.is_delete() else f"{key}={entry.get_value_element_as_str()}")
        elif key in REPLICATES and entry.is_discrete_sweep():
            repeated.append([f"{key}={each}" for each in values_of(entry)])
        else:
            space.append(_dimension(key, entry))
    return SearchPlan(space, fixed, [list(each) for each in itertools.product(*repeated)])


def _dimension(key: str, entry: Any) -> Dimension:
    value = entry.value()
    if isinstance(value, IntervalSweep):
        return _interval(key, value)
    if isinstance(value, RangeSweep) and not value.shuffle:
        return _range(key, entry)
    values = tuple(dict.fromkeys(values_of(entry)))
    if not values:
        raise UserError(f"`{entry.input_line}` has no values to choose from")
    return Choice(key, values)


def _interval(key: str, value: Any) -> Interval:
    whole = isinstance(value.start, int) and isinstance(value.end, int)
    low, high = float(value.start), float(value.end)
    log = "log" in value.tags or ("linear" not in value.tags and low > 0 and high / low >= WIDE)
    return Interval(key, low, high, log=log, whole=whole)


def _range(key: str, entry: Any) -> Dimension:
    value = entry.value()
    numbers = value.range()
    whole = isinstance(numbers, range)  # which is not listed, however long
    if not whole:
        check_length(entry)
        numbers = list(numbers)
    if len(numbers) < 2:
        return Choice(key, tuple(map(str, numbers)))
    low, high = sorted((numbers[0], numbers[-1]))
    if "log" in value.tags:
        return Interval(key, float(low), float(high), log=True, whole=whole)
    return Interval(key, float(low), float(high), whole=whole, step=abs(float(value.step)))
