"""From the overrides of a sweep to those of its jobs: all combinations, with zipped keys side by side."""

from __future__ import annotations

import itertools
import math
import shlex
from collections.abc import Sequence
from typing import Any

from nnlab.cli.grammar import MOST_JOBS, parsed, values_of
from nnlab.errors import UserError, did_you_mean


def expand(overrides: Sequence[str], zipped: Sequence[Any] = ()) -> list[list[str]]:
    """The overrides of every job, the last key varying fastest; zipped keys stand where their first one does.

    Args:
        overrides: as on the command line; the last of several for one key counts.
        zipped: keys whose values go side by side, or several lists of such keys.

    Raises:
        UserError: a range is no list of values, a list holds none, keys cannot be zipped, or there are too many jobs.

    >>> expand(["a=1,2", "b=x,y", "c=0"], ["a", "b"])
    [['a=1', 'b=x', 'c=0'], ['a=2', 'b=y', 'c=0']]
    """
    values: dict[str, list[str]] = {}
    for entry in parsed(overrides):
        key = entry.get_key_element()
        if not entry.is_sweep_override():
            values[key] = [entry.input_line if entry.is_delete() else f"{key}={entry.get_value_element_as_str()}"]
        elif entry.is_discrete_sweep():
            values[key] = [f"{key}={each}" for each in values_of(entry)]
        else:
            raise UserError(
                f"`{entry.input_line}` is a range to search in, not a list of values; list the values, or search "
                "with `hydra/sweeper=search`"
            )
    for key, lines in values.items():
        if not lines:
            raise UserError(f"the grid holds no job: `{key}` is given no value")
    axes = _axes(values, _groups(zipped, values))
    count = math.prod(map(len, axes))
    if count > MOST_JOBS:
        raise UserError(f"the grid holds {count:,} jobs, and a sweep {MOST_JOBS:,} at most")
    return [[line for part in job for line in part] for job in itertools.product(*axes)]


def concatenated(overrides: Sequence[str], grids: Sequence[str], zipped: Sequence[Any] = ()) -> list[list[str]]:
    """The jobs of several grids, one after another, each once; without grids those of the overrides alone.

    Args:
        overrides: what all grids have in common.
        grids: of each grid its own overrides, separated by spaces as on the command line.
        zipped: as for `expand`.

    Raises:
        UserError: a grid cannot be read, or as for `expand`.

    >>> concatenated(["a=1"], ["b=x c=1,2", "b=y"])
    [['a=1', 'b=x', 'c=1'], ['a=1', 'b=x', 'c=2'], ['a=1', 'b=y']]
    """
    if not grids:
        return expand(overrides, zipped)
    jobs: dict[tuple[str, ...], list[str]] = {}
    for grid in [grids] if isinstance(grids, str) else grids:
        try:
            own = shlex.split(str(grid))
        except ValueError as error:
            raise UserError(f"`sweep.grids`: `{grid}` cannot be read: {error}") from error
        for job in expand([*overrides, *own], zipped):
            jobs.setdefault(tuple(job), job)
    return list(jobs.values())


def _groups(zipped: Sequence[Any], values: dict[str, list[str]]) -> list[list[str]]:
    """The lists of keys that are zipped, checked."""
    if not zipped:
        return []
    lists = [list(each) for each in zipped] if isinstance(zipped[0], list | tuple) else [list(zipped)]
    seen: set[str] = set()
    for keys in lists:
        if len(keys) < 2:
            raise UserError(f"`sweep.zip` needs at least two keys that go side by side, got {keys}")
        for key in keys:
            if not isinstance(key, str) or key not in values:
                swept = [name for name, found in values.items() if len(found) > 1]
                raise UserError(f"`sweep.zip` names `{key}`, which is not swept; {did_you_mean(str(key), swept)}")
            if key in seen:
                raise UserError(f"`sweep.zip` names `{key}` twice")
            seen.add(key)
        lengths = {key: len(values[key]) for key in keys}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"`{key}` {length}" for key, length in lengths.items())
            raise UserError(f"zipped keys need equally many values; there are for {counts}")
    return lists


def _axes(values: dict[str, list[str]], groups: Sequence[Sequence[str]]) -> list[list[tuple[str, ...]]]:
    """What the product runs over: one axis for each key, or for each list of zipped keys."""
    group_of = {key: tuple(keys) for keys in groups for key in keys}
    done: set[str] = set()
    axes: list[list[tuple[str, ...]]] = []
    for key, lines in values.items():
        if key in done:
            continue
        keys = group_of.get(key, (key,))
        done.update(keys)
        columns = [values[each] for each in keys] if len(keys) > 1 else [lines]
        axes.append(list(zip(*columns, strict=True)))
    return axes
