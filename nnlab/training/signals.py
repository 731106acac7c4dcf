"""Signals: save at the next step and leave with the code that the sender expects; a second Ctrl-C leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from nnlab.training.trainer import Trainer

REQUEUE = 75  # EX_TEMPFAIL: a batch system that sees it starts the job again

EXIT_CODES = {
    signal.SIGINT: 130,
    signal.SIGTERM: 143,
    signal.SIGUSR1: REQUEUE,
    signal.SIGUSR2: REQUEUE,
}


@contextlib.contextmanager
def graceful(trainer: Trainer) -> Iterator[list[int]]:
    """Inside the block, signals ask `trainer` to stop after its present step; yields the list of those received."""
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and signal.SIGINT in received:
            os._exit(130)
        received.append(number)
        trainer.stop_requested = "interrupted"

    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may install handlers
        return
    before = {number: signal.signal(number, handle) for number in EXIT_CODES}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
