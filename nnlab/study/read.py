"""Read the runs of a study's folder, and put them in order.

Only `result.json` and `overrides.yaml` of a run are read (its `config.yaml` where an axis is missing among its
overrides), so that a thousand runs take a second; nothing here loads torch.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config.dotted import get
from nnlab.config.overrides import key_of, own_overrides
from nnlab.errors import UserError, did_you_mean
from nnlab.metric_names import HIGHER_IS_BETTER
from nnlab.storage.directories import is_run
from nnlab.storage.files import at
from nnlab.storage.folder import read_config, read_overrides, read_result
from nnlab.study.model import (
    DEFAULT,
    REPLICATES,
    SEARCH,
    Configuration,
    Study,
    StudyRun,
    canonical,
    sort_values,
)

PRIMARY = ("accuracy", "rmse", "loss")  # the first that the runs have decides, where they name none of their own

log = logging.getLogger(__name__)


def read_study(folder: str | Path, metric: str | None = None) -> Study:
    """Read the runs below a folder.

    Args:
        folder: a study, such as `outputs/study1`.
        metric: what decides, such as `loss` or `accuracy/test`; without a split that of the validation. None: the
            task's own.

    Raises:
        UserError: there is no folder, no run with a result, or no such metric.
    """
    path = at(folder)
    if not path.is_dir():
        others = [each.name for each in path.parent.glob("*/") if any(each.glob("*/"))] if path.parent.is_dir() else []
        raise UserError(f"there is no study `{folder}`" + (f"; {did_you_mean(path.name, others)}" if others else ""))
    runs = [run for run in map(_read_run, sorted(path.iterdir())) if run is not None]
    if not any(run.status == "completed" and run.metrics for run in runs):
        found = f"none of its {len(runs)} runs has completed" if runs else "it holds no runs"
        raise UserError(f"there is nothing to compare in `{folder}`: {found}")
    return _arrange(path, runs, _metric(runs, metric))


def _read_run(directory: Path) -> StudyRun | None:
    """The run in a directory, or None where there is none."""
    try:
        result = read_result(directory)
    except UserError as error:
        log.warning(str(error))
        return StudyRun(directory.name, _overrides(directory), "unfinished")
    if result is None:
        return StudyRun(directory.name, _overrides(directory), "unfinished") if is_run(directory) else None
    metrics = {
        f"{name}/{split}": float(value)
        for split, values in result["metrics"].items()
        for name, value in values.items()
        if math.isfinite(value)
    }
    status = result["status"] if result["status"] in ("completed", "diverged", "failed") else "unfinished"
    named = {key: result[key] for key in ("metric", "best_step", "steps", "seconds", "reason")}
    return StudyRun(directory.name, _overrides(directory), status, metrics, **named)


def _overrides(directory: Path) -> dict[str, str]:
    """The run's own overrides by key; a job that failed before it wrote them is known by its name."""
    content = read_overrides(directory)
    lines = [each for each in _split(directory.name) if "=" in each] if content is None else content
    parts = (each.partition("=") for each in own_overrides(lines))
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
        chosen = {run.metric for run in runs if run.status == "completed"}
        names = (*chosen, *PRIMARY) if len(chosen) == 1 else PRIMARY
        found = (f"{name}/validation" for name in names if f"{name}/validation" in known)
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
        return read_config(directory)
    except UserError:
        return None


def _configured(config: Any, key: str) -> str:
    """The plain value at a key of a config."""
    value = get(config, key)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return value if isinstance(value, str) else DEFAULT


def _rank(configuration: Configuration, metric: str) -> tuple[bool, bool, float, float]:
    """Smaller is better: results before none, sound before diverging, then the metric, then the validation loss."""
    value, loss = configuration.mean(metric), configuration.mean("loss/validation")
    sign = -1.0 if metric.partition("/")[0] in HIGHER_IS_BETTER else 1.0
    unsound = configuration.count("diverged") > 0
    missing = math.isnan(value)
    return missing, unsound, 0.0 if missing else sign * value, math.inf if math.isnan(loss) else loss
