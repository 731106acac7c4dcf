"""Many image files as one array: decoded on all cores, in order, into memory or straight to a file."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import logging
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.data.images import content_of, decode, decode_content
from nnlab.device import cores, free_memory
from nnlab.errors import UserError
from nnlab.storage.array_file import ArrayFile, ArrayWriter

Item = TypeVar("Item")
Image = npt.NDArray[Any]

LARGE = 512  # pixels along both sides from which an image is called large
TOGETHER = 8  # images that a thread decodes and writes before it asks for more, ...
BLOCK = 1 << 24  # ... fewer where they have more bytes than these
AHEAD = 3  # tasks for each thread, done or under way, beyond those that have been taken

log = logging.getLogger(__name__)


class _Deeper(Exception):
    """Some images have more bits than others."""


def decode_all(
    files: Sequence[Path], size: int | None, grayscale: bool, to: Path | None
) -> tuple[Tensor | ArrayFile, str]:
    """Images (n, K, H, W), bytes or, where one of them has more than 8 bits, float32; and a hash of the files.

    Args:
        files: image files.
        size: see `nnlab.data.images.decode`.
        grayscale: see there.
        to: the file that is written; None: memory.

    Raises:
        UserError: an image that cannot be read, images of different sizes, or more than the memory holds.
        WriteError: the disk is full.
    """
    first = decode(files[0], size, grayscale)
    if to is None:
        _check_memory(len(files), first, files[0])
    _warn_of_large(first, files[0])

    def read(path: Path) -> tuple[Image, bytes]:
        content = content_of(path)
        return decode_content(content, path, size, grayscale), hashlib.sha256(content).digest()

    def read_deeper(path: Path) -> tuple[Image, bytes]:
        image, digest = read(path)
        return _floats(image), digest

    try:
        return _collected(files, first, read, to)
    except _Deeper:
        return _collected(files, _floats(first), read_deeper, to)


def _collected(
    files: Sequence[Path], first: Image, read: Callable[[Path], tuple[Image, bytes]], to: Path | None
) -> tuple[Tensor | ArrayFile, str]:
    """All images behind one another, and the hash of their files'."""
    shape = len(files), *first.shape
    if to is None:
        array: Image = np.empty(shape, first.dtype)
        return torch.from_numpy(array), _put(files, first, read, array)
    with ArrayWriter(to, shape, first.dtype) as file:
        digest = _put(files, first, read, file)
    return ArrayFile(to), digest


def _put(
    files: Sequence[Path], first: Image, read: Callable[[Path], tuple[Image, bytes]], to: Image | ArrayWriter
) -> str:
    """Put all images into an array or a file, on all cores; returns the hash of their files'.

    The thread that has decoded some images writes them, too, while they are in its core's cache.
    """
    together = max(1, min(TOGETHER, BLOCK // max(first.nbytes, 1)))

    def put(start: int) -> list[bytes]:
        some = files[start : start + together]
        shape = len(some), *first.shape
        rows = np.empty(shape, first.dtype) if isinstance(to, ArrayWriter) else to[start : start + together]
        digests = []
        for row, path in zip(rows, some, strict=True):
            image, digest = read(path)
            _check(image, path, first, files[0])
            row[...] = image
            digests.append(digest)
        if isinstance(to, ArrayWriter):
            to.write(rows, start)
        return digests

    whole = hashlib.sha256()
    with contextlib.closing(in_order(put, range(0, len(files), together))) as digests:
        for digest in track(digests, len(files), f"decoding {len(files)} images"):
            whole.update(digest)
    return whole.hexdigest()


def _check(image: Image, path: Path, first: Image, first_path: Path) -> None:
    """Refuse an image of another size than the first.

    Raises:
        UserError: it has another size.
        _Deeper: it has more bits, or fewer.
    """
    if image.shape != first.shape:
        raise UserError(
            f"images must have equal sizes, but {first_path} has {_size(first)} and {path} {_size(image)} pixels; "
            "set `data.size` to bring them to one size, such as `data.size=32`"
        )
    if image.dtype != first.dtype:
        raise _Deeper


def in_order(function: Callable[[int], list[Any]], items: Iterable[int]) -> Generator[Any]:
    """The results for all items in their order, on all cores, a bounded number ahead of whoever takes them."""
    threads = cores()
    waiting: collections.deque[Future[list[Any]]] = collections.deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= AHEAD * threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, do not decode the rest


def track(items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
    """The items, with a progress bar where a person is watching."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as bar

    return bar(items, what, total, console=Console(stderr=True), transient=True)


def _check_memory(count: int, image: Image, path: Path) -> None:
    """Refuse more than the machine's memory holds.

    Raises:
        UserError: they do not fit.
    """
    total = 4 * count * image.size  # as float32, which the network sees
    if total > free_memory(torch.device("cpu")):
        raise UserError(
            f"{count} images such as {path} of {_size(image)} pixels take {total / 1e9:.1f} GB, more than is "
            "free; set `data.size`, such as `data.size=128`"
        )


def _warn_of_large(image: Image, path: Path) -> None:
    """Say before they are read that images are large."""
    if min(image.shape[1:]) >= LARGE:
        log.warning(
            "images such as %s have %s pixels, %.1f million numbers each; `data.size=128` scales them to what most "
            "networks are made for",
            *(path, _size(image), image.size / 1e6),
        )


def _floats(image: Image) -> npt.NDArray[np.float32]:
    """Bytes 0 ... 255 as 0 ... 1; floating point as it is."""
    return image.astype(np.float32) / np.float32(255) if image.dtype == np.uint8 else image


def _size(image: Image) -> str:
    """Width x height."""
    return f"{image.shape[2]} x {image.shape[1]}"
