"""Read a run directory back: config, losses of every step, validation metrics, statistics, result.

`nnlab.callbacks.history_file` says what is in `history.csv` and `statistics.csv`. A run that is still training can be
read too: what its files hold so far.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nnlab.errors import UserError
from nnlab.training.run import read_config, read_result

DENSE = ("step", "epoch", "learning_rate", "loss/train")  # the first columns of history.csv, filled in every row
# What may differ between runs that are repetitions of one another, and what does not show in their results.
INCIDENTAL = ("name", "output_dir", "data_root", "resume", "sweep", "callbacks")


@dataclass(frozen=True)
class Series:
    """Values (n,) after the steps (n,), counted from 1."""

    steps: np.ndarray
    values: np.ndarray

    @property
    def last(self) -> float:
        """The newest value."""
        return float(self.values[-1])


@dataclass
class SavedRun:
    """What a run directory holds.

    Attributes:
        directory: the folder.
        config: the resolved config.
        overrides: what the command line gave.
        result: the content of `result.json`, or None where the run has not ended.
        steps: 1, 2, ... (T,), int64.
        epochs: epochs done after each of them (T,).
        rates: learning rates (T,).
        losses: minibatch losses before each update (T,); for an ensemble the mean of its members in training.
        member_losses: (T, members) for an ensemble, else (T, 1).
        metrics: validation metrics by name, `loss` and `accuracy` for instance.
        statistics: all other scalars by tag, such as `gradient_norm/linear1.weight`; an ensemble's end in `/<member>`.
    """

    directory: Path
    config: Mapping[str, Any]
    overrides: Sequence[str]
    result: Mapping[str, Any] | None
    steps: np.ndarray
    epochs: np.ndarray
    rates: np.ndarray
    losses: np.ndarray
    member_losses: np.ndarray
    metrics: dict[str, Series] = field(default_factory=dict)
    statistics: dict[str, Series] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.directory.resolve().name

    @property
    def steps_per_epoch(self) -> float | None:
        """Updates in an epoch, or None before the first."""
        return round(self.steps[-1] / self.epochs[-1]) if len(self.steps) and self.epochs[-1] > 0 else None

    def layers(self, kind: str) -> dict[str, Series]:
        """The statistics of one kind, such as `activation_std`, by layer."""
        prefix = f"{kind}/"
        return {tag.removeprefix(prefix): s for tag, s in self.statistics.items() if tag.startswith(prefix)}


def read_run(directory: str | Path) -> SavedRun:
    """Read a run.

    Raises:
        UserError: `directory` is no run directory, or a file in it is damaged.
    """
    folder = Path(directory).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no folder `{directory}`")
    config = read_config(folder)
    try:
        dense, losses, metrics = _history(folder / "history.csv")
        statistics = _statistics(folder / "statistics.csv")
        overrides = yaml.safe_load(_text(folder / "overrides.yaml")) or []
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"a file of the run `{folder}` is damaged: {str(error).splitlines()[0]}") from error
    steps, epochs, rates, mean = dense.T
    numbers = steps.astype(np.int64), epochs, rates, mean, losses
    return SavedRun(folder, config, overrides, read_result(folder), *numbers, metrics, statistics)


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """The run directories among and below `paths`, each once; a study's folder stands for its runs.

    Raises:
        UserError: at one of the paths there is none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        folder = Path(path).expanduser()
        if (folder / "config.yaml").is_file():
            inside = [folder]
        else:
            inside = sorted(
                file.parent for file in folder.rglob("config.yaml") if (file.parent / "history.csv").exists()
            )
        if not inside:
            raise UserError(f"there is no run at `{path}`: a run's folder holds a config.yaml and a history.csv")
        found.update(dict.fromkeys(inside))
    return list(found)


def labels(configs: Sequence[Mapping[str, Any]], ignore: Sequence[str] = ("seed",)) -> list[str]:
    """What tells configs apart, one label each, such as `learning_rate=0.1`; equal but for `ignore`: equal.

    Args:
        configs: resolved configs.
        ignore: keys whose differences do not count, besides those that do not influence results.
    """
    flat = [flatten(config) for config in configs]
    keys = list(dict.fromkeys(key for each in flat for key in each))
    unseen = (*INCIDENTAL, *ignore)
    differing = [
        key
        for key in keys
        if not any(key == name or key.startswith(f"{name}.") for name in unseen)
        and any(each.get(key) != flat[0].get(key) for each in flat)
    ]
    shown = [key for key in differing if not _implied(key, flat, differing)]
    short = {key: key.rpartition(".")[2] for key in shown if not key.endswith("._target_")}
    unique = {key: name if list(short.values()).count(name) == 1 else key for key, name in short.items()}
    return [", ".join(_described(unique.get(key, key), each[key]) for key in shown if key in each) for each in flat]


def _implied(key: str, flat: Sequence[Mapping[str, Any]], differing: Sequence[str]) -> bool:
    """Whether a value comes with a component: one that differs, and always has this value where it is the same."""
    parents = [f"{key[:end]}._target_" for end, letter in enumerate(key) if letter == "."]
    for parent in parents:
        if parent != key and parent in differing:
            values: dict[object, set[str]] = {}
            for each in flat:
                values.setdefault(each.get(parent), set()).add(repr(each.get(key)))
            return all(len(found) == 1 for found in values.values())
    return False


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by dotted key, such as `optimizer.learning_rate`."""
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        leaves |= flatten(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return leaves


def _described(key: str, value: object) -> str:
    """`optimizer._target_` with `nnlab.optimizer.Adam` reads `optimizer=Adam`."""
    if key.endswith("._target_"):
        return f"{key.removesuffix('._target_')}={str(value).rpartition('.')[2]}"
    return f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"


def _text(path: Path) -> str:
    """Whole lines of a file, which another process may be writing; nothing where there is none."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return ""
    return text[: text.rfind("\n") + 1]


def _history(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Series]]:
    """The dense columns (T, 4), the members' losses (T, members), and the validation metrics."""
    header, *rows = list(csv.reader(_text(path).splitlines())) or [list(DENSE)]
    if tuple(header[: len(DENSE)]) != DENSE:
        raise ValueError(f"{path.name} does not begin with the columns {', '.join(DENSE)}")
    dense = np.array([row[: len(DENSE)] for row in rows], dtype=float).reshape(-1, len(DENSE))
    members = [i for i, name in enumerate(header) if name.startswith("loss/train/")] or [DENSE.index("loss/train")]
    losses = np.array([[row[i] for i in members] for row in rows], dtype=float).reshape(-1, len(members))
    metrics = {}
    for column in range(len(DENSE), len(header)):
        name, _, split = header[column].rpartition("/")
        if split == "validation":
            filled = [(int(row[0]), float(row[column])) for row in rows if row[column]]
            metrics[name] = _series(filled)
    return dense, losses, metrics


def _statistics(path: Path) -> dict[str, Series]:
    values: dict[str, list[tuple[int, float]]] = {}
    for step, tag, value in list(csv.reader(_text(path).splitlines()))[1:]:
        values.setdefault(tag, []).append((int(step), float(value)))
    return {tag: _series(pairs) for tag, pairs in values.items()}


def _series(pairs: Sequence[tuple[int, float]]) -> Series:
    return Series(np.array([step for step, _ in pairs], dtype=np.int64), np.array([v for _, v in pairs], dtype=float))
