"""Messages of nnlab where people read them: `logging` carries them, and a handler prints them as sentences.

Modules say what a user should read with `logging.getLogger(__name__)`: news with `info`, which go to the standard
output as they are, and doubts with `warning`, which go to the standard error with the word in front. The command line
installs the handler; so do the functions of the package where nobody has set up logging. A program of one's own
silences them by `logging.getLogger("nnlab").setLevel("ERROR")`, and catches them by a handler there.

Where an answer goes to a program (`--json`), the standard output is kept for it: everything else that is printed, by
components of one's own and by other processes too, goes to the standard error.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import TextIO

LOGGER = logging.getLogger("nnlab")


class Console(logging.Handler):
    """Prints records to the streams that are the standard ones at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        doubtful = logging.WARNING <= record.levelno < logging.ERROR
        text = f"warning: {record.getMessage()}" if doubtful else record.getMessage()
        try:
            print(text, file=sys.stderr if record.levelno >= logging.WARNING else sys.stdout, flush=True)
        except BrokenPipeError:
            raise
        except OSError:  # a full disk behind a redirection: news are lost there, and a training should not be
            return


def show(*, always: bool = False) -> None:
    """Print messages from now on; unless `always`, only where no handler takes them yet."""
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.INFO)
    if any(isinstance(handler, Console) for handler in LOGGER.handlers):
        return
    if always or not (LOGGER.handlers or logging.getLogger().handlers):
        LOGGER.addHandler(Console())


class _Kept:
    """The standard output while it is kept for an answer: the stream that the answer goes to, else None."""

    stream: TextIO | None = None


@contextlib.contextmanager
def kept_output() -> Iterator[None]:
    """Inside the block the standard output is kept for `answer`; all that is printed goes to the standard error."""
    with contextlib.ExitStack() as stack:
        shown: TextIO = sys.stdout
        _Kept.stream = shown
        if sys.__stdout__ is shown:  # that of the process, which other processes inherit
            shown.flush()
            _Kept.stream = stack.enter_context(os.fdopen(os.dup(1), "w", encoding=shown.encoding))
            stack.callback(os.dup2, _Kept.stream.fileno(), 1)
            os.dup2(2, 1)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        stack.callback(setattr, _Kept, "stream", None)
        yield


def answer(text: str) -> None:
    """Print an answer, to the standard output even where that is kept for it."""
    print(text, file=_Kept.stream or sys.stdout, flush=True)


def is_live() -> bool:
    """Whether a picture that moves may be drawn: news are shown, and the standard output is a terminal."""
    return sys.stdout.isatty() and are_news_shown()


def are_news_shown() -> bool:
    """Whether news are printed, and to the standard output."""
    return _Kept.stream is None and LOGGER.isEnabledFor(logging.INFO)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Inside the block, news are neither printed nor passed on; warnings are."""
    before = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(before)


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "job"), counted(2, "job")
    ('1 job', '2 jobs')
    """
    return f"{count} {noun}" + ("" if count == 1 else "s")
