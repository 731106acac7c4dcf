"""Signals that end the program, and the exit codes that their senders expect."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

REQUEUE = 75  # EX_TEMPFAIL: a batch system that sees it starts the job again
_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": REQUEUE, "SIGUSR2": REQUEUE}

# Of the signals that this system has.
EXIT_CODES: dict[int, int] = {getattr(signal, name): code for name, code in _CODES.items() if hasattr(signal, name)}


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """Inside the block, a signal that nobody else handles ends the program at once, with its code.

    This holds while packages are imported and configs composed; a run that trains has handlers of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may install handlers
        return
    mine = [number for number in EXIT_CODES if signal.getsignal(number) == signal.SIG_DFL]
    for number in mine:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def leave(number: int, _frame: FrameType | None) -> None:
    """Handle a signal by leaving at once, with its code."""
    raise SystemExit(EXIT_CODES[signal.Signals(number)])
