"""TensorBoard event files of every run: losses of every step, metrics, learning rate, statistics, and their layout.

Events are appended in blocks to one file per run, so that a run that continues appends to its own curves; a thousand
steps cost about 2 ms. Tags read `<metric>/<split or layer>`, the same in every run; TensorBoard groups by the metric.
"""

from __future__ import annotations

import functools
import itertools
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnlab.callbacks import tensorboard_summaries as summaries
from nnlab.callbacks.tensorboard_records import message, record, scalar_events
from nnlab.storage.folder import EVENTS, event_files
from nnlab.storage.keys import meaning
from nnlab.training import Callback, Record, Run, Trainer
from nnlab.training.final import final_metrics
from nnlab.validation import check

FLUSH_STEPS = 1000
FLUSH_SECONDS = 2.0  # between two writes while training, at validations
FIRST_KEYS = {"optimizer", "optimizer.learning_rate", "architecture", "trainer.batch_size", "seed"}


class EventFile:
    """The event file of one run, found again wherever it is asked for; `wall` times are those of writing.

    Args:
        run: the run; the file is one of its growing files.
    """

    def __init__(self, run: Run) -> None:
        # One that a run left behind which was killed before its first checkpoint is used again, from its beginning.
        names = [name for name in (*run.files, *run.offsets) if name.startswith(EVENTS)]
        names = names or [path.name for path in event_files(run.directory)]
        name = names[0] if names else f"{EVENTS}{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        self._file = run.open(name)
        if self._file.missing:
            self._file.cut(whole_records(self._file.read()))
        self.fresh = not self._file.offset
        if self.fresh:
            self._file.write(record(message([(1, time.time()), (3, "brain.Event:2")])))

    def scalars(self, step: int, values: Mapping[str, float], wall: float | None = None) -> None:
        """Append scalars by tag at `step`, in one event."""
        self._append(step, [summaries.scalar(tag, value) for tag, value in values.items()], wall)

    def scalar_block(self, steps: np.ndarray, values: Mapping[str, np.ndarray], wall: float) -> None:
        """Append scalars by tag (n,) at `steps` (n,), in one event a step."""
        self._file.write(scalar_events(wall, steps, values))

    def image(self, step: int, tag: str, png: bytes, size: tuple[int, int], description: str = "") -> None:
        """Append a picture, `size` its width and height; `description` is shown with it."""
        self._append(step, [summaries.image(tag, png, *size, description)])

    def histograms(self, step: int, tables: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Append histograms, edges (bins + 1,) and counts (bins,) by tag, in one event."""
        self._append(step, [summaries.histogram(tag, *table) for tag, table in tables.items()])

    def precision_recall(self, step: int, tag: str, table: np.ndarray, description: str = "") -> None:
        """Append a curve (6, thresholds); see `nnlab.callbacks.precision_recall`."""
        self._append(step, [summaries.precision_recall(tag, table, description)])

    def summaries(self, step: int, values: list[bytes], wall: float | None = None) -> None:
        """Append other summaries, one event each."""
        for value in values:
            self._file.write(_shared_record(_event(step, [value], wall)))

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def _append(self, step: int, values: list[bytes], wall: float | None = None) -> None:
        self._file.write(record(_event(step, values, wall)))


def _event(step: int, values: list[bytes], wall: float | None) -> bytes:
    summary = message([(1, value) for value in values])
    return message([(1, time.time() if wall is None else wall), (2, step), (5, summary)])


@functools.lru_cache(maxsize=16)
def _shared_record(data: bytes) -> bytes:
    """A record that the files of a population's runs may have in common."""
    return record(data)


class TensorBoard(Callback):
    """Writes the event file of every run.

    Args:
        smoothing: weight of the past in the moving average of the minibatch losses, `loss/train_average`. [0, 1)
    """

    def __init__(self, smoothing: float = 0.98) -> None:
        self.smoothing = check("smoothing", smoothing, "[0, 1)")
        self._average: dict[int, tuple[float, int]] = {}

    def fit_start(self, trainer: Trainer) -> None:
        now = time.time()
        self._files = [self._open(trainer, run, now) for run in trainer.runs]
        self._written = time.monotonic()
        self._steps = len(trainer.history.losses)
        self._records = len(trainer.history.records)

    def wants(self, step: int) -> bool:
        return step - self._steps >= FLUSH_STEPS

    def step_start(self, trainer: Trainer) -> None:
        self._write(trainer)

    def evaluated(self, trainer: Trainer) -> None:
        if time.monotonic() - self._written >= FLUSH_SECONDS:
            self._write(trainer)

    def fit_end(self, trainer: Trainer) -> None:
        self._write(trainer)
        if not trainer.interrupted:
            now = time.time()
            for run, file in zip(trainer.runs, self._files, strict=True):
                self._finish(trainer, run, file, now)

    def flush(self, trainer: Trainer) -> None:
        self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        """Append what is new."""
        trainer.history.flush()
        now, fresh = time.time(), trainer.history.records_of([run.members for run in trainer.runs], self._records)
        for run, file, records in zip(trainer.runs, self._files, fresh, strict=True):
            suffixes = {member: f"/member_{i}" if len(run.members) > 1 else "" for i, member in enumerate(run.members)}
            for member, suffix in suffixes.items():
                self._write_steps(trainer, member, file, suffix, now)
            _write_records(records, suffixes, file, now)
            file.flush()
        self._steps, self._records = len(trainer.history.losses), len(trainer.history.records)
        self._written = time.monotonic()

    @staticmethod
    def _open(trainer: Trainer, run: Run, now: float) -> EventFile:
        """The run's event file, which begins with the layout and the hyper-parameters."""
        file = EventFile(run)
        if file.fresh:
            names = ("loss", trainer.primary_metric)
            metrics = [f"best/{name}/{split}" for split in ("validation", "test", "train") for name in names]
            shown = hyper_parameters(run.config)
            given = given_keys(run.overrides) & shown.keys()
            table = summaries.hyper_parameters(shown, given or FIRST_KEYS, metrics, now)
            file.summaries(0, [summaries.usual_layout(), *table], now)
        return file

    @staticmethod
    def _finish(trainer: Trainer, run: Run, file: EventFile, now: float) -> None:
        """Append the metrics at the best weights, and that the run has ended."""
        metrics, _ = final_metrics(trainer, run.members)
        step = max(trainer.outcomes[member].ended_at for member in run.members)
        names = ("loss", trainer.primary_metric)
        values = {
            f"best/{name}/{split}": each[name] for split, each in metrics.items() for name in names if name in each
        }
        file.scalars(step, values, now)
        completed = any(trainer.outcomes[member].status == "completed" for member in run.members)
        file.summaries(step, [summaries.session_end(summaries.SUCCESS if completed else summaries.FAILURE, now)], now)
        file.flush()

    def _write_steps(self, trainer: Trainer, member: int, file: EventFile, suffix: str, now: float) -> None:
        losses = trainer.history.losses[self._steps :, member]
        average, count = self._average.get(member, (0.0, 0))
        present = ~np.isnan(losses)
        if present.any():
            averages = exponential_average(losses[present], self.smoothing, average)
            self._average[member] = (float(averages[-1]), count + len(averages))
            averages /= 1 - self.smoothing ** np.arange(count + 1, count + 1 + len(averages))
            rates = trainer.history.rates[self._steps :, member][present]
            columns = {"loss/train": losses[present], "loss/train_average": averages, "learning_rate": rates}
            steps = self._steps + 1 + np.flatnonzero(present)
            file.scalar_block(steps, {tag + suffix: column for tag, column in columns.items()}, now)

    def state(self, member: int) -> dict[str, Any]:
        average, count = self._average.get(member, (0.0, 0))
        return {"average": average, "count": count}

    def load_state(self, member: int, state: dict[str, Any]) -> None:
        self._average[member] = (state["average"], state["count"])


def _write_records(records: Sequence[Record], suffixes: Mapping[int, str], file: EventFile, now: float) -> None:
    """Append sparse scalars; those with the same tags, such as all validations of a member, in one block."""
    blocks: dict[tuple[str, ...], list[Record]] = {}
    for entry in records:
        suffix = suffixes[entry.member]
        tags = tuple(tag + suffix for tag in entry.tags) if suffix else entry.tags
        blocks.setdefault(tags, []).append(entry)
    for tags, entries in blocks.items():
        steps = np.array([entry.step for entry in entries])
        columns = np.array([entry.numbers for entry in entries]).T
        file.scalar_block(steps, dict(zip(tags, columns, strict=True)), now)


def exponential_average(values: np.ndarray, keep: float, start: float) -> np.ndarray:
    """a_t = keep a_(t-1) + (1 - keep) v_t from a_0 = `start`, (n,).

    >>> exponential_average(np.array([1.0, 3.0]), 0.5, 0.0)
    array([0.5 , 1.75])
    """
    # One after the other: sums over blocks would round otherwise when a resumed run has other blocks.
    averages = itertools.accumulate(
        values.tolist(), lambda past, value: keep * past + (1 - keep) * value, initial=start
    )
    return np.fromiter(averages, np.float64, len(values) + 1)[1:]


def whole_records(data: bytes) -> int:
    """Length of the whole records at the start of an event file: length (8 bytes), its sum (4), data, its sum (4)."""
    position = 0
    while position + 12 <= len(data):
        end = position + 16 + int.from_bytes(data[position : position + 8], "little")
        if end > len(data):
            break
        position = end
    return position


def hyper_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a table of runs shows of a config, by dotted key; components by the names of their classes."""
    leaves: dict[str, Any] = {}

    def collect(section: Mapping[str, Any], prefix: str) -> None:
        for key, value in section.items():
            name = f"{prefix}{key}"
            if isinstance(value, Mapping):
                collect(value, f"{name}.")
            elif key == "_target_":
                leaves[prefix[:-1]] = str(value).rpartition(".")[2]
            elif not key.startswith("_"):
                leaves[name] = value

    collect(config, "")
    leaves.pop("trainer", None)
    return {name: value for name, value in leaves.items() if meaning(name).shown}


def given_keys(overrides: Sequence[str]) -> set[str]:
    """The dotted keys that the command line gave."""
    return {override.lstrip("+~").partition("=")[0].replace("/", ".") for override in overrides}
