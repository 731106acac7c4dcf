"""Claims: a run directory belongs to one process at a time; the claim of a process that died is void by itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from nnlab.errors import UserError
from nnlab.storage.files import explained

CLAIM = ".claim"  # the file whose lock is the claim


def try_claim(directory: Path) -> IO[bytes] | None:
    """Claim an existing run directory; None where another process holds it.

    The claim lasts until the file that is returned is closed, by this process and by those that inherited it.

    Raises:
        WriteError: the directory is not there or cannot be written into.
    """
    with explained(directory):
        file = open(directory / CLAIM, "ab")  # noqa: SIM115 (the lock lives as long as the file is open)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError as error:  # some network file systems know no locks
        file.close()
        raise UserError(
            f"`{directory}` cannot be locked ({os.strerror(error.errno or 0)}); choose another `output_dir`"
        ) from error
    return file


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[Path]:
    """Hold a run directory for this process.

    Raises:
        UserError: another process is writing into it.
    """
    file = try_claim(directory)
    if file is None:
        raise UserError(f"`{directory}` is in use: another process is training this run")
    with file:
        yield directory


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for a lock that all processes share, and hold it.

    Raises:
        WriteError: the file of the lock cannot be made.
    """
    with explained(path):
        file = open(path, "ab")  # noqa: SIM115 (closed below, outside the explanation)
    with file:
        with contextlib.suppress(OSError):  # without locks, two tables written at once may each miss a row
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
