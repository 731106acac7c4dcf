"""The folder of a run: its files, and the one reader and the one writer of each.

config.yaml       the resolved config          history.csv      one row a step (`nnlab.storage.history`)
overrides.yaml    what the command line gave   statistics.csv   step, tag, value
environment.json  versions, device, seed       checkpoints/     last, previous, best (`nnlab.storage.checkpoint`)
result.json       how it ended                 log.txt          what was said (`nnlab.storage.run`)
calibration.json  what validation taught about its probabilities, once `nnlab evaluate` was asked

A recipe's folder has the first four as well. `nnlab.storage.directories` tells which folders are those of runs. Nothing
here loads torch, so that a thousand runs are read in a second.
"""

from __future__ import annotations

import functools
import json
import os
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nnlab.errors import UserError
from nnlab.storage.files import explained, write_whole
from nnlab.storage.json_text import indented

CONFIG, OVERRIDES, ENVIRONMENT, RESULT = "config.yaml", "overrides.yaml", "environment.json", "result.json"
HISTORY, STATISTICS = "history.csv", "statistics.csv"
LOG = "log.txt"
CALIBRATION = "calibration.json"
OUTPUT = "output.txt"  # everything that a job in a process of its own has printed
CHECKPOINTS = "checkpoints"
MEAN, FIGURES = "mean", "figures"  # folders beside the runs of a study: curves over seeds, and what `nnlab plot` drew
EVENTS = "events.out.tfevents."  # how the names of TensorBoard's files begin

STATUSES = ("completed", "diverged", "failed", "interrupted")
# The keys of a result with the values of a run that has done nothing; their types are those of every result.
NO_RESULT: Mapping[str, Any] = {
    **{"metrics": {}, "metric": "", "best_step": 0, "steps": 0, "seconds": 0.0},
    **{"reason": "", "identity": "", "diagnosis": []},
}
PROBE_PENDING = "probe_pending"  # key of a result whose experiments have yet to be made or to end


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain values; `1e-3` is a number, as in YAML 1.2 and on the command line."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?|\d*\.\d+)[eE][-+]?\d+$"), "-+.0123456789"
)


# ---- TensorBoard's files


def event_files(directory: Path) -> list[Path]:
    """TensorBoard's files in a folder, sorted; none where there is no such folder."""
    try:
        return [directory / name for name in sorted(os.listdir(directory)) if name.startswith(EVENTS)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove_events(directory: Path, but: Sequence[str] = ()) -> None:
    """Remove TensorBoard's files, except those with the names `but`.

    Raises:
        WriteError: that is not possible there.
    """
    for path in event_files(directory):
        if path.name not in but:
            with explained(path):
                path.unlink()


# ---- writing


def write_config(directory: Path, config: Mapping[str, Any]) -> None:
    """Write the resolved config."""
    text = "".join(_section(pickle.dumps({key: config[key]})) for key in config)
    write_whole(directory / CONFIG, text or _dumped({}))


@functools.lru_cache(maxsize=256)
def _section(content: bytes) -> str:
    """YAML of one section; the runs of a study share most of theirs."""
    return _dumped(pickle.loads(content))


def _dumped(content: Any) -> str:
    """YAML with the keys in their order; by libyaml where PyYAML has it, which takes a tenth of the time."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(content, Dumper=dumper, sort_keys=False)
    return text


def write_overrides(directory: Path, overrides: Sequence[str]) -> None:
    """Write what the command line gave."""
    write_whole(directory / OVERRIDES, _dumped(list(overrides)))


def write_environment(directory: Path, environment: Mapping[str, Any]) -> None:
    """Write what a number depends on besides the config; its `identity` is the config's."""
    write_whole(directory / ENVIRONMENT, indented(environment) + "\n")


def write_result(directory: Path, result: Mapping[str, Any]) -> None:
    """Write how a run ended, so that it survives a power cut."""
    write_whole(directory / RESULT, indented(result) + "\n", sync=True)


def write_calibration(directory: Path, content: Mapping[str, Any] | None) -> None:
    """Write what was learned about a finished run's probabilities; None removes it."""
    path = directory / CALIBRATION
    if content is not None:
        write_whole(path, json.dumps(content) + "\n")
        return
    with explained(path):
        path.unlink(missing_ok=True)


def remove_result(directory: Path) -> None:
    """Remove the result of an attempt that is to be repeated."""
    with explained(directory / RESULT):
        (directory / RESULT).unlink(missing_ok=True)


# ---- reading


def read_config(directory: Path) -> dict[str, Any]:
    """The resolved config of a run.

    Raises:
        UserError: `directory` is no run directory, or the file is damaged.
    """
    config = _read(directory / CONFIG, _yaml)
    if config is None:
        raise UserError(f"`{directory}` is no run directory: it has no {CONFIG}")
    return _mapping(directory / CONFIG, config)


def read_overrides(directory: Path) -> list[str] | None:
    """The overrides that a run was started with; None where they cannot be read."""
    try:
        found = _read(directory / OVERRIDES, _yaml)
    except UserError:
        return None
    return [line for line in found if isinstance(line, str)] if isinstance(found, list) else None


def read_environment(directory: Path) -> dict[str, Any]:
    """What the numbers of a run depend on besides its config; nothing where that cannot be read."""
    try:
        found = _read(directory / ENVIRONMENT, json.loads)
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}


def read_result(directory: Path) -> dict[str, Any] | None:
    """How a run ended, with every key of `NO_RESULT` and `status`; None where it has not ended.

    Raises:
        UserError: the file is damaged.
    """
    path = directory / RESULT
    content = _read(path, json.loads)
    if content is None:
        return None
    result = {**NO_RESULT, **_mapping(path, content)}
    for key, usual in {"status": "", **NO_RESULT}.items():
        if not _fits(result.get(key), usual):
            raise UserError(f"`{path}` is damaged: `{key}` is {_shortened(result.get(key))}")
    for split, values in result["metrics"].items():
        if not isinstance(values, dict) or not all(_fits(value, 0.0) for value in values.values()):
            raise UserError(f"`{path}` is damaged: the metrics of `{split}` are no numbers")
    if not all(isinstance(finding, dict) for finding in result["diagnosis"]):
        raise UserError(f"`{path}` is damaged: `diagnosis` is no list of findings")
    return result


def read_calibration(directory: Path) -> dict[str, Any] | None:
    """What was learned about a finished run's probabilities; None where nothing was.

    Raises:
        UserError: the file is damaged.
    """
    path = directory / CALIBRATION
    content = _read(path, json.loads)
    return None if content is None else _mapping(path, content)


def _fits(value: Any, usual: Any) -> bool:
    """Whether a value of a file is of the kind of another."""
    if isinstance(usual, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(usual, int):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, type(usual))


def _shortened(value: Any) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _yaml(text: str) -> Any:
    return yaml.load(text, _Loader)


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    """The content of a file, or None where there is none."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot read `{path}`: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"`{path}` is damaged{line}: {error.problem}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"`{path}` is damaged: {str(error).splitlines()[0]}") from error


def _mapping(path: Path, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"`{path}` is damaged: it holds no keys and values")
    return content
