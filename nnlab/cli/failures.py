"""What a command cannot get, in a sentence: memory, room on a disk, a folder that is gone, a shorter path, an end."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from typing import NamedTuple

from nnlab.errors import UserError

log = logging.getLogger(__name__)

# How the loader of shared libraries says that there is no memory for one.
UNMAPPED = ("failed to map segment", "cannot allocate memory", "paging file is too small")
ADDRESSES = 4_000_000_000  # bytes that torch's libraries take, those for CUDA included
UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Failure(NamedTuple):
    """A sentence about a failure, and the exit code that goes with it."""

    sentence: str
    exit_code: int


def failure(error: BaseException) -> Failure | None:
    """What a system's refusal comes to; None for an exception that is a fault of the program."""
    if isinstance(error, ImportError):
        if any(words in str(error).lower() for words in UNMAPPED):
            return Failure("there is not enough memory to load what this needs", 1)
        if str(error.name).split(".")[0] == "hydra":
            sentence = f"nnlab needs a part of Hydra that this version does not have ({error}); "
            return Failure(sentence + "install `hydra-core>=1.3.2,<1.5`", 1)
        return None
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, RecursionError):
        return Failure("a config refers to itself, or is nested more deeply than can be read", 2)
    if not isinstance(error, MemoryError | RuntimeError):
        return None
    if not isinstance(error, MemoryError):  # which may come from loading what follows
        from nnlab.device import out_of_memory

        if not out_of_memory(error):
            return None
    reason = (str(error).splitlines() or [""])[0].rpartition("DefaultCPUAllocator: ")[2]
    return Failure(f"there is not enough memory for this{reason and ': '}{reason}", 1)


def _of_system(error: OSError) -> Failure | None:
    if error.errno == errno.ENOMEM:
        return Failure("there is not enough memory for this", 1)
    if error.errno == errno.ENAMETOOLONG:
        return Failure(f"`{str(error.filename)[:60]}...` is longer than a path may be", 2)
    if error.errno in UNWRITTEN and error.filename is None:
        drop_output()
        return Failure(f"the standard output cannot be written: {os.strerror(error.errno)}", 1)
    return None


def drop_output() -> None:
    """Let what is still to be printed go nowhere, so that the end of the process does not fail, too."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def caution_addresses() -> None:
    """Warn where a process may have so few addresses that torch may end it while it is loaded, without a sentence."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if 0 <= limit < ADDRESSES:
        log.warning(
            "`ulimit -v` leaves %.1f GB of addresses; torch may need %.0f to be loaded", limit / 1e9, ADDRESSES / 1e9
        )


def check_working_directory() -> None:
    """Refuse to start where there is no working directory, in which torch's libraries cannot be loaded.

    Raises:
        UserError: it was removed.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise UserError("the working directory was removed; change to another one") from error
