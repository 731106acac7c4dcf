"""What was read is kept: the last in memory, for runs that differ in their seeds alone, and large files on disk.

See `nnlab.data.kept` for what lies on disk.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nnlab.data.fingerprint import fingerprint
from nnlab.data.kept import LEAST, kept

if TYPE_CHECKING:
    from nnlab.data.base import Source
    from nnlab.data.raw import Raw
    from nnlab.types import Task

LARGEST = 1 << 28  # bytes of inputs beyond which nothing is kept in memory
# Options that say what happens to the examples once they have been read.
AFTERWARDS = (
    *("limit", "label_noise", "folds", "fold", "preprocessing", "augmentation", "standardize_targets", "validation"),
    *("target_transform", "validation_fold", "resident", "references"),
)

_last: list[tuple[Any, Raw, str]] = []  # one entry at most


def read_once(source: Source, tasks: Collection[Task] | None, seed: int, root: Path) -> tuple[Raw, str]:
    """What a source reads, with its fingerprint; what was read before is given again if it would be the same.

    It is the same where class and options are, and the files have the same path, size and times of change.

    Raises:
        UserError: the data cannot be read.
    """
    files = source.files(root)
    if files is None:
        raw = source.read_for(tasks, seed, root)
        return raw, fingerprint(raw)
    states = _states(files)
    key = (
        type(source).__module__,
        type(source).__qualname__,
        _options(source),
        sorted(tasks or ()),
        states,
    )
    if not _last or _last[0][0] != key:
        raw, mark = _from_disk(source, tasks, seed, root, key) or _read(source, tasks, seed, root)
        _last.clear()
        if _size(raw) <= LARGEST:
            _last.append((key, raw, mark))
        return raw, mark
    _, raw, mark = _last[0]
    return raw, mark


def _read(source: Source, tasks: Collection[Task] | None, seed: int, root: Path) -> tuple[Raw, str]:
    raw = source.read_for(tasks, seed, root)
    return raw, fingerprint(raw)


def _from_disk(
    source: Source, tasks: Collection[Task] | None, seed: int, root: Path, key: tuple[Any, ...]
) -> tuple[Raw, str] | None:
    """Of large files, or where nothing shall stay in memory, what is kept on disk."""
    sizes = [size for _, size, *_ in key[-1]]
    if min(sizes, default=-1) < 0 or (sum(sizes) < LEAST and source.resident is not False):
        return None
    *what, states = key
    return kept(
        (*what, _common_folder([path for path, *_ in states])),
        states,
        source.title(root),
        lambda folder: source.read_into(folder, tasks, seed, root),
    )


def _common_folder(paths: Sequence[str]) -> str:
    """The folder that absolute paths share, or the one path: what the first and the last of them share."""
    return os.path.commonpath([min(paths), max(paths)])


def _size(raw: Raw) -> int:
    """Bytes of the inputs that are in memory, all columns of a table included."""
    if isinstance(raw.inputs, Tensor):
        return raw.inputs.untyped_storage().nbytes()
    columns = (raw.frame or raw.inputs).columns.values() if raw.kinds else ()
    return sum(int(column.values.nbytes) for column in columns if column.values.base is None)


def _options(source: Source) -> str:
    values = {each.name: getattr(source, each.name) for each in dataclasses.fields(source)}
    if not isinstance(values["test"], str):  # a fraction; a text is a file
        values.pop("test")
    return repr([(name, value) for name, value in values.items() if name not in AFTERWARDS])


def _states(paths: Sequence[str | Path]) -> list[tuple[str, int, int, int]]:
    """Of each file its path, size, and the times of its last change and of that of its entry, which nobody can set."""

    @functools.cache
    def inside(folder: str) -> str:  # tens of thousands of files have few of them
        return os.path.join(os.path.abspath(folder), "")

    states = []
    for path in map(str, paths):
        folder, name = os.path.split(path)
        place = os.path.abspath(path) if name in ("", os.curdir, os.pardir) else inside(folder) + name
        try:
            found = os.stat(path)
        except OSError:  # reading it will say what is wrong
            states.append((place, -1, -1, -1))
        else:
            states.append((place, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return states
