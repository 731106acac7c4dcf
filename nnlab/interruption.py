"""Signals that end the program, and the exit codes that their senders expect."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from nnlab import process

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
    default = (signal.SIG_DFL, signal.default_int_handler)
    mine = {number: found for number in EXIT_CODES if (found := signal.getsignal(number)) in default}
    for number in mine:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in mine.items():
            signal.signal(number, handler)


def leave(number: int, frame: FrameType | None) -> None:
    """Handle a signal by leaving at once, with its code."""
    leave_import(number, frame)
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(EXIT_CODES[number])


def leave_import(number: int, frame: FrameType | None) -> None:
    """End a process of nnlab's own, with a signal's code, where it was still importing what it needs.

    An exception within the initialization of an extension in C++, such as torch's, would abort the process, and within
    other imports it may be lost, or be taken for theirs.
    """
    if not process.is_loading():
        return
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib."):
        frame = frame.f_back
    if frame is not None:
        with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
            sys.stdout.flush()
        os._exit(EXIT_CODES[number])
