"""Signals: save at the next step and leave with the code that the sender expects; a second Ctrl-C leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

from nnlab.interruption import EXIT_CODES, REQUEUE, leave, leave_import
from nnlab.training.trainer import Trainer


@dataclass
class Signals:
    """Signals that came, and whom they stop.

    Attributes:
        trainer: stops after its present step; while there is none, and when all its steps are done and saved, the
            program leaves at once.
        received: in their order.
    """

    trainer: Trainer | None = None
    received: list[int] = field(default_factory=list)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take one signal."""
        if number == signal.SIGINT and signal.SIGINT in self.received:
            os._exit(130)
        self.received.append(number)
        if self.trainer is None or self.trainer.saved:
            leave_import(number, frame)
            raise SystemExit(EXIT_CODES[signal.Signals(number)])
        self.trainer.stop_requested = "interrupted"


@contextlib.contextmanager
def graceful() -> Iterator[Signals]:
    """Inside the block, signals stop the trainer that the `Signals` name.

    A batch system's client that had a handler for SIGUSR1 or SIGUSR2 (submitit's puts the job into the queue again)
    gets its signal at the end, when the run has saved.
    """
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals  # only the main thread may install handlers
        return
    before = {number: signal.signal(number, signals.handle) for number in EXIT_CODES}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for received in dict.fromkeys(map(signal.Signals, signals.received)):
        handler = before[received]
        if EXIT_CODES[received] == REQUEUE and callable(handler) and not _ours(handler):
            handler(received, None)


def _ours(handler: object) -> bool:
    """Whether a handler is that of the command or of a surrounding `graceful`, which learn of it by the result."""
    return handler is leave or getattr(handler, "__func__", None) is Signals.handle
