"""The fingerprint of a data set: SHA-256 of what was read, so that a run knows when its data have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from nnlab.data.base import Raw


def fingerprint(raw: Raw) -> str:
    """Hexadecimal SHA-256 of names, values and order of all examples, and of their own test split.

    Any change of a value, of the order of rows or columns, or of a name changes it; where the data lie does not.
    """
    digest = hashlib.sha256()
    for part in _parts(raw):
        if isinstance(part, str):
            digest.update(part.encode() + b"\0")
        else:
            array = np.ascontiguousarray(part)
            digest.update(f"{array.dtype.str}{array.shape}\0".encode())
            digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _parts(raw: Raw) -> Iterable[Any]:
    """Texts and arrays in a fixed order."""
    yield from (raw.task.value, *raw.target_names)
    for inputs, targets in [(raw.inputs, raw.targets), *([raw.test] if raw.test else [])]:
        yield from _arrays(inputs)
        yield targets.numpy()


def _arrays(inputs: Any) -> Iterable[Any]:
    """The arrays of a tensor, or of columns with their names and levels."""
    if isinstance(inputs, Tensor):
        yield inputs.numpy()
        return
    columns: Mapping[str, Any] = inputs.columns
    for name, column in columns.items():
        yield from (name, column.form, *column.levels)
        yield column.values
