"""What a study says about each of its axes, and about pairs of them.

For every value of an axis: all runs with it, the share that diverged, and the best configuration with it, compared
with the best of all. For every pair of axes: the best result in each cell of the table that they span, and how much of
its variation the two axes do not explain by adding up,

    interaction = sum of r_ij^2 / sum of (y_ij - mean)^2,    r_ij = y_ij - mean - a_i - b_j

with a and b by least squares (Tukey 1977, "Exploratory Data Analysis": two-way tables).
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnlab.study.compare import Comparison, against_best
from nnlab.study.model import Configuration, Study, StudyRun, number

LARGEST_GRID = 12  # distinct numbers beyond which an axis counts as drawn from an interval
SMALLEST_SAMPLE = 4  # the same in a search, where values are not repeated
BINS = 8  # parts in which such an axis is told
WIDE = 8.0  # ratio of the largest number to the smallest from which an axis is logarithmic
BY_FACTORS = ("learning_rate", "lr", "strength", "weight_decay", "eps", "epsilon")  # logarithmic in any range
CLOSE = 0.05  # of an interval's width: nearer than this to its end is on its edge
SWEEPS = 20  # of the fit of two-way tables with holes


@dataclass(frozen=True)
class AxisValue:
    """The runs with one value of an axis, or with values in one part of an interval.

    Attributes:
        label: the value, or the part in words.
        runs: all runs with it.
        best: the best configuration with it, if any has a result.
        comparison: of that with the best of all; None for the best of all itself.
    """

    label: str
    runs: Sequence[StudyRun]
    best: Configuration | None
    comparison: Comparison | None

    @property
    def diverged(self) -> int:
        """How many of the runs diverged."""
        return sum(run.status == "diverged" for run in self.runs)

    @property
    def ended(self) -> int:
        """How many of the runs completed or diverged."""
        return sum(run.status in ("completed", "diverged") for run in self.runs)

    @property
    def diverged_share(self) -> float:
        """Diverged among those that ended. [0, 1]"""
        return self.diverged / self.ended if self.ended else 0.0


@dataclass(frozen=True)
class Axis:
    """One axis of a study.

    Attributes:
        key: the key or group.
        values: distinct values, sorted.
        numbers: the same as numbers; empty where they are not all numbers.
        entries: one for each value, or for each part of an interval.
        places: position in `entries` of every value.
        best: the best configuration's value.
        near: its values among configurations with the best's options (of the axes that are no numbers), sorted; in a
            grid that is no full product others would mislead.
        edge: `low` or `high` where the best lies on that end of the numbers and could lie beyond.
        continuous: whether the numbers were drawn from an interval.
    """

    key: str
    values: Sequence[str]
    numbers: Sequence[float]
    entries: Sequence[AxisValue]
    places: Mapping[str, int]
    best: str
    near: Sequence[str]
    edge: str | None
    continuous: bool

    @property
    def logarithmic(self) -> bool:
        """Whether its numbers are read on a logarithmic scale."""
        return logarithmic(self.key, self.numbers)

    @property
    def diverges(self) -> bool:
        """Whether any run diverged."""
        return any(entry.diverged for entry in self.entries)


@dataclass(frozen=True)
class Pair:
    """Two axes, and the best result for each pair of their values.

    Attributes:
        first, second: the axes; rows and columns of the table.
        cells: results, None where there is none.
        interaction: share of the variation that the two axes leave unexplained by adding up; None with too few cells.
    """

    first: Axis
    second: Axis
    cells: Sequence[Sequence[float | None]]
    interaction: float | None


def by_factors(key: str) -> bool:
    """Whether a key is varied by factors however close its values are, such as a learning rate.

    >>> by_factors("optimizer.learning_rate"), by_factors("regularizer.dropout.p")
    (True, False)
    """
    return key.rpartition(".")[2] in BY_FACTORS


def logarithmic(key: str, numbers: Sequence[float]) -> bool:
    """Whether an axis' numbers (zero aside) are such that, or span so much that, their ratios matter."""
    positive = [each for each in numbers if each > 0]
    if len(positive) < 1 + (not by_factors(key)) or min(numbers) < 0:
        return False
    return by_factors(key) or max(positive) / min(positive) >= WIDE


def study_axes(study: Study) -> list[Axis]:
    """The axes of a study, in the order of its overrides."""
    return [_axis(study, key, values) for key, values in study.axes.items()]


def _axis(study: Study, key: str, values: list[str]) -> Axis:
    found = [number(value) for value in values]
    numbers = [each for each in found if each is not None] if None not in found else []
    continuous = len(numbers) > (SMALLEST_SAMPLE if study.searched else LARGEST_GRID)
    if continuous:
        labels, places = _parts(key, values, numbers)
    else:
        labels, places = values, {value: i for i, value in enumerate(values)}
    groups: list[list[Configuration]] = [[] for _ in labels]
    for configuration in study.configurations:
        groups[places[configuration.values[key]]].append(configuration)
    bests = [next((each for each in group if each.results(study.metric)), None) for group in groups]
    compared = against_best(study, [each for each in bests if each is not None])
    by_first = {id(each.first): each for each in compared}
    entries = [
        AxisValue(label, [run for each in group for run in each.runs], best, by_first.get(id(best)))
        for label, group, best in zip(labels, groups, bests, strict=True)
    ]
    best = study.best.values[key]
    seen = {each.values[key] for each in study.configurations if _same_options(study, each, key)}
    near = [value for value in values if value in seen]
    within = [float(value) for value in near] if numbers else []
    edges = {_edge(key, within, each.values[key], continuous) for each in study.tied} if numbers else {None}
    edge = edges.pop() if len(edges) == 1 else None  # of a tie, all have to lie there
    return Axis(key, values, numbers, entries, places, best, near, edge, continuous)


def _same_options(study: Study, configuration: Configuration, key: str) -> bool:
    """Whether a configuration has the best's values on all axes that are not numbers, `key` aside."""
    best = study.best.values
    return all(configuration.values[k] == best[k] for k in best if k != key and number(best[k]) is None)


def _parts(key: str, values: Sequence[str], numbers: Sequence[float]) -> tuple[list[str], dict[str, int]]:
    """Cut an interval into parts of equal width, on its scale; those without a value are left out."""
    low, high = numbers[0], numbers[-1]
    if logarithmic(key, numbers) and low > 0:
        bounds = [low * (high / low) ** (i / BINS) for i in range(BINS + 1)]
    else:
        bounds = [low + (high - low) * i / BINS for i in range(BINS + 1)]
    raw = [min(max(bisect.bisect_right(bounds, each) - 1, 0), BINS - 1) for each in numbers]
    used = sorted(set(raw))
    labels = [f"{_short(bounds[part])} to {_short(bounds[part + 1])}" for part in used]
    return labels, {value: used.index(part) for value, part in zip(values, raw, strict=True)}


def _short(value: float) -> str:
    """Two digits, without the zero of an exponent.

    >>> _short(0.0000352), _short(0.05)
    ('3.5e-5', '0.05')
    """
    return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e")


def _edge(key: str, numbers: Sequence[float], best: str, continuous: bool) -> str | None:
    """The end on which the best number lies; at zero nothing lies beyond."""
    if len(numbers) < 2:
        return None
    value, low, high = float(best), numbers[0], numbers[-1]
    margin = 0.0
    if continuous:
        if logarithmic(key, numbers) and low > 0:
            value, low, high = math.log(value), math.log(low), math.log(high)
        margin = CLOSE * (high - low)
    if value >= high - margin:
        return "high"
    return "low" if value <= low + margin and float(best) != 0 else None


def tied(study: Study) -> list[set[str]]:
    """Groups of axes that change together, one to one, such as those of `sweep.zip`."""
    groups: list[set[str]] = []
    if study.searched:
        return groups
    rows = [each.values for each in study.configurations]
    for first, second in itertools.combinations(study.axes, 2):
        combinations = {(row[first], row[second]) for row in rows}
        if len(combinations) == len(study.axes[first]) == len(study.axes[second]) and len(combinations) > 1:
            home = next((group for group in groups if first in group or second in group), None)
            if home is None:
                groups.append({first, second})
            else:
                home |= {first, second}
    return groups


def study_pairs(study: Study, axes: Sequence[Axis]) -> list[Pair]:
    """All pairs of axes, those that interact most first."""
    bound = tied(study)
    pairs = [
        _pair(study, first, second)
        for first, second in itertools.combinations(axes, 2)
        if not any({first.key, second.key} <= group for group in bound)
    ]
    return sorted(pairs, key=lambda pair: -(pair.interaction or 0.0))


def _pair(study: Study, first: Axis, second: Axis) -> Pair:
    cells: list[list[float | None]] = [[None] * len(second.entries) for _ in first.entries]
    for configuration in study.ranked:  # the best first
        row, column = first.places[configuration.values[first.key]], second.places[configuration.values[second.key]]
        if cells[row][column] is None:
            cells[row][column] = configuration.mean(study.metric)
    return Pair(first, second, cells, _interaction(cells, study.higher_is_better))


def stretched(values: Sequence[float], higher_is_better: bool) -> bool:
    """Whether a metric spans so much that its logarithm should be looked at."""
    return not higher_is_better and min(values, default=0.0) > 0 and max(values) / min(values) > 30


def _interaction(cells: Sequence[Sequence[float | None]], higher_is_better: bool) -> float | None:
    known = {(i, j): v for i, row in enumerate(cells) for j, v in enumerate(row) if v is not None}
    rows, columns = {i for i, _ in known}, {j for _, j in known}
    if len(known) <= len(rows) + len(columns) - 1:
        return None
    if stretched(list(known.values()), higher_is_better):
        known = {place: math.log(value) for place, value in known.items()}
    mean = math.fsum(known.values()) / len(known)
    total = math.fsum((value - mean) ** 2 for value in known.values())
    rest = {place: value - mean for place, value in known.items()}
    for _ in range(SWEEPS):
        for side, positions in ((0, rows), (1, columns)):
            for position in positions:
                inside = [place for place in rest if place[side] == position]
                effect = math.fsum(rest[place] for place in inside) / len(inside)
                for place in inside:
                    rest[place] -= effect
    return math.fsum(value**2 for value in rest.values()) / total if total > 0 else None
