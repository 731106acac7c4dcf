"""`nnlab reproduce RUN`: train a run again from its `config.yaml`, and compare history and metrics bit for bit."""

from __future__ import annotations

import csv
import io
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnlab.config.lookup import locate
from nnlab.device import resolve_device
from nnlab.errors import UserError
from nnlab.runs.launch import train_runs
from nnlab.runs.result import Result
from nnlab.training.run import read_config, read_result

CONDITIONS = ("nnlab", "commit", "python", "torch", "device", "device_name", "threads")  # that numbers depend on
USAGE = """\
usage: nnlab reproduce RUN

Trains RUN again from its config.yaml in a scratch folder, and compares history and metrics bit for bit. The exit code
is 0 where all numbers are the same, and 1 where some are not.
"""


@dataclass
class Comparison:
    """What came out of a run and of its repetition.

    Attributes:
        rows: steps of the history that were compared.
        differences: one line for each quantity that differs; empty where all bits are the same.
        conditions: one line for each condition that differs, such as the version of torch.
    """

    rows: int
    differences: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)


def reproduce(directory: str | Path) -> Comparison:
    """Train a run again and compare.

    Raises:
        UserError: `directory` is no run directory, or the run has no result.
    """
    directory = Path(directory)
    config = read_config(directory)
    result = read_result(directory)
    if result is None:
        raise UserError(f"`{directory}` has not ended; continue it first: nnlab train resume={directory}")
    noted = _environment(directory)
    with tempfile.TemporaryDirectory(prefix="nnlab-reproduce-") as scratch:
        with redirect_stdout(io.StringIO()):
            [again] = train_runs([_repeatable(config, noted)], [Path(scratch)], [[]])
        comparison = _compare_histories(directory, Path(scratch))
        comparison.differences += _compare_metrics(result, again)
        comparison.conditions = _compare_conditions(noted, _environment(Path(scratch)))
    return comparison


def _environment(directory: Path) -> dict[str, Any]:
    try:
        found = json.loads((directory / "environment.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _repeatable(config: Mapping[str, Any], noted: Mapping[str, Any]) -> dict[str, Any]:
    """The run's config, with the device and threads it had, without what only observes and without time limit."""
    settings = {**config["trainer"], "time_limit": None, "threads": noted.get("threads", config["trainer"]["threads"])}
    try:
        resolve_device(str(noted.get("device", "auto")))
        settings["device"] = str(noted.get("device", "auto"))
    except UserError:
        settings["device"] = "auto"
    callbacks = {
        name: section
        for name, section in (config["callbacks"] or {}).items()
        if name == "statistics" or getattr(locate(section["_target_"]), "changes_state", False)
    }
    return {**config, "trainer": settings, "callbacks": callbacks, "resume": None}


def _compare_histories(first: Path, second: Path) -> Comparison:
    """Compare `history.csv` and `statistics.csv`, as far as both go."""
    comparison = Comparison(0)
    for name in ("history.csv", "statistics.csv"):
        before, after = _table(first / name), _table(second / name)
        common = [key for key in before if key in after]
        if name == "history.csv":
            comparison.rows = len({key[0] for key in common})
            if len(before) != len(after):
                steps = (len({key[0] for key in table}) for table in (before, after))
                comparison.differences.append("{}: {} rows before, {} now".format(name, *steps))
        wrong = [key for key in common if before[key] != after[key]]
        if wrong:
            step, column = wrong[0]
            change = _change(before[wrong[0]], after[wrong[0]])
            comparison.differences.append(
                f"{name}: first at step {step}, `{column}` {change}; {len(wrong)} numbers differ"
            )
    return comparison


def _table(path: Path) -> dict[tuple[int, str], str]:
    """Numbers, as text that stands for their bits, by step and name."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        if rows and "tag" in rows[0]:
            return {(int(row["step"]), row["tag"]): row["value"] for row in rows}
        return {(int(row["step"]), name): value for row in rows for name, value in row.items() if value}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"`{path}` is damaged: there is nothing to compare with") from error


def _change(before: str, after: str) -> str:
    """Two numbers, and how far they are apart."""
    try:
        first, second = float(before), float(after)
    except ValueError:  # damaged
        return f"was {before}, is {after}"
    size = max(abs(first), abs(second))
    apart = abs(first - second) / size if size and math.isfinite(size) else math.nan
    return f"was {before}, is {after} (relative {apart:.1e})"


def _compare_metrics(before: Mapping[str, Any], again: Result) -> list[str]:
    lines = []
    for key, now in (("status", again.status), ("steps", again.steps), ("best_step", again.best_step)):
        if before.get(key) != now:
            lines.append(f"{key}: was {before.get(key)}, is {now}")
    for split, metrics in before["metrics"].items():
        for name, value in metrics.items():
            found = again.metrics.get(split, {}).get(name, math.nan)
            if repr(float(value)) != repr(float(found)):
                lines.append(f"{split} {name}: {_change(repr(value), repr(found))}")
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


def main(arguments: Sequence[str]) -> int:
    """Print what is the same and what is not; 0 where all is."""
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    found = reproduce(arguments[0])
    if not found.differences:
        print(f"the same bits: {found.rows} steps of history, and the metrics of all splits")
        return 0
    print("not the same numbers:", *found.differences, sep="\n  ")
    if found.conditions:
        print("what else is not the same:", *found.conditions, sep="\n  ")
    else:
        print("versions, device and threads are the same; look at the data, and at code that is not committed")
    return 1
