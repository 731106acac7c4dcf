"""A disk that is slow, fails, or dies with the process, put in the way of everything that a run writes."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nnlab.storage.claim
import nnlab.storage.files

WRITING = ("write", "fsync", "replace", "mkdir", "open")  # a full disk refuses these
OPERATIONS = (*WRITING, "ftruncate", "unlink")


class Disk:
    """What happens at the file operations of this process.

    Args:
        root: operations on paths elsewhere pass; None takes all.
        delay: seconds that each operation takes.
        deadly: number of the operation at which the process is killed, with half of its data written.
        failing: number of the operation that fails with `error`.
        lasting: whether all later writes fail, too, as on a full disk; else only that one.
        error: as in `errno`.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        delay: float = 0.0,
        deadly: int | None = None,
        failing: int | None = None,
        lasting: bool = False,
        error: int = errno.ENOSPC,
    ) -> None:
        self.root = None if root is None else str(root)
        self.delay, self.deadly, self.failing, self.lasting, self.error = delay, deadly, failing, lasting, error
        self.count = 0

    def operate(self, name: str, half: Callable[[], Any] | None = None) -> None:
        """Count one operation, and do to it what is to be done."""
        self.count += 1
        if self.delay:
            time.sleep(self.delay)
        if self.count == self.deadly:
            if half is not None:
                half()
            os.kill(os.getpid(), signal.SIGKILL)
        later = self.lasting and self.failing is not None and self.count > self.failing and name in WRITING
        if self.count == self.failing or later:
            if half is not None:
                half()
            raise OSError(self.error, os.strerror(self.error))

    def _counts(self, target: Any) -> bool:
        inside = self.root is None or isinstance(target, int) or str(target).startswith(self.root)
        return inside and str(target) != os.devnull

    def _system_call(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            reading = name == "open" and not arguments[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR)
            if self._counts(arguments[0]) and not reading:
                half = None
                if name == "write":
                    descriptor, data = arguments

                    def half() -> Any:
                        return original(descriptor, data[: len(data) // 2])

                self.operate(name, half)
            return original(*arguments, **options)

        return call

    def _opened(self, path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        """In place of `open` where nnlab writes whole files and claims."""
        file = open(path, mode, *arguments, **options)  # noqa: SIM115 (as the caller does)
        if mode == "r" or not self._counts(path):
            return file
        try:
            self.operate("open")
        except OSError:
            file.close()
            raise
        return _Written(file, self) if mode == "wb" else file

    @contextmanager
    def installed(self) -> Iterator[Disk]:
        """Inside the block, the disk is in the way."""
        originals = {name: getattr(os, name) for name in OPERATIONS}
        modules = (nnlab.storage.files, nnlab.storage.claim)
        for name, original in originals.items():
            setattr(os, name, self._system_call(name, original))
        for module in modules:
            module.open = self._opened  # type: ignore[attr-defined]
        try:
            yield self
        finally:
            for name, original in originals.items():
                setattr(os, name, original)
            for module in modules:
                del module.open  # type: ignore[attr-defined]


class _Written:
    """A file whose writes are counted."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self.file, self.disk = file, disk

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    def write(self, data: Any) -> int:
        self.disk.operate("write", lambda: self.file.write(data[: len(data) // 2]))
        return int(self.file.write(data))

    def fileno(self) -> int:
        return int(self.file.fileno())
