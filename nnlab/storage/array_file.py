"""Arrays on disk (.npy) whose rows are read when they are asked for, and files that such an array is written to.

Rows come from a memory mapping. The system counts what a process has touched of a mapping as its memory, although it
may take it back at any time; here it is given back whenever `TOUCHED` bytes have been read (`touched`).

Rows are read from the file by their position where they have `LARGE` bytes, which is sooner than as many faults of
pages; where the file has more than a `SHARE` of the free memory, because of a mapping the system reads much around each
row (128 KiB on most machines, 8 MiB on some), and has forgotten it when that is wanted; and where a limit on addresses
(`ulimit -v`) allows no mapping.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import itertools
import math
import mmap
import os
import threading
import warnings
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.device import free_memory
from nnlab.storage.files import explained

TOUCHED = 1 << 26  # bytes after which the memory of mappings is given back
LARGE = 1 << 15  # bytes of a row that is read by its position
SHARE = 0.5  # of the free memory: what a file may have for it to be mapped
AHEAD = 1 << 17  # bytes that the system is told of at a time; of more it may leave out the rest

_mappings: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_read = 0  # bytes, since memory was given back


def touched(count: int) -> None:
    """Count bytes that are about to be read from mappings; where there are many, earlier ones are given back first.

    They are read again from the system's copy of the file, or from the file, when somebody wants them.
    """
    global _read
    _read += count
    if _read <= TOUCHED:
        return
    _read = 0
    if hasattr(mmap, "MADV_DONTNEED"):
        for mapping in list(_mappings):
            mapping.madvise(mmap.MADV_DONTNEED)


def _mapped(path: Path) -> Any:
    """The array in a file as a mapping that must not be written to.

    Raises:
        OSError, ValueError, MemoryError: a limit allows no mapping.
    """
    array = np.load(path, mmap_mode="r")
    if isinstance(array, np.memmap):
        _mappings.add(array._mmap)  # type: ignore[attr-defined]
    return array


class ArrayFile:
    """A .npy file (n, ...), or consecutive rows of one, as an array that is not in memory.

    Attributes:
        path: the file.
        first: the first row, counted from 0.
        shape: (n, ...).
        dtype: of its numbers.
        tensor: all rows as a mapping that must not be written to; None where they are read by their position.
    """

    first = 0

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, kind = np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()
        self.shape, self._kind = torch.Size(shape), np.dtype(kind)
        self.dtype = torch.from_numpy(np.empty(0, self._kind)).dtype
        self._row = int(np.prod(shape[1:])) * self._kind.itemsize
        self._lock = threading.Lock()
        self.tensor: Tensor | None = None
        if self._row >= LARGE or self.shape[0] * self._row > SHARE * free_memory(torch.device("cpu")):
            return
        with warnings.catch_warnings(), contextlib.suppress(OSError, ValueError, MemoryError):
            warnings.simplefilter("ignore")  # torch knows no arrays that cannot be written to
            self.tensor = torch.from_numpy(_mapped(path))

    def __len__(self) -> int:
        return self.shape[0]

    def part(self, start: int, stop: int) -> ArrayFile:
        """The rows from `start` up to `stop` alone."""
        rows = copy.copy(self)
        rows.first, rows.shape = self.first + start, torch.Size((stop - start, *self.shape[1:]))
        rows.tensor = None if self.tensor is None else self.tensor[start:stop]
        return rows

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, rows: Any) -> Tensor:
        """The rows at positions (a tensor, an array) or under a mask, in memory; of a slice, those of the mapping."""
        if isinstance(rows, slice) and self.tensor is not None:
            found = self.tensor[rows]
            touched(found.numel() * found.element_size())
            return found
        index = torch.arange(len(self))[rows] if isinstance(rows, slice) else torch.as_tensor(rows)
        index = torch.nonzero(index).squeeze(1) if index.dtype == torch.bool else index
        if self.tensor is None:
            return self._read(index)
        touched(len(index) * max(self._row, mmap.PAGESIZE))
        return self.tensor.index_select(0, index)

    def _read(self, index: Tensor) -> Tensor:
        """Rows by their position in the file."""
        found = np.empty((len(index), *self.shape[1:]), self._kind)
        cells = memoryview(found.reshape(-1).view(np.uint8).data)
        with self._lock, self.path.open("rb", buffering=0) as file:
            stretches = [(self._start + (self.first + row) * self._row, count) for row, count in _stretches(index)]
            _announce(file.fileno(), [(start, count * self._row) for start, count in stretches])
            for start, count in stretches:
                file.seek(start)
                place, cells = cells[: count * self._row], cells[count * self._row :]
                while place and (done := file.readinto(place)):
                    place = place[done:]
        return torch.from_numpy(found)


def _stretches(index: Tensor) -> list[tuple[int, int]]:
    """Positions (n,) as the first and the number of those that follow one another."""
    if not len(index):
        return []
    starts = [0, *((index.diff() != 1).nonzero().flatten() + 1).tolist()]
    counts = [stop - start for start, stop in itertools.pairwise([*starts, len(index)])]
    return list(zip(index[starts].tolist(), counts, strict=True))


def _announce(file: int, stretches: Sequence[tuple[int, int]]) -> None:
    """Tell the system which bytes of a file (first, number) are read next, and that it is not to guess others."""
    if not hasattr(os, "posix_fadvise"):
        return
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
    for start, count in stretches:
        for part in range(start, start + count, AHEAD):
            os.posix_fadvise(file, part, min(AHEAD, start + count - part), os.POSIX_FADV_WILLNEED)


class ArrayWriter:
    """A .npy file (n, ...) that is written piece by piece; a full disk is an error here, not a crash as in a mapping.

    Its place is reserved first, where the system can: a disk that is too full is known at once, and writing is sooner.

    Args:
        path: the file.
        shape: of the whole array.
        dtype: of its numbers.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        with explained(path):
            self._file: IO[bytes] = path.open("wb")
            header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(self._file, header)
            self._start, self._row = self._file.tell(), math.prod(shape[1:]) * self.dtype.itemsize
            self._reserve(shape[0] * self._row)
        self._lock = threading.Lock()

    def _reserve(self, count: int) -> None:
        """Reserve the place of so many bytes of rows, where the system can."""
        if not (count and hasattr(os, "posix_fallocate")):
            return
        try:
            os.posix_fallocate(self._file.fileno(), self._start, count)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                self._file.close()
                raise

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with explained(self.path):
            self._file.close()

    def write(self, rows: npt.NDArray[Any], first: int | None = None) -> None:
        """Append rows, or write them where row `first` begins; threads may do so in any order.

        Raises:
            WriteError: the disk did not take them.
        """
        cells = np.ascontiguousarray(rows, self.dtype).data.cast("B") if rows.size else b""
        with explained(self.path), self._lock:
            if first is not None:
                self._file.seek(self._start + first * self._row)
            self._file.write(cells)


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as a whole."""
    with ArrayWriter(path, array.shape, array.dtype) as file:
        file.write(array)


def mapped_values(path: Path) -> npt.NDArray[Any]:
    """An array as a mapping that must not be written to; in memory where a limit on addresses allows none."""
    try:
        return np.asarray(_mapped(path))
    except (OSError, ValueError, MemoryError):
        return np.asarray(np.load(path))
