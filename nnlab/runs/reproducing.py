"""Reproducing a run: trained again from its own config, with history and metrics compared bit for bit."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnlab.config.command_line import of_run
from nnlab.config.kept import kept_config
from nnlab.config.lookup import locate
from nnlab.console import counted, silenced
from nnlab.device import resolve_device
from nnlab.errors import UserError
from nnlab.runs.launch import train_runs
from nnlab.runs.own_data import own_dataset
from nnlab.runs.result import Result
from nnlab.storage.directories import run_at
from nnlab.storage.folder import HISTORY, STATISTICS, read_environment, read_result
from nnlab.storage.history import DENSE, MEMBER, Curves, Series, read_curves

# That numbers depend on.
CONDITIONS = ("nnlab", "commit", "python", "torch", "device", "device_name", "engine", "threads", "processes")


@dataclass
class Reproduction:
    """What came out of a run and of its repetition.

    Attributes:
        rows: steps of the history that were compared.
        differences: one line for each quantity that differs; empty where all bits are the same.
        conditions: one line for each condition that differs, such as the version of torch.
    """

    rows: int
    differences: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)


def reproduce(directory: str | Path) -> Reproduction:
    """Train a run again and compare.

    Raises:
        UserError: `directory` is no run directory, the run has no result, or its data have changed.
    """
    directory = run_at(directory)
    config = kept_config(directory)
    result = read_result(directory)
    if result is None:
        first = of_run("train", [f"resume={directory}"], directory)
        raise UserError(f"`{directory}` has not ended; continue it first: {first}")
    own_dataset(directory, config)
    noted = read_environment(directory)
    with tempfile.TemporaryDirectory(prefix="nnlab-reproduce-") as scratch:
        with silenced():
            [again] = train_runs([_repeatable(config, noted)], [Path(scratch)], [[]])
        comparison = _compare_histories(directory, Path(scratch))
        comparison.differences += _compare_metrics(result, again)
        comparison.conditions = _compare_conditions(noted, read_environment(Path(scratch)))
    return comparison


def _repeatable(config: Mapping[str, Any], noted: Mapping[str, Any]) -> dict[str, Any]:
    """The run's config, with the device and threads it had, without what only observes and without time limit."""
    settings = {**config["trainer"], "time_limit": None}
    settings |= {name: noted[name] for name in ("threads", "processes") if name in noted}
    try:
        resolve_device(str(noted.get("device", "auto")))
        settings["device"] = str(noted.get("device", "auto"))
    except UserError:
        settings["device"] = "auto"
    callbacks = {
        name: section
        for name, section in (config["callbacks"] or {}).items()
        if section is not None
        and (name == "statistics" or getattr(locate(section["_target_"]), "changes_state", False))
    }
    return {**config, "trainer": settings, "callbacks": callbacks, "resume": None}


def _compare_histories(first: Path, second: Path) -> Reproduction:
    """Compare `history.csv` and `statistics.csv`, as far as both go."""
    before, after = read_curves(first), read_curves(second)
    comparison = Reproduction(int(np.intersect1d(before.steps, after.steps).size))
    if len(before.steps) != len(after.steps):
        comparison.differences.append(f"{HISTORY}: {counted(len(before.steps), 'row')} before, {len(after.steps)} now")
    for name, own, others in (
        (HISTORY, _columns(before), _columns(after)),
        (STATISTICS, before.statistics, after.statistics),
    ):
        wrong = [
            (step, column, was, now)
            for column in own
            if column in others
            for step, was, now in _different(own[column], others[column])
        ]
        if wrong:
            step, column, was, now = min(wrong, key=lambda each: each[0])
            differ = counted(len(wrong), "number", "differs", "differ")
            comparison.differences.append(f"{name}: first at step {step}, `{column}` {_change(was, now)}; {differ}")
    return comparison


def _columns(curves: Curves) -> dict[str, Series]:
    """The numbers of `history.csv` by column."""
    dense = (curves.epochs, curves.rates, curves.losses)
    members = {f"{MEMBER}{i}": values for i, values in enumerate(curves.member_losses.T)}
    named = dict(zip(DENSE[1:], dense, strict=True)) | (members if len(members) > 1 else {})
    return {name: Series(curves.steps, values) for name, values in named.items()} | dict(curves.validation)


def _different(before: Series, after: Series) -> Iterator[tuple[int, float, float]]:
    """Step, number before and number now, wherever both have one and the bits are not the same."""
    now = dict(zip(after.steps.tolist(), after.values.tolist(), strict=True))
    for step, value in zip(before.steps.tolist(), before.values.tolist(), strict=True):
        if step in now and repr(value) != repr(now[step]):
            yield step, value, now[step]


def _change(before: float, after: float) -> str:
    """Two numbers, and how far they are apart."""
    size = max(abs(before), abs(after))
    apart = abs(before - after) / size if size and math.isfinite(size) else math.nan
    return f"was {before!r}, is {after!r} (relative {apart:.1e})"


def _compare_metrics(before: Mapping[str, Any], again: Result) -> list[str]:
    lines = []
    for key, now in (("status", again.status), ("steps", again.steps), ("best_step", again.best_step)):
        if before.get(key) != now:
            lines.append(f"{key}: was {before.get(key)}, is {now}")
    for split, metrics in before["metrics"].items():
        for name, value in metrics.items():
            found = again.metrics.get(split, {}).get(name, math.nan)
            if repr(float(value)) != repr(float(found)):
                lines.append(f"{split} {name}: {_change(float(value), float(found))}")
    return lines


def _compare_conditions(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{name}: was {before.get(name)}, is {now.get(name)}"
        for name in CONDITIONS
        if before.get(name) != now.get(name)
    ]
    together = before.get("population", now.get("population"))
    if together != now.get("population"):
        lines.append(f"was trained together with other runs, {together} networks at once; now alone")
    return lines
