"""The fingerprint of a data set: SHA-256 of what was read, so that a run knows when its data have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from nnlab.storage.array_file import ArrayFile, touched
from nnlab.streaming import at_once, pieces

if TYPE_CHECKING:
    from nnlab.data.raw import Raw

PIECE = 1 << 24  # numbers of a file that are in memory at a time


def fingerprint(raw: Raw) -> str:
    """Hexadecimal SHA-256 of names, values and order of all examples, of images their files', and of their test split.

    Any change of a value, of the order of rows or columns, or of a name changes it; where the data lie does not.
    """
    digest = hashlib.sha256()
    for part in _parts(raw):
        if isinstance(part, str):
            digest.update(part.encode() + b"\0")
        elif isinstance(part, ArrayFile):
            digest.update(f"{part[:0].numpy().dtype.str}{tuple(part.shape)}\0".encode())
            for piece in pieces(part, at_once(part, PIECE, len(part))):
                digest.update(piece.numpy().data.cast("B"))
        else:
            array = np.ascontiguousarray(part)
            digest.update(f"{array.dtype.str}{array.shape}\0".encode())
            digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _parts(raw: Raw) -> Iterable[Any]:
    """Texts and arrays in a fixed order."""
    yield from (raw.task.value, *raw.target_names)
    for inputs, targets in [(raw.inputs, raw.targets), *([raw.test] if raw.test else [])]:
        yield from _arrays(inputs) if not raw.content else (raw.content, str(tuple(inputs.shape)))
        yield targets.numpy()


def _arrays(inputs: Any) -> Iterable[Any]:
    """The arrays of a tensor or a file, or of columns with their names and levels."""
    if isinstance(inputs, ArrayFile):
        yield inputs
        return
    if isinstance(inputs, Tensor):
        yield inputs.numpy()
        return
    columns: Mapping[str, Any] = inputs.columns
    for name, column in columns.items():
        yield from (name, column.form, *column.levels)
        touched(column.values.nbytes)
        yield column.values
