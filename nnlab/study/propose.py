"""The next grid: beyond the edge where the best lies on one, finer around it elsewhere, as a command to paste.

The name of the study stays, so that points that both grids share are not trained again; a search starts a new study
with an interval around its best.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnlab.config.command_line import of_run
from nnlab.config.overrides import assigned
from nnlab.console import counted
from nnlab.study.axes import Axis, by_factors, tied
from nnlab.study.default_rates import default_rates
from nnlab.study.model import DEFAULT, Study, canonical, sort_values

SEEDS = 3  # below which a spread says little
COMPLEMENT = 0.5  # fractions above this are extended towards 1 instead of beyond it


@dataclass(frozen=True)
class Proposal:
    """What to run next.

    Attributes:
        command: to paste; empty where there is nothing to add.
        runs: how many runs it has, of which `new` have not been trained.
        notes: one sentence for each axis that is on an edge, and on what was left out.
    """

    command: str
    runs: int
    new: int
    notes: Sequence[str]

    @property
    def what(self) -> str:
        """The command in words."""
        return self.new_runs if self.new else "a search around the best"

    @property
    def new_runs(self) -> str:
        """How many runs the command adds, in words."""
        return counted(self.new, "new run")


def propose(study: Study, axes: Sequence[Axis]) -> Proposal:
    """The next grid or interval for a study; none where its configurations do not compare."""
    if study.measured_on:
        return Proposal("", 0, 0, [])
    notes = [_warning(axis) for axis in axes if axis.edge]
    bound = {key for group in tied(study) for key in group}
    if bound:
        notes.append(f"{_listed(sorted(bound))} change together; the proposal keeps their best values")
    notes += default_rates(study)
    options = [] if study.searched else [axis for axis in axes if not axis.numbers]
    nested = {axis.key for axis in options if _nested(study, axis)}
    chosen = {axis.key: [axis.best] if axis.key in bound | nested else next_values(axis) for axis in axes}
    chosen = {key: [v for v in values if v != DEFAULT] for key, values in chosen.items()}
    chosen = {key: values for key, values in chosen.items() if values}
    if any(axis.continuous for axis in axes):
        return Proposal(_search_command(study, axes, chosen), len(study.configurations), 0, notes)
    seeds = _seeds(study, any(axis.edge for axis in axes))
    grid = {**chosen, **seeds}
    points = list(itertools.product(*grid.values()))
    known = {tuple(canonical(run.overrides.get(study.written.get(key, key), "")) for key in grid) for run in study.runs}
    new = sum(tuple(map(canonical, point)) not in known for point in points)
    command = _command(study, study.folder.resolve().name, [f"{_key(study, k)}={','.join(v)}" for k, v in grid.items()])
    return Proposal(command if new else "", len(points), new, notes)


def next_values(axis: Axis) -> list[str]:
    """The values to try next on one axis, including known ones that the new ones must be compared with."""
    if axis.continuous:
        return [axis.best]
    if not axis.numbers:
        return _contenders(axis)
    position = list(axis.near).index(axis.best)
    if axis.edge is not None:
        return _beyond(axis, position)
    return [axis.best] if _flat(axis, position) else _finer(axis, position)


def _nested(study: Study, axis: Axis) -> bool:
    """Whether other axes have other values with other options of this one, as in concatenated grids."""
    seen: dict[str, dict[str, set[str]]] = {}
    for each in study.configurations:
        for key, value in each.values.items():
            if key != axis.key:
                seen.setdefault(key, {}).setdefault(each.values[axis.key], set()).add(value)
    return any(values != next(iter(found.values())) for found in seen.values() for values in found.values())


def _contenders(axis: Axis) -> list[str]:
    """The best option and those that the seeds do not tell from it; with one seed the best two."""
    equal, unknown = [], []
    for entry in axis.entries:
        if entry.comparison is not None and entry.comparison.exceeds is False:
            equal.append(entry)
        elif entry.comparison is not None and entry.comparison.exceeds is None:
            unknown.append(entry)
    unknown.sort(key=lambda entry: abs(entry.comparison.difference if entry.comparison else math.inf))
    keep = {axis.best, *(entry.label for entry in equal), *(entry.label for entry in unknown[:1])}
    return [value for value in axis.values if value in keep]


def _flat(axis: Axis, position: int) -> bool:
    """Whether the neighbours of the best value are known to be as good as it."""
    beside = [axis.near[i] for i in (position - 1, position + 1) if 0 <= i < len(axis.near)]
    around = [axis.entries[axis.places[value]].comparison for value in beside]
    return bool(around) and all(each is not None and each.exceeds is False for each in around)


def _finer(axis: Axis, position: int) -> list[str]:
    numbers = [float(value) for value in axis.near]
    best = numbers[position]
    between = []
    for other in numbers[max(position - 1, 0) : position + 2]:
        if other == best:
            continue
        if axis.logarithmic and other > 0 and best > 0:
            between.append(math.sqrt(best * other))
        else:
            between.append((best + other) / 2)
    return _written(axis, [best, *between], [axis.best])


def _beyond(axis: Axis, position: int) -> list[str]:
    """The best value, its neighbour inside, and two values beyond."""
    step = -1 if axis.edge == "low" else 1
    best, inside = float(axis.best), float(axis.near[position - step])
    if axis.logarithmic and best > 0:
        ratio = best / inside if inside > 0 else 10.0
        new = [best * ratio, best * ratio**2]
    else:
        new = [best + (best - inside), best + 2 * (best - inside)]
    fraction = axis.numbers[0] >= 0 and axis.numbers[-1] < 1 and not by_factors(axis.key)
    if fraction and max(new) >= 1 and best >= COMPLEMENT:
        ratio = (1 - best) / (1 - inside)
        new = [1 - (1 - best) * ratio, 1 - (1 - best) * ratio**2]
    if axis.numbers[0] >= 0:
        new = [max(each, 0.0) for each in new]
    return _written(axis, [inside, best, *new], [axis.near[position - step], axis.best])


def _written(axis: Axis, numbers: Sequence[float], known: Sequence[str]) -> list[str]:
    """Numbers as values of an override: known ones as they were written, new ones to two digits (from 1, if near)."""
    integers = all(float(value).is_integer() and "." not in value and "e" not in value for value in axis.values)
    whole = integers and not by_factors(axis.key)
    exact = {canonical(value): value for value in known}
    found = []
    for each in numbers:
        value = exact.get(repr(float(each)))
        if value is None:
            value = str(round(each)) if whole else _rounded(each)
        found.append(exact.get(canonical(value), value))
    return sort_values(found)


def _rounded(value: float) -> str:
    """Two significant digits; of fractions near 1, of the distance to 1.

    >>> _rounded(0.00316), _rounded(0.9990), _rounded(316.2)
    ('0.0032', '0.999', '320')
    """
    if 0.9 < value < 1:
        return f"{1 - float(f'{1 - value:.2g}'):.8g}"
    return f"{float(f'{value:.2g}'):g}"


def _seeds(study: Study, edge: bool) -> dict[str, list[str]]:
    """What repeats the configurations: as before, but at least three seeds once no axis is on an edge."""
    found = {key: list(values) for key, values in study.replicates.items()}
    seeds = found.get("seed", ["0"])
    fresh = (str(i) for i in itertools.count() if str(i) not in seeds)
    if not edge and "data.fold" not in found:
        seeds = [*seeds, *itertools.islice(fresh, max(0, SEEDS - len(seeds)))]
        found["seed"] = seeds
    return found


def _warning(axis: Axis) -> str:
    end = {"low": "lower", "high": "upper"}[axis.edge or "low"]
    which = f"the interval's {end} end" if axis.continuous else f"the {end} edge of the grid"
    return f"the best `{axis.key}={axis.best}` lies on {which}: better values may lie beyond"


def _search_command(study: Study, axes: Sequence[Axis], chosen: dict[str, list[str]]) -> str:
    """A search around the best, in half the width; in the same width where the best is on the edge."""
    ranges = []
    for axis in axes:
        if axis.continuous:
            ranges.append(f"{_key(study, axis.key)}={_interval(axis)}")
        elif axis.key in chosen:
            ranges.append(f"{_key(study, axis.key)}={','.join(chosen[axis.key])}")
    ranges += [f"{key}={','.join(values)}" for key, values in study.replicates.items()]
    name = f"{study.folder.resolve().name}_next"
    return _command(study, name, ["hydra/sweeper=search", *ranges])


def _interval(axis: Axis) -> str:
    low, high, best = axis.numbers[0], axis.numbers[-1], float(axis.best)
    share = 0.5 if axis.edge else 0.25
    if axis.logarithmic and low > 0:
        reach = (high / low) ** share
        low, high = best / reach, best * reach
    else:
        reach = (high - low) * share
        low, high = (max(best - reach, 0.0) if low >= 0 else best - reach), best + reach
    whole = all(each.is_integer() for each in axis.numbers) and not by_factors(axis.key)
    if whole:
        text = f"int(interval({max(round(low), 1 if axis.numbers[0] >= 1 else 0)},{round(high)}))"
    else:
        text = f"interval({_rounded(low)},{_rounded(high)})"
    return f"tag(log,{text})" if axis.logarithmic and axis.numbers[0] > 0 else text


def _key(study: Study, key: str) -> str:
    return study.written.get(key, key)


def _command(study: Study, name: str, parts: Sequence[str]) -> str:
    parent, here = study.folder.resolve().parent, Path.cwd()
    shown = parent.relative_to(here) if parent.is_relative_to(here) else parent
    where = [] if str(shown) == "outputs" else [assigned("output_dir", str(shown))]
    words = [assigned("name", name), *where, *(f"{key}={value}" for key, value in study.fixed.items()), *parts]
    return of_run("train", ["-m", *words], study.folder / study.runs[0].name, composes=True)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:-1]) + f" and `{names[-1]}`"
