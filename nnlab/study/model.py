"""What a study is: runs, and configurations, which are runs that only repeat one another.

Overrides that differ among the runs of a study are its axes, except those that only repeat a configuration (`seed`,
`data.fold`, `data.validation_fold`): runs that differ in nothing else are one configuration, with mean and standard
deviation.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnlab.metric_names import HIGHER_IS_BETTER
from nnlab.storage.keys import MEASURED_ON
from nnlab.study.resolution import COARSE, measured, smallest_step

REPLICATES = ("seed", "data.fold", "data.validation_fold")  # what repeats a configuration instead of changing it
DEFAULT = "(default)"  # the value of an axis in a run that neither its overrides nor its config name
SEARCH = ".search"  # what a search leaves in its study's folder
PRUNED = "pruned:"  # how the reason begins where a search gave a run up


@dataclass
class StudyRun:
    """One run.

    Attributes:
        name: its folder.
        overrides: values as they were written, by key as it was written (with `+` or `@package`).
        status: `completed`, `diverged`, `failed`, or `unfinished`.
        metrics: at the best weights, by `<metric>/<split>`; finite ones only.
        metric: the one that decided which weights are best, where the run names it.
    """

    name: str
    overrides: Mapping[str, str]
    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    metric: str = ""
    best_step: int = 0
    steps: int = 0
    seconds: float = 0.0
    reason: str = ""

    @functools.cached_property
    def replicate(self) -> tuple[str, ...]:
        """Which repetition of its configuration it is."""
        return tuple(canonical(self.overrides.get(key, "")) for key in REPLICATES)

    @property
    def pruned(self) -> bool:
        """Whether it was ended early because it looked hopeless."""
        return self.reason.startswith(PRUNED)


@dataclass
class Configuration:
    """Runs that differ only in what repeats them.

    Attributes:
        values: by axis.
        runs: one for each repetition.
    """

    values: Mapping[str, str]
    runs: list[StudyRun] = field(default_factory=list)
    _results: dict[str, dict[tuple[str, ...], float]] = field(default_factory=dict, repr=False)

    def add(self, run: StudyRun) -> None:
        """Take in a run; of the same repetition the latest counts."""
        self.runs = [each for each in self.runs if each.replicate != run.replicate] + [run]
        self._results.clear()

    @property
    def completed(self) -> list[StudyRun]:
        return [run for run in self.runs if run.status == "completed"]

    def count(self, status: str) -> int:
        """How many of its runs ended so."""
        return sum(run.status == status for run in self.runs)

    def results(self, tag: str) -> dict[tuple[str, ...], float]:
        """A metric of the completed runs, by repetition."""
        if tag not in self._results:
            self._results[tag] = {run.replicate: run.metrics[tag] for run in self.completed if tag in run.metrics}
        return self._results[tag]

    def mean(self, tag: str) -> float:
        """Mean over the completed runs; NaN where there is none."""
        found = self.results(tag).values()
        return statistics.fmean(found) if found else math.nan

    def std(self, tag: str) -> float:
        """Standard deviation (n - 1) over the completed runs; NaN for fewer than two."""
        found = list(self.results(tag).values())
        if len(found) < 2:
            return math.nan
        mean = math.fsum(found) / len(found)  # statistics.stdev calculates with fractions, twenty times slower
        return math.sqrt(math.fsum((value - mean) ** 2 for value in found) / (len(found) - 1))

    @property
    def label(self) -> str:
        """Its values in one line."""
        return ", ".join(f"{key}={value}" for key, value in self.values.items()) or "defaults"


@dataclass
class Study:
    """The runs of a folder, put in order.

    Attributes:
        folder: where they are.
        metric: what decides, as `<metric>/validation`.
        runs: all of them.
        axes: the swept keys with their values, sorted.
        replicates: values of what repeats configurations, by key.
        fixed: overrides that all runs share, by key as it was written.
        written: keys as they were written, such as `+data.limit`, by key.
        configurations: the best first; those of which a run diverged come after those of which none did,
            and those without a result last.
        searched: whether a search chose the values, and not a grid.
    """

    folder: Path
    metric: str
    runs: list[StudyRun]
    axes: dict[str, list[str]]
    replicates: dict[str, list[str]]
    fixed: dict[str, str]
    written: dict[str, str]
    configurations: list[Configuration]
    searched: bool = False

    @property
    def higher_is_better(self) -> bool:
        return self.metric.partition("/")[0] in HIGHER_IS_BETTER

    @functools.cached_property
    def ranked(self) -> list[Configuration]:
        """The configurations that have a result."""
        return [each for each in self.configurations if each.results(self.metric)]

    @functools.cached_property
    def measured_on(self) -> list[str]:
        """The axes by which it differs on what examples, or in what units, the configurations are judged."""
        return [key for key in self.axes if key in MEASURED_ON]

    @property
    def best(self) -> Configuration:
        """The configuration that ranks first."""
        return self.ranked[0]

    @functools.cached_property
    def tied(self) -> list[Configuration]:
        """The best and those whose metric is exactly the same, runs that diverged or not; one where there is no tie."""
        value = self.best.mean(self.metric)
        same = [
            each for each in self.ranked if math.isclose(each.mean(self.metric), value, rel_tol=1e-9, abs_tol=1e-12)
        ]
        return [each for each in same if each.count("diverged") == self.best.count("diverged")]

    @functools.cached_property
    def step(self) -> float:
        """What one example changes in the metric that decides; 0 where it has no such steps."""
        name = self.metric.partition("/")[0]
        values = [value for each in self.ranked for value in each.results(self.metric).values()]
        step = smallest_step(values, name)
        if step < COARSE:
            return step
        before = [value for run in self.best.completed for value in measured(self.folder / run.name, self.metric)]
        return smallest_step([*values, *before], name)

    @functools.cached_property
    def metrics(self) -> list[str]:
        """The metrics that any run has, in the order in which they came."""
        return list(dict.fromkeys(tag for run in self.runs for tag in run.metrics))

    def count(self, status: str) -> int:
        """How many runs ended so."""
        return sum(run.status == status for run in self.runs)


def number(value: str) -> float | None:
    """The number that a value is, if it is a finite one.

    >>> number("1e-3"), number("adam"), number("true")
    (0.001, None, None)
    """
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def canonical(value: str) -> str:
    """A spelling that is the same for equal values: 1e-3 and 0.001, True and true."""
    found = number(value)
    if found is not None:
        return repr(found)
    return value.lower() if value.lower() in ("true", "false", "null") else value


def sort_values(values: Sequence[str]) -> list[str]:
    """Distinct values: numbers by size, then lists of numbers by their entries, then the rest as they came.

    >>> sort_values(["1e-2", "0.001", "0.01"]), sort_values(["[64,64]", "[64]", "[8]"])
    (['0.001', '1e-2'], ['[8]', '[64]', '[64,64]'])
    """
    distinct: dict[str, str] = {}
    for value in values:
        distinct.setdefault(canonical(value), value)
    return sorted(distinct.values(), key=_order)


def _order(value: str) -> tuple[int, list[float]]:
    entries = [number(each) for each in value.strip("[]").split(",")]
    numbers = [each for each in entries if each is not None]
    if len(numbers) < len(entries):
        return 2, []
    return int(value.startswith("[")), numbers
