"""`history.csv` and `statistics.csv`: what a run has seen, as files that programs and people can read.

`history.csv` has a row for every step: `step`, `epoch`, `learning_rate`, `loss/train` (the minibatch's, before the
update), then the validation metrics in the rows of the steps after which they were measured. For an ensemble these are
means of its members in training, whose losses follow. `statistics.csv` has the rest as `step,tag,value`; the tags of an
ensemble end in `/<member>`. Numbers are written so that reading them gives the same bits. Reading takes whole lines, of
a run that still trains, too; lines that something else has damaged are left out, with a warning.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnlab.console import counted
from nnlab.errors import UserError
from nnlab.storage.files import GrowingFile
from nnlab.storage.folder import HISTORY, STATISTICS
from nnlab.storage.run import Run

DENSE = ("step", "epoch", "learning_rate", "loss/train")  # the first columns of history.csv, filled in every row
MEMBER = f"{DENSE[3]}/"  # the columns of an ensemble's members: loss/train/0, ...
STATISTIC = ("step", "tag", "value")
VALIDATION = "/validation"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Series:
    """Values (n,) after the steps (n,), counted from 1."""

    steps: np.ndarray
    values: np.ndarray

    @property
    def last(self) -> float:
        """The newest value."""
        return float(self.values[-1])


@dataclass(frozen=True)
class Curves:
    """What the two files hold.

    Attributes:
        steps: 1, 2, ... (T,), int64.
        epochs: epochs done after each of them (T,).
        rates: learning rates (T,).
        losses: minibatch losses before each update (T,); for an ensemble the mean of its members in training.
        member_losses: (T, members) for an ensemble, else (T, 1).
        validation: the columns of validation metrics by tag, such as `loss/validation`; for an ensemble means likewise.
        statistics: all other scalars by tag, such as `gradient_norm/linear1.weight`.
    """

    steps: np.ndarray
    epochs: np.ndarray
    rates: np.ndarray
    losses: np.ndarray
    member_losses: np.ndarray
    validation: Mapping[str, Series] = field(default_factory=dict)
    statistics: Mapping[str, Series] = field(default_factory=dict)

    def filled(self, steps: int, members: int) -> tuple[np.ndarray, np.ndarray]:
        """Losses (steps, members) and rates (steps,) of the first steps; NaN where the file does not say."""
        losses, rates = np.full((steps, members), np.nan), np.full(steps, np.nan)
        known = (self.steps >= 1) & (self.steps <= steps)
        rows = self.steps[known] - 1
        rates[rows] = self.rates[known]
        if self.member_losses.shape[1] == members:
            losses[rows] = self.member_losses[known]
        return losses, rates

    def scalars(self, position: int, members: int) -> dict[int, dict[str, float]]:
        """Validation metrics and statistics of one of a run's members, by step and tag, in the order of the steps."""
        found: dict[int, dict[str, float]] = {}
        ending = f"/{position}" if members > 1 else ""
        own = {} if ending else dict(self.validation)
        own |= {tag.removesuffix(ending): each for tag, each in self.statistics.items() if tag.endswith(ending)}
        for tag, series in own.items():
            for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
                found.setdefault(step, {})[tag] = value
        return dict(sorted(found.items()))


# ---- writing


class HistoryWriter:
    """Appends to the two files of one run.

    Args:
        run: its files are opened, and continue where its last checkpoint saw them.
        metrics: names of the validation metrics.
    """

    def __init__(self, run: Run, metrics: Sequence[str]) -> None:
        self.tags = [f"{name}{VALIDATION}" for name in metrics]
        self.members = len(run.members)
        self.history, self.statistics = run.open(HISTORY), run.open(STATISTICS)
        extra = [f"{MEMBER}{i}" for i in range(self.members)] if self.members > 1 else []
        _head(self.history, [*DENSE, *self.tags, *extra])
        _head(self.statistics, STATISTIC)

    def write(
        self,
        start: int,
        losses: np.ndarray,
        rates: np.ndarray,
        scalars: Iterable[tuple[int, int, Mapping[str, float]]],
        steps_per_epoch: float,
    ) -> None:
        """Append what has come since the last time.

        Args:
            start: steps that are written already.
            losses: (n, members) of the steps since then; NaN where a member had ended.
            rates: (n,).
            scalars: step, position of the member in the run, and values by tag.
            steps_per_epoch: for the column of epochs.
        """
        columns: dict[int, dict[str, list[float]]] = {}
        lines = []
        for step, position, values in scalars:
            inside = {tag: value for tag, value in values.items() if tag in self.tags}
            row = columns.setdefault(step, {})
            for tag, value in inside.items():
                row.setdefault(tag, []).append(value)
            ending = f"/{position}" if self.members > 1 else ""
            lines += [
                f"{step},{tag}{ending},{value!r}\n" for tag, value in values.items() if ending or tag not in inside
            ]
        wide = {step: {tag: sum(own) / len(own) for tag, own in row.items()} for step, row in columns.items()}
        rows = self._rows(start, losses, rates.tolist(), wide, steps_per_epoch)
        for file, block in ((self.statistics, lines), (self.history, rows)):
            file.write("".join(block).encode())
            file.flush()

    def _rows(
        self, start: int, losses: np.ndarray, rates: list[float], wide: Mapping[int, Mapping[str, float]], epoch: float
    ) -> list[str]:
        single = self.members == 1
        means = losses[:, 0] if single else _mean(losses)
        ends = ["," * len(self.tags)] * len(rates)
        for step, values in wide.items():
            if start < step <= start + len(ends):
                ends[step - start - 1] = "".join(f",{values[tag]!r}" if tag in values else "," for tag in self.tags)
        if not single:
            ends = [f"{end},{','.join(map(repr, row))}" for end, row in zip(ends, losses.tolist(), strict=True)]
        heads = _heads(start, len(rates), epoch)
        rows = [
            f"{head}{_text(rate)},{loss!r}{end}\n"
            for head, rate, loss, end in zip(heads, rates, means.tolist(), ends, strict=True)
        ]
        unknown = np.flatnonzero(np.isnan(means)).tolist() if single else []
        return [row for i, row in enumerate(rows) if i not in unknown] if unknown else rows


@functools.lru_cache(maxsize=32)
def _heads(start: int, count: int, epoch: float) -> list[str]:
    """The columns of steps and epochs, which the runs of a population share."""
    return [f"{step},{step / epoch!r}," for step in range(start + 1, start + count + 1)]


@functools.lru_cache(maxsize=4096)
def _text(number: float) -> str:
    """Writing out a number costs a microsecond, and the rates of steps and runs repeat."""
    return repr(number)


def _head(file: GrowingFile, columns: Sequence[str]) -> None:
    if not file.offset:
        file.write((",".join(columns) + "\n").encode())


def _mean(losses: np.ndarray) -> np.ndarray:
    """Mean over the members that are still in training."""
    count = np.isfinite(losses).sum(1)
    return np.where(count > 0, np.nansum(losses, 1) / np.maximum(count, 1), np.nan)


# ---- reading


def read_curves(directory: Path, statistics: bool = True) -> Curves:
    """What a run's files hold so far; nothing where there are none.

    Args:
        directory: of the run.
        statistics: whether to read those as well.

    Raises:
        UserError: a file may not be read.
    """
    header, *lines = _lines(directory / HISTORY) or [",".join(DENSE)]
    columns = header.split(",")
    if tuple(columns[: len(DENSE)]) != DENSE:
        log.warning(f"`{directory / HISTORY}` is damaged: it does not begin with the columns {', '.join(DENSE)}")
        columns, lines = list(DENSE), []
    dense = [i for i, name in enumerate(columns) if i < len(DENSE) or name.startswith(MEMBER)]
    sparse = [i for i in range(len(columns)) if i not in dense]
    cells = _table(directory / HISTORY, lines, len(columns), dense, sparse)
    numbers = {i: np.array(cells[i], dtype=float) for i in dense}
    steps = np.array(cells[0], dtype=np.int64)
    members = [numbers[i] for i in dense[len(DENSE) :]] or [numbers[3]]
    validation = {}
    for i, name in enumerate(columns):
        if name.endswith(VALIDATION):
            rows, values = cells[i]
            validation[name] = Series(steps[rows], np.array(values, dtype=float))
    found = _statistics(directory / STATISTICS) if statistics else {}
    return Curves(steps, numbers[1], numbers[2], numbers[3], np.stack(members, axis=1), validation, found)


def _statistics(path: Path) -> dict[str, Series]:
    steps, tags, values = _table(path, _lines(path)[1:], len(STATISTIC), (0, 2))
    found: dict[str, tuple[list[int], list[float]]] = {}
    for step, tag, value in zip(steps, tags, values, strict=True):
        pair = found.setdefault(tag, ([], []))
        pair[0].append(step)
        pair[1].append(value)
    return {tag: Series(np.array(s, dtype=np.int64), np.array(v, dtype=float)) for tag, (s, v) in found.items()}


def _lines(path: Path) -> list[str]:
    """Whole lines of a file, which another process may be writing; none where there is no file."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"cannot read `{path}`: {error.strerror}") from error
    return text[: text.rfind("\n") + 1].split("\n")[:-1]


def _table(
    path: Path, lines: list[str], width: int, dense: Sequence[int], sparse: Sequence[int] = ()
) -> list[list[Any]]:
    """The columns of a table, without its damaged lines: too short or long, or no numbers where there must be.

    Args:
        dense: columns of numbers, the first of them of whole ones.
        sparse: columns of numbers or nothing, which are given as the rows that have one, and their numbers; all others
            are text.
    """
    columns = _columns(lines, width, dense, sparse)
    if columns is None:
        sound = [line for line in lines if _columns([line], width, dense, sparse) is not None]
        log.warning(
            f"`{path}` is damaged: {counted(len(lines) - len(sound), 'line', 'is', 'are', of=len(lines))} left out"
        )
        columns = _columns(sound, width, dense, sparse)
    return columns or _nothing(width, sparse)


def _nothing(width: int, sparse: Sequence[int]) -> list[list[Any]]:
    """The columns of no lines."""
    return [[[], []] if i in sparse else [] for i in range(width)]


def _columns(lines: list[str], width: int, dense: Sequence[int], sparse: Sequence[int]) -> list[list[Any]] | None:
    """The columns of lines; None where one of them is damaged."""
    if not lines:
        return _nothing(width, sparse)
    if list(map(str.count, lines, itertools.repeat(","))).count(width - 1) != len(lines):
        return None
    cells = ",".join(lines).split(",")
    columns: list[list[Any]] = [cells[i::width] for i in range(width)]
    try:
        for i in dense:
            columns[i] = list(map(int if i == 0 else float, columns[i]))
        if max(map(abs, columns[0])) >= 1 << 62:
            return None
        for i in sparse:
            rows = list(itertools.compress(range(len(lines)), columns[i]))
            columns[i] = [rows, [float(columns[i][row]) for row in rows]]
    except ValueError:
        return None
    return columns
