"""`history.csv` and `statistics.csv`: what a run has seen, as files that programs and people can read.

`history.csv` has a row for every step: `step`, `epoch`, `learning_rate`, `loss/train` (the minibatch's, before the
update), then the validation metrics in the rows of the steps after which they were measured, and for an ensemble the
losses of its members. `statistics.csv` has the rest as `step,tag,value`; the tags of an ensemble end in `/<member>`.
Numbers are written so that reading them gives the same bits. Reading takes whole lines, of a run that still trains,
too; lines that something else has damaged are left out, with a warning.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

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
        validation: the columns of validation metrics by tag, such as `loss/validation`.
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
        wide: dict[int, dict[str, float]] = {}
        lines = []
        for step, position, values in scalars:
            inside = {tag: value for tag, value in values.items() if tag in self.tags}
            if position == 0:
                wide.setdefault(step, {}).update(inside)
            ending = f"/{position}" if self.members > 1 else ""
            lines += [
                f"{step},{tag}{ending},{value!r}\n" for tag, value in values.items() if ending or tag not in inside
            ]
        rows = self._rows(start, losses, rates.tolist(), wide, steps_per_epoch)
        for file, block in ((self.statistics, lines), (self.history, rows)):
            file.write("".join(block).encode())
            file.flush()

    def _rows(
        self, start: int, losses: np.ndarray, rates: list[float], wide: Mapping[int, Mapping[str, float]], epoch: float
    ) -> list[str]:
        single = self.members == 1
        means = (losses[:, 0] if single else _mean(losses)).tolist()
        rows = []
        for i, (loss, rate) in enumerate(zip(means, rates, strict=True)):
            if single and math.isnan(loss):
                continue
            step = start + i + 1
            values = wide.get(step)
            if values is None:
                tail = "," * len(self.tags)
            else:
                tail = "".join(f",{values[tag]!r}" if tag in values else "," for tag in self.tags)
            extra = "" if single else "," + ",".join(map(repr, losses[i].tolist()))
            rows.append(f"{step},{_text(step / epoch)},{_text(rate)},{loss!r}{tail}{extra}\n")
        return rows


@functools.lru_cache(maxsize=4096)
def _text(number: float) -> str:
    """Writing out a number costs a microsecond, and the runs of a population share steps and rates."""
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
    cells = _table(directory / HISTORY, lines, len(columns), dense)
    numbers = {i: np.array(list(map(float, cells[i])), dtype=float) for i in dense}
    steps = numbers[0].astype(np.int64)
    members = [numbers[i] for i in dense[len(DENSE) :]] or [numbers[3]]
    validation = {}
    for i, name in enumerate(columns):
        if name.endswith(VALIDATION):
            filled = [row for row, cell in enumerate(cells[i]) if cell]
            validation[name] = Series(steps[filled], np.array([float(cells[i][row]) for row in filled], dtype=float))
    found = _statistics(directory / STATISTICS) if statistics else {}
    return Curves(steps, numbers[1], numbers[2], numbers[3], np.stack(members, axis=1), validation, found)


def _statistics(path: Path) -> dict[str, Series]:
    steps, tags, values = _table(path, _lines(path)[1:], len(STATISTIC), (0, 2))
    found: dict[str, tuple[list[int], list[float]]] = {}
    for step, tag, value in zip(map(int, steps), tags, map(float, values), strict=True):
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


def _table(path: Path, lines: list[str], width: int, dense: Sequence[int]) -> list[list[str]]:
    """The columns of a table, without its damaged lines: too short or long, or no numbers where there must be."""
    sound = lines
    if not _sound(lines, width, dense):
        sound = [line for line in lines if _sound([line], width, dense)]
        log.warning(f"`{path}` is damaged: {len(lines) - len(sound)} of its {len(lines)} lines are left out")
    cells = ",".join(sound).split(",") if sound else []
    return [cells[i::width] for i in range(width)]


def _sound(lines: list[str], width: int, dense: Sequence[int]) -> bool:
    """Whether all lines have so many cells, with a whole number first, and with numbers in the columns `dense`."""
    if any(line.count(",") != width - 1 for line in lines):
        return False
    cells = ",".join(lines).split(",") if lines else []
    try:
        for i in dense:
            list(map(int if i == 0 else float, cells[i::width]))
        if width > len(STATISTIC):
            for i in set(range(width)).difference(dense):
                list(map(float, filter(None, cells[i::width])))
    except ValueError:
        return False
    return True
