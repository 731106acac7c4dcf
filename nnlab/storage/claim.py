"""Claims: a run directory belongs to one process at a time; the claim of a process that died is void by itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from filelock import BaseFileLock, FileLock, Timeout

from nnlab.errors import UserError
from nnlab.storage.files import explained

CLAIM = ".claim"  # the file whose lock is the claim


class Claim:
    """A lock that this process holds until it is closed, or the process ends."""

    def __init__(self, lock: BaseFileLock) -> None:
        self._lock = lock

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the claim up."""
        self._lock.release()

    def descriptors(self) -> list[int]:
        """Open files that a child process must inherit to hold the claim, too, should this process die before it.

        None on systems whose children inherit no files by number.
        """
        descriptor = getattr(getattr(self._lock, "_context", None), "lock_file_fd", None)
        return [descriptor] if os.name == "posix" and isinstance(descriptor, int) else []


def _lock(path: Path) -> BaseFileLock:
    return FileLock(path, mode=0o666, thread_local=False)


def try_claim(directory: Path) -> Claim | None:
    """Claim an existing run directory; None where another process holds it.

    Raises:
        WriteError: the directory is not there or cannot be written into.
    """
    lock = _lock(directory / CLAIM)
    with explained(directory):
        if not directory.is_dir():
            raise NotADirectoryError(2, "there is no such folder")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        except NotImplementedError as error:  # some network file systems know no locks
            raise UserError(f"`{directory}` cannot be locked ({error}); choose another `output_dir`") from error
    return Claim(lock)


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[Path]:
    """Hold a run directory for this process.

    Raises:
        UserError: another process is writing into it.
    """
    claim = try_claim(directory)
    if claim is None:
        raise UserError(f"`{directory}` is in use: another process is training this run")
    with claim:
        yield directory


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait for a lock that all processes share, and hold it.

    Args:
        path: the file of the lock.
        waiting: called once where another process holds it.

    Raises:
        WriteError: the file of the lock cannot be made.
    """
    lock = _lock(path)
    with explained(path):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waiting()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds this lock."""
    lock = _lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False
