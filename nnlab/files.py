"""Writing files so that a crash leaves the old content or the new, and files that grow, which can be cut back."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from nnlab.errors import UserError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the file system is read-only; choose another `output_dir`",
    errno.EACCES: "permission is denied; choose another `output_dir`",
    errno.EPERM: "permission is denied; choose another `output_dir`",
    errno.EIO: "the disk reports an input/output error",
    errno.ENOTDIR: "a part of its path is a file, not a folder; choose another `output_dir`",
    errno.EEXIST: "a file is in the way; choose another `output_dir`",
}


class WriteError(UserError):
    """A file could not be written; what was there before is intact."""


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an operating-system error about `path` into one sentence.

    Raises:
        WriteError: inside the block an `OSError` was raised.
    """
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise WriteError(f"cannot write `{path}`: {reason}") from error


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
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with explained(path):
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
            if sync:
                _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class GrowingFile:
    """A file that is only appended to, from a known length on.

    Args:
        path: the file.
        length: bytes to keep of what is there; anything behind them is cut off. `None` keeps nothing.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self.path = path
        with explained(path):
            self._file = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115 (it stays open for the run)
            self._file.truncate(length or 0)
            self._file.seek(0, os.SEEK_END)
        self.offset = self._file.tell()

    def read(self) -> bytes:
        """All that is there."""
        self.flush()
        return self.path.read_bytes()

    def write(self, data: bytes) -> int:
        """Append."""
        with explained(self.path):
            self._file.write(data)
        self.offset += len(data)
        return len(data)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        with explained(self.path):
            self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        with explained(self.path):
            self._file.close()
