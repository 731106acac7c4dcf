"""`history.csv` and `statistics.csv`: what a run has seen, as files that programs and people can read.

`history.csv` has a row for every step: `step`, `epoch`, `learning_rate`, `loss/train` (the minibatch's, before the
update), then the validation metrics in the rows of the steps after which they were measured. `statistics.csv` has the
rest as `step,tag,value`. Numbers are written so that reading them gives the same bits.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Iterable

import numpy as np

from nnlab.training import Callback, Record, Run, Trainer

FLUSH_STEPS = 1000


class HistoryFile(Callback):
    """Writes the files of every run, at validations and every thousand steps."""

    def fit_start(self, trainer: Trainer) -> None:
        metrics = trainer.metric_names()
        self.columns = ["step", "epoch", "learning_rate", "loss/train", *(f"{name}/validation" for name in metrics)]
        self._written = {id(run): 0 for run in trainer.runs}
        self._records = {id(run): 0 for run in trainer.runs}
        for run in trainer.runs:
            history, statistics = run.open("history.csv"), run.open("statistics.csv")
            if trainer.step:
                self._take_up(trainer, run)
            if not history.offset:
                history.write(self._line([*self.columns, *self._member_columns(run)]))
            if not statistics.offset:
                statistics.write(b"step,tag,value\n")

    @staticmethod
    def _member_columns(run: Run) -> list[str]:
        return [f"loss/train/{i}" for i in range(len(run.members))] if len(run.members) > 1 else []

    @staticmethod
    def _line(values: Iterable[object]) -> bytes:
        return (",".join("" if value is None else str(value) for value in values) + "\n").encode()

    def step_start(self, trainer: Trainer) -> None:
        # Not at the end of a step: its validation belongs into the same row.
        if trainer.step % FLUSH_STEPS == 0 and trainer.step:
            self.write(trainer)

    def evaluated(self, trainer: Trainer) -> None:
        self.write(trainer)

    def fit_end(self, trainer: Trainer) -> None:
        self.write(trainer)

    def flush(self, trainer: Trainer) -> None:
        self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Append what is new to the files of every run."""
        trainer.history.flush()
        text = _Text()
        for run in trainer.runs:
            start, self._written[id(run)] = self._written[id(run)], len(trainer.history.losses)
            first, self._records[id(run)] = self._records[id(run)], len(trainer.history.records)
            wide: dict[int, dict[str, float]] = {}
            members = set(run.members)
            lines = []
            for record in trainer.history.records[first:]:
                if record.member in members:
                    inside = {tag: v for tag, v in record.values.items() if tag in self.columns}
                    if record.member == run.members[0]:
                        wide.setdefault(record.step, {}).update(inside)
                    suffix = f"/{run.members.index(record.member)}" if len(members) > 1 else ""
                    lines += [
                        f"{record.step},{tag}{suffix},{value!r}\n"
                        for tag, value in record.values.items()
                        if tag not in inside or suffix
                    ]
            for name, block in (
                ("statistics.csv", "".join(lines).encode()),
                ("history.csv", self._rows(trainer, run, start, wide, text)),
            ):
                file = run.open(name)
                file.write(block)
                file.flush()

    def _rows(
        self, trainer: Trainer, run: Run, start: int, wide: dict[int, dict[str, float]], text: dict[float, str]
    ) -> bytes:
        members = list(run.members)
        losses = trainer.history.losses[start:, members]
        rates = _first(trainer.history.rates[start:, members]).tolist()
        single = len(members) == 1
        means = (losses[:, 0] if single else _mean(losses)).tolist()
        per_epoch, sparse = trainer.steps_per_epoch, self.columns[4:]
        empty = "," * len(sparse)
        rows = []
        for i, (loss, rate) in enumerate(zip(means, rates, strict=True)):
            if single and math.isnan(loss):
                continue
            step = start + i + 1
            values = wide.get(step)
            tail = (
                empty
                if values is None
                else "," + ",".join(repr(values[name]) if name in values else "" for name in sparse)
            )
            extra = "" if single else "," + ",".join(map(repr, losses[i].tolist()))
            rows.append(f"{step},{text[step / per_epoch]},{text[rate]},{loss!r}{tail}{extra}\n")
        return "".join(rows).encode()

    def _take_up(self, trainer: Trainer, run: Run) -> None:
        """Read back what the files hold of the steps done so far; what is damaged stays unknown."""
        losses, rates = np.full((trainer.step, len(run.members)), np.nan), np.full(trainer.step, np.nan)
        records = []
        columns = self._member_columns(run) or ["loss/train"]
        for row in _rows_of(run, "history.csv"):
            with contextlib.suppress(*DAMAGE):
                step = int(row["step"])
                losses[step - 1] = [float(row[name]) for name in columns]
                rates[step - 1] = float(row["learning_rate"])
                values = {name: float(row[name]) for name in self.columns[4:] if row[name]}
                if values and len(run.members) == 1:  # those of an ensemble's members are in statistics.csv
                    records.append(Record(step, 0, values))
        for row in _rows_of(run, "statistics.csv"):
            with contextlib.suppress(*DAMAGE):
                tag, position = row["tag"], 0
                if len(run.members) > 1:
                    tag, _, last = tag.rpartition("/")
                    position = int(last)
                records.append(Record(int(row["step"]), position, {tag: float(row["value"])}))
        for position, member in enumerate(run.members):
            own = [Record(r.step, member, r.values) for r in records if r.member == position]
            trainer.history.load(member, losses[:, position], rates, own)
        self._written[id(run)] = trainer.step
        self._records = dict.fromkeys(self._records, len(trainer.history.records))


class _Text(dict[float, str]):
    """Numbers as text: writing out a float costs a microsecond, and the runs of a population share steps and rates."""

    def __missing__(self, number: float) -> str:
        written = self[number] = repr(number)
        return written


# What reading a file that something else has changed may raise.
DAMAGE = (ValueError, TypeError, KeyError, IndexError)


def _rows_of(run: Run, name: str) -> list[dict[str, str]]:
    """The rows of a file with a header; fewer where it is damaged."""
    text = run.open(name).read().decode(errors="replace").replace("\0", "")
    try:
        return list(csv.DictReader(io.StringIO(text)))
    except csv.Error:
        return []


def _first(rates: np.ndarray) -> np.ndarray:
    """The rate of the first member that is still in training, (steps,)."""
    first: np.ndarray = rates[np.arange(len(rates)), np.isfinite(rates).argmax(1)]
    return first


def _mean(losses: np.ndarray) -> np.ndarray:
    """Mean over the members that are still in training."""
    count = np.isfinite(losses).sum(1)
    return np.where(count > 0, np.nansum(losses, 1) / np.maximum(count, 1), np.nan)
