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
import math
import os
import sys
from collections.abc import Iterator
from typing import TextIO

LOGGER = logging.getLogger("nnlab")
LARGE = 1e7  # numbers from here on are written with an exponent


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


class _Keeping(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.records.append(record)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Messages inside the block are given when it ends; news are dropped where it ends with an error."""
    keeping, before = _Keeping(), (LOGGER.handlers, LOGGER.propagate)
    LOGGER.handlers, LOGGER.propagate = [keeping], False
    least = logging.WARNING
    try:
        yield
        least = logging.NOTSET
    finally:
        LOGGER.handlers, LOGGER.propagate = before
        for record in keeping.records:
            if record.levelno >= least:
                LOGGER.callHandlers(record)


def counted(count: int, noun: str, one: str = "", several: str = "", *, of: int | None = None) -> str:
    """A number with its noun, and what such a noun does, or several do.

    >>> counted(1, "job"), counted(2, "class"), counted(1, "row", "has none", "have none", of=20)
    ('1 job', '2 classes', '1 of 20 rows has none')
    """
    single = (count if of is None else of) == 1
    number = f"{count}" if of is None else f"{count} of {of}"
    verb = one if count == 1 else several
    return f"{number} {noun if single else plural(noun)}" + (f" {verb}" if verb else "")


def plural(noun: str) -> str:
    """Several of what a noun means.

    >>> plural("day"), plural("entry"), plural("batch")
    ('days', 'entries', 'batches')
    """
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def with_error(value: float, error: float) -> str:
    """A number with its standard deviation or error: of this two digits, of the number as many decimals.

    Without one (NaN), four digits; beside 0, a decimal at least, so that no full stop seems to begin one.

    >>> with_error(0.979, 0.0052), with_error(12.3456, 1.23), with_error(0.979, math.nan), with_error(3e-7, 2e-8)
    ('0.9790 ± 0.0052', '12.3 ± 1.2', '0.979', '3e-07 ± 2e-08')
    >>> with_error(12345.6, 321.4), with_error(2.5e9, 3e7), with_error(1.0, 0.0), with_error(0.957, 0.0)
    ('12346 ± 321', '2.5e+09 ± 3e+07', '1.0 ± 0.0', '0.957 ± 0.000')
    """
    short = f"{value:.4g}"
    if not (math.isfinite(error) and math.isfinite(value)):
        return short
    if error > 0:
        decimals = 0 if error >= 100 and abs(value) < LARGE else 1 - math.floor(math.log10(error))
    else:
        decimals = -1 if "e" in short else max(1, len(short.partition(".")[2]))
    if not 0 <= decimals <= 6:
        return f"{short} ± {error:.2g}"
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"
