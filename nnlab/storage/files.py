"""Writing files so that a crash leaves the old content or the new, and files that grow, which can be cut back."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from nnlab.errors import UserError

PART = ".part"  # the ending of temporary files
TOGETHER = 32  # files that wait for the disk at the same time

T = TypeVar("T")

_FREE, _ELSEWHERE = "; free some space and run the same command again", "; choose another `output_dir`"
_REASONS = {
    errno.ENOSPC: ("the disk is full", _FREE),
    errno.EDQUOT: ("the disk quota is used up", _FREE),
    errno.EROFS: ("the file system is read-only", _ELSEWHERE),
    errno.EACCES: ("permission is denied", _ELSEWHERE),
    errno.EPERM: ("permission is denied", _ELSEWHERE),
    errno.EIO: ("the disk reports an input/output error", ""),
    errno.ENOTDIR: ("a part of its path is a file, not a folder", _ELSEWHERE),
    errno.EEXIST: ("a file is in the way", _ELSEWHERE),
}


def at(path: str | Path) -> Path:
    """A path as its user wrote it; a `~` in front is their home, where there is such a user."""
    return Path(os.path.expanduser(path))


class WriteError(UserError):
    """A file could not be written; what was there before is intact.

    Attributes:
        exit_code: 1 where the disk failed, 2 where the place was not one to write to.
        fact: what could not be written and why, without the advice for a run that follows in the sentence.
    """

    exit_code = 2
    fact = ""


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an operating-system error about `path` into one sentence.

    Raises:
        WriteError: inside the block an `OSError` was raised.
    """
    try:
        yield
    except OSError as error:
        reason, advice = _REASONS.get(error.errno or 0, (error.strerror or str(error), ""))
        fact = f"cannot write `{path}`: {reason}"
        failure = WriteError(fact + advice)
        failure.fact = fact
        failure.exit_code = 1 if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS) else 2
        raise failure from error


def make_folder(path: Path) -> None:
    """Create a folder with its parents.

    Raises:
        WriteError: that is not possible there.
    """
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)


def write_whole(path: Path, content: bytes | str, sync: bool = False) -> None:
    """Replace `path` by `content`, whole or not at all (temporary file, rename).

    `sync` also waits until the disk has it, so that it survives a power cut.

    Raises:
        WriteError: the disk did not take it; an old file at `path` is intact.
    """
    with replacing(path, content, sync):
        pass


@contextlib.contextmanager
def replacing(path: Path, content: bytes | str, sync: bool = False) -> Iterator[None]:
    """As `write_whole`; the block runs when the new content is safe in a temporary file, directly before the rename."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    with explained(path):
        try:
            with open(temporary, "wb", buffering=0) as file:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                if sync:
                    os.fsync(file.fileno())
            yield
            os.replace(temporary, path)
            if sync:
                _sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def side_by_side(write: Callable[[T], object], items: Iterable[T]) -> None:
    """Call a function that waits for the disk with each of some items, `TOGETHER` at a time.

    A disk that is asked to keep several files at once does so in about the time of one: 7 ms each after another, half a
    millisecond each side by side on a journaling file system.

    Raises:
        WriteError: the disk did not take one of them; the others were tried.
    """
    from concurrent.futures import ThreadPoolExecutor

    rest = iter(items)
    part = list(itertools.islice(rest, TOGETHER))
    if len(part) == 1:
        write(part[0])
        return
    errors: list[BaseException] = []
    with ThreadPoolExecutor(TOGETHER) as pool:
        while part:
            tried = [pool.submit(write, each) for each in part]  # a `map` gives up what is behind a failure
            errors += [error for each in tried if (error := each.exception()) is not None]
            part = list(itertools.islice(rest, TOGETHER))
    if errors:
        raise errors[0]


def remove_parts(folder: Path, seconds: float = 0.0) -> None:
    """Remove the temporary files that a killed process left in a folder.

    `seconds` is their least age, for folders that other processes may be writing into.
    """
    names = os.listdir(folder) if folder.is_dir() else []
    for path in (folder / name for name in names if name.startswith(".") and name.endswith(PART)):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime >= seconds:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class GrowingFile:
    """A file that is only appended to, from a known length on.

    What is written waits in memory until `flush`, or until there is a block of it. Where the disk refuses, the file is
    cut back to its last flushed length, so that it remains readable, and later writes do nothing.

    Args:
        path: the file.
        length: bytes to keep of what is there; anything behind them is cut off. `None` keeps nothing.

    Attributes:
        offset: length of the file with all that was written.
        missing: bytes by which the file was found shorter than `length`: something else has damaged it.
    """

    BLOCK = 1 << 16

    def __init__(self, path: Path, length: int | None = None) -> None:
        self.path = path
        self._waiting = bytearray()
        self._broken = False
        with explained(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            present = os.fstat(self._descriptor).st_size
            self._flushed = min(length or 0, present)
            self.missing = (length or 0) - self._flushed
            os.ftruncate(self._descriptor, self._flushed)

    @property
    def offset(self) -> int:
        return self._flushed + len(self._waiting)

    def read(self) -> bytes:
        """All that is there."""
        self.flush()
        return self.path.read_bytes()

    def cut(self, length: int) -> None:
        """Keep only the first `length` bytes."""
        self.flush()
        with explained(self.path):
            os.ftruncate(self._descriptor, length)
        self._flushed = length

    def write(self, data: bytes) -> int:
        """Append."""
        if not self._broken:
            self._waiting += data
            if len(self._waiting) >= self.BLOCK:
                self.flush()
        return len(data)

    def flush(self) -> None:
        """Hand everything to the operating system.

        Raises:
            WriteError: the disk did not take it; what was flushed before is there.
        """
        if not self._waiting:
            return
        try:
            with explained(self.path):
                written = 0
                os.lseek(self._descriptor, self._flushed, os.SEEK_SET)
                while written < len(self._waiting):
                    written += os.write(self._descriptor, self._waiting[written:])
        except WriteError:
            self._broken = True
            self._waiting.clear()
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._flushed)
            raise
        self._flushed += written
        self._waiting.clear()

    def restore(self) -> bool:
        """Write the file whole again where somebody has removed or replaced it since; returns whether that was so."""
        self.flush()
        with explained(self.path):
            try:
                if os.path.samestat(self.path.stat(), os.fstat(self._descriptor)):
                    return False
            except FileNotFoundError:
                pass
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            pieces = []
            while piece := os.read(self._descriptor, 1 << 20):
                pieces.append(piece)
            write_whole(self.path, b"".join(pieces))
            os.close(self._descriptor)
            self._descriptor = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        return True

    def sync(self) -> None:
        """Flush, and wait until the disk has it."""
        self.flush()
        with explained(self.path):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Flush and close."""
        if self._descriptor < 0:
            return
        try:
            self.flush()
        finally:
            descriptor, self._descriptor = self._descriptor, -1
            with explained(self.path):
                os.close(descriptor)
