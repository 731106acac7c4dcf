"""Read the runs of a study, and put repetitions of a configuration together.

A study is a folder of runs. Overrides that differ among its runs are its axes, except those that only repeat a
configuration (`seed`, `data.fold`): runs that differ in nothing else are one configuration, with mean and standard
deviation. Only `result.json` and `overrides.yaml` of a run are read (its `config.yaml` where an axis is missing among
its overrides), so that a thousand runs take a second; nothing here loads torch.
"""

from __future__ import annotations

import functools
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nnlab.errors import UserError, did_you_mean
from nnlab.sweep.naming import key_of, own_overrides

REPLICATES = ("seed", "data.fold")  # what repeats a configuration instead of changing it
HIGHER_IS_BETTER = ("accuracy", "r2")  # as in nnlab.training.best, which would load torch
PRIMARY = ("accuracy", "rmse", "loss")  # the first that the runs have decides
DEFAULT = "(default)"  # the value of an axis in a run that neither its overrides nor its config name
SEARCH = ".search"  # what a search leaves in its study's folder
PRUNED = "pruned:"  # how the reason begins where a search gave a run up

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class StudyRun:
    """One run.

    Attributes:
        name: its folder.
        overrides: values as they were written, by key as it was written (with `+` or `@package`).
        status: `completed`, `diverged`, `failed`, or `unfinished`.
        metrics: at the best weights, by `<metric>/<split>`; finite ones only.
    """

    name: str
    overrides: Mapping[str, str]
    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
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
        return statistics.stdev(found) if len(found) > 1 else math.nan

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

    @property
    def best(self) -> Configuration:
        """The configuration that ranks first."""
        return self.ranked[0]

    @property
    def metrics(self) -> list[str]:
        """The metrics that any run has, in the order in which they came."""
        return list(dict.fromkeys(tag for run in self.runs for tag in run.metrics))

    def count(self, status: str) -> int:
        """How many runs ended so."""
        return sum(run.status == status for run in self.runs)


def read_study(folder: str | Path, metric: str | None = None) -> Study:
    """Read the runs below a folder.

    Args:
        folder: a study, such as `outputs/study1`.
        metric: what decides, such as `loss` or `accuracy/test`; without a split that of the validation. None: the
            task's own.

    Raises:
        UserError: there is no folder, no run with a result, or no such metric.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        others = [each.name for each in path.parent.glob("*/")] if path.parent.is_dir() else []
        raise UserError(f"there is no study `{folder}`" + (f"; {did_you_mean(path.name, others)}" if others else ""))
    runs = [run for run in map(_read_run, sorted(path.iterdir())) if run is not None]
    if not any(run.status == "completed" and run.metrics for run in runs):
        found = f"none of its {len(runs)} runs has completed" if runs else "it holds no runs"
        raise UserError(f"there is nothing to compare in `{folder}`: {found}")
    return _arrange(path, runs, _metric(runs, metric))


def _read_run(directory: Path) -> StudyRun | None:
    """The run in a directory, or None where there is none."""
    try:
        result = json.loads((directory / "result.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        result = {"status": "unfinished"} if (directory / "config.yaml").exists() else None
    except (OSError, ValueError):
        result = {"status": "unfinished"}
    if not isinstance(result, Mapping):
        return None
    metrics = {
        f"{name}/{split}": float(value)
        for split, values in (result.get("metrics") or {}).items()
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    status = str(result.get("status"))
    return StudyRun(
        name=directory.name,
        overrides=_overrides(directory),
        status=status if status in ("completed", "diverged", "failed") else "unfinished",
        metrics=metrics,
        best_step=int(result.get("best_step") or 0),
        steps=int(result.get("steps") or 0),
        seconds=float(result.get("seconds") or 0.0),
        reason=str(result.get("reason") or ""),
    )


def _overrides(directory: Path) -> dict[str, str]:
    """The run's own overrides by key; a job that failed before it wrote them is known by its name."""
    try:
        content = yaml.load((directory / "overrides.yaml").read_bytes(), _LOADER)
    except (OSError, yaml.YAMLError):
        content = None
    lines = content if isinstance(content, list) else [each for each in _split(directory.name) if "=" in each]
    parts = (str(each).partition("=") for each in own_overrides(map(str, lines)))
    return {key: value for key, _, value in parts}


def _split(name: str) -> Iterator[str]:
    """The parts of a run's name between commas that are not in brackets.

    >>> list(_split("regularizer=[weight_decay,dropout],seed=1"))
    ['regularizer=[weight_decay,dropout]', 'seed=1']
    """
    depth, start = 0, 0
    for position, letter in enumerate(name):
        depth += (letter in "[{(") - (letter in ")}]")
        if letter == "," and depth == 0:
            yield name[start:position]
            start = position + 1
    yield name[start:]


def _metric(runs: Sequence[StudyRun], wanted: str | None) -> str:
    """The tag of the metric that decides."""
    known = list(dict.fromkeys(tag for run in runs if run.status == "completed" for tag in run.metrics))
    if wanted is None:
        found = (f"{name}/validation" for name in PRIMARY if f"{name}/validation" in known)
        return next(found, known[0])
    for tag in (wanted, f"{wanted}/validation"):
        if tag in known:
            return tag
    raise UserError(f"no run has the metric `{wanted}`; {did_you_mean(wanted, known)}")


def _arrange(folder: Path, runs: list[StudyRun], metric: str) -> Study:
    """Find axes and repetitions, and rank the configurations."""
    written = {key_of(key): key for run in runs for key in run.overrides}
    values = [_full(run, written, folder) for run in runs]
    found = {key: [each[key] for each in values] for key in written}
    varying = {key for key, each in found.items() if len({canonical(v) for v in each}) > 1}
    replicates = {key: sort_values(found[key]) for key in REPLICATES if key in found}
    axes = [key for key in written if key in varying and key not in REPLICATES]
    shown = {key: {canonical(v): v for v in found[key][::-1]} for key in axes}  # as the first run writes it
    groups: dict[tuple[str, ...], Configuration] = {}
    for run, all_values in zip(runs, values, strict=True):
        own = {key: shown[key][canonical(all_values[key])] for key in axes}
        groups.setdefault(tuple(own.values()), Configuration(own)).add(run)
    return Study(
        folder=folder,
        metric=metric,
        runs=runs,
        axes={key: sort_values([shown[key][canonical(value)] for value in found[key]]) for key in axes},
        replicates=replicates,
        fixed={written[key]: found[key][0] for key in written if key not in varying and key not in REPLICATES},
        written=written,
        configurations=sorted(groups.values(), key=lambda each: _rank(each, metric)),
        searched=(folder / SEARCH).is_dir(),
    )


def _full(run: StudyRun, written: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The value of every key in a run; where the run does not override it, the one in its config."""
    given = {key: run.overrides.get(written[key]) for key in written}
    config = _config(folder / run.name) if None in given.values() else {}
    return {key: _configured(config, key) if value is None else value for key, value in given.items()}


def _config(directory: Path) -> Any:
    try:
        return yaml.load((directory / "config.yaml").read_bytes(), _LOADER)
    except (OSError, yaml.YAMLError):
        return None


def _configured(config: Any, key: str) -> str:
    """The plain value at a key of a config."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    if isinstance(config, bool | int | float):
        return json.dumps(config)
    return config if isinstance(config, str) else DEFAULT


def _rank(configuration: Configuration, metric: str) -> tuple[bool, bool, float, float]:
    """Smaller is better: results before none, sound before diverging, then the metric, then the validation loss."""
    value, loss = configuration.mean(metric), configuration.mean("loss/validation")
    sign = -1.0 if metric.partition("/")[0] in HIGHER_IS_BETTER else 1.0
    unsound = configuration.count("diverged") > 0
    missing = math.isnan(value)
    return missing, unsound, 0.0 if missing else sign * value, math.inf if math.isnan(loss) else loss


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
