"""Messages of nnlab where people read them: `logging` carries them, and a handler prints them as sentences.

Modules say what a user should read with `logging.getLogger(__name__)`: news with `info`, which go to the standard
output as they are, and doubts with `warning`, which go to the standard error with the word in front. The command line
installs the handler; so do the functions of the package where nobody has set up logging. A program of one's own
silences them by `logging.getLogger("nnlab").setLevel("ERROR")`, and catches them by a handler there.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

LOGGER = logging.getLogger("nnlab")


class Console(logging.Handler):
    """Prints records to the streams that are the standard ones at that moment.

    Attributes:
        apart: whether news go to the standard error, too, because the standard output belongs to an answer.
    """

    apart = False

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        doubtful = logging.WARNING <= record.levelno < logging.ERROR
        text = f"warning: {record.getMessage()}" if doubtful else record.getMessage()
        aside = self.apart or record.levelno >= logging.WARNING
        print(text, file=sys.stderr if aside else sys.stdout, flush=True)


def show(*, always: bool = False) -> None:
    """Print messages from now on; unless `always`, only where no handler takes them yet."""
    Console.apart = False
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.INFO)
    if any(isinstance(handler, Console) for handler in LOGGER.handlers):
        return
    if always or not (LOGGER.handlers or logging.getLogger().handlers):
        LOGGER.addHandler(Console())


def to_standard_error() -> None:
    """Print news to the standard error from now on, until `show` is called again."""
    Console.apart = True


def is_live() -> bool:
    """Whether a picture that moves may be drawn: news are shown, and the standard output is a terminal."""
    return sys.stdout.isatty() and not Console.apart and LOGGER.isEnabledFor(logging.INFO)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Inside the block, news are neither printed nor passed on; warnings are."""
    before = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(before)
