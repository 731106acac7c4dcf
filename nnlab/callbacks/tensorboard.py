"""TensorBoard event files of every run: losses of every step, metrics, learning rate and statistics.

Events are built as protocol buffers and appended in blocks to one file per run, so that a run that continues appends
to its own curves, and 469 steps cost 10 ms. Tags read `<metric>/<split or layer>`; TensorBoard groups by the metric.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnlab.training import Callback, Run, Trainer
from nnlab.validation import check

FLUSH_STEPS = 1000


class EventFile:
    """The event file of one run; `wall` times are those of writing.

    Args:
        run: the run; the file is one of its growing files.
    """

    def __init__(self, run: Run) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event = Event
        names = [name for name in run.offsets if name.startswith("events.out.tfevents.")]
        name = (
            names[0] if names else f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        )
        self._file = run.open(name)
        if self._file.missing:
            self._file.cut(whole_records(self._file.read()))
        self._writer = RecordWriter(self._file)
        if not self._file.offset:
            self._write(self._event(wall_time=time.time(), file_version="brain.Event:2"))

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())

    def scalars(self, step: int, values: Mapping[str, float], wall: float | None = None) -> None:
        """Append scalars by tag at `step`, in one event."""
        event = self._event(wall_time=time.time() if wall is None else wall, step=step)
        for tag, value in values.items():
            entry = event.summary.value.add()
            entry.tag, entry.simple_value = tag, value
        self._write(event)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def summary(self, step: int, summary: Any) -> None:
        """Append a summary protocol buffer, such as an image or a histogram, at `step`."""
        event = self._event(wall_time=time.time(), step=step)
        event.summary.CopyFrom(summary)
        self._write(event)


class TensorBoard(Callback):
    """Writes the event file of every run.

    Args:
        smoothing: weight of the past in the moving average of the minibatch losses, `loss/train_average`. [0, 1)
    """

    def __init__(self, smoothing: float = 0.98) -> None:
        self.smoothing = check("smoothing", smoothing, "[0, 1)")
        self._average: dict[int, tuple[float, int]] = {}

    def fit_start(self, trainer: Trainer) -> None:
        self._files: list[EventFile] = []
        self._steps = len(trainer.history.losses)
        self._records = len(trainer.history.records)

    def step_start(self, trainer: Trainer) -> None:
        if trainer.step - self._steps >= FLUSH_STEPS:
            self.write(trainer)

    def evaluated(self, trainer: Trainer) -> None:
        self.write(trainer)

    def fit_end(self, trainer: Trainer) -> None:
        self.write(trainer)

    def flush(self, trainer: Trainer) -> None:
        self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Append what is new."""
        trainer.history.flush()
        if not self._files:
            self._files = [EventFile(run) for run in trainer.runs]
        now = time.time()
        for run, file in zip(trainer.runs, self._files, strict=True):
            for member in run.members:
                suffix = f"/member_{run.members.index(member)}" if len(run.members) > 1 else ""
                self._write_steps(trainer, member, file, suffix, now)
            for record in trainer.history.records[self._records :]:
                if record.member in run.members:
                    suffix = f"/member_{run.members.index(record.member)}" if len(run.members) > 1 else ""
                    file.scalars(record.step, {tag + suffix: value for tag, value in record.values.items()}, now)
            file.flush()
        self._steps, self._records = len(trainer.history.losses), len(trainer.history.records)

    def _write_steps(self, trainer: Trainer, member: int, file: EventFile, suffix: str, now: float) -> None:
        losses = trainer.history.losses[self._steps :, member].tolist()
        rates = trainer.history.rates[self._steps :, member].tolist()
        average, count = self._average.get(member, (0.0, 0))
        keep = self.smoothing
        for position, (loss, rate) in enumerate(zip(losses, rates, strict=True)):
            if math.isnan(loss):
                continue
            average, count = keep * average + (1 - keep) * loss, count + 1
            values = {"loss/train": loss, "loss/train_average": average / (1 - keep**count), "learning_rate": rate}
            file.scalars(self._steps + position + 1, {tag + suffix: value for tag, value in values.items()}, now)
        self._average[member] = (average, count)

    def state(self, member: int) -> dict[str, Any]:
        average, count = self._average.get(member, (0.0, 0))
        return {"average": average, "count": count}

    def load_state(self, member: int, state: dict[str, Any]) -> None:
        self._average[member] = (state["average"], state["count"])


def whole_records(data: bytes) -> int:
    """Length of the whole records at the start of an event file: length (8 bytes), its sum (4), data, its sum (4)."""
    position = 0
    while position + 12 <= len(data):
        end = position + 16 + int.from_bytes(data[position : position + 8], "little")
        if end > len(data):
            break
        position = end
    return position


def event_files(directory: Path) -> list[Path]:
    """The event files of a run directory."""
    return sorted(directory.glob("events.out.tfevents.*"))
