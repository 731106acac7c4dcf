"""What was read from large files is kept as arrays in the cache folder, so that the next start does not read again.

An entry holds the examples as they were read, before any split: bytes of images, columns of a table as float64 or as
codes and the texts that they stand for, targets. Its key is made of the files (path, size, times of change) and of the
options that decide what is read from them.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnlab.console import counted
from nnlab.data.fingerprint import fingerprint
from nnlab.data.raw import Raw
from nnlab.data.table.column import Column, Frame
from nnlab.data.table.kinds import Finding, Kind
from nnlab.data.table.writing import Writing
from nnlab.storage import cache
from nnlab.storage.array_file import ArrayFile, mapped_values, write_array
from nnlab.types import Task

log = logging.getLogger(__name__)

LEAST = 1 << 22  # bytes of files from which what was read is kept

PLAIN = ("target_names", "origin", "columns", "channels_last", "target_column", "notes", "content")
TENSORS = ("targets", "groups", "times", "validated")


def kept(key: tuple[object, ...], states: object, title: str, read: Callable[[Path], Raw]) -> tuple[Raw, str] | None:
    """What `read` gives, with its fingerprint, from the cache folder; read and kept where it is not there yet.

    Args:
        key: what is read, and how.
        states: of the files; what was read from earlier ones is removed.
        title: of the files.
        read: reads all examples; large arrays it may write into the folder that it is given.

    Returns:
        None where the cache folder cannot hold it, which has been said.
    """
    origin, name = cache.key_of("raw", *key), cache.key_of("raw", *key, states)
    entry = cache.find(name)
    if entry is not None:
        for line in entry.content["raw"]["notes"]:  # which reading has said
            log.info("%s", line)
    else:
        entry = cache.built(name, title, lambda folder: {**_save(read(folder), folder), "origin": origin})
        cache.clear(lambda each: each.content.get("origin") != origin or each.folder.name == name)
    return None if entry is None else (_load(entry.folder, entry.content["raw"]), entry.content["fingerprint"])


def _save(raw: Raw, folder: Path) -> dict[str, Any]:
    """Write what is not in the folder already; returns the rest as JSON."""
    files = _Files(folder)
    content: dict[str, Any] = {name: getattr(raw, name) for name in PLAIN}
    content["task"] = raw.task.value
    content["kinds"] = {name: dataclasses.asdict(finding) for name, finding in raw.kinds.items()}
    for name in TENSORS:
        value = getattr(raw, name)
        content[name] = None if value is None else files.name_of(value.numpy())
    content["inputs"] = files.examples(raw.inputs)
    content["frame"] = None if raw.frame is None else files.examples(raw.frame)
    content["test"] = None if raw.test is None else [files.examples(raw.test[0]), files.name_of(raw.test[1].numpy())]
    rows, size = len(raw.inputs), sum(path.stat().st_size for path in folder.iterdir())
    return {
        "raw": content,
        "fingerprint": fingerprint(raw),
        "about": f"{counted(rows, 'example')} as read",
        "bytes": size,
    }


class _Files:
    """The arrays in a folder; one that is there already, or has been written before, is not written again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[int, tuple[str, Any]] = {}

    def name_of(self, array: np.ndarray) -> str:
        """The name of the file with this array."""
        mapping = array if isinstance(array, np.memmap) else array.base
        if isinstance(mapping, np.memmap) and mapping.shape == array.shape and mapping.filename is not None:
            path = Path(str(mapping.filename))
            if path.parent == self.folder:
                return path.name
        if id(array) not in self._names:
            name = f"array-{len(self._names)}.npy"
            write_array(self.folder / name, array)
            self._names[id(array)] = name, array  # the array is held, for its id to stay its own
        return self._names[id(array)][0]

    def examples(self, inputs: Any) -> Any:
        """A tensor, an array file with a range of its rows, or the columns of a table, as JSON."""
        if isinstance(inputs, Tensor):
            return {"file": self.name_of(inputs.numpy())}
        if isinstance(inputs, ArrayFile):
            return {"file": inputs.path.name, "rows": [inputs.first, inputs.first + len(inputs)]}
        columns = [
            {"name": name, "form": column.form, "file": self.name_of(column.values), "levels": column.levels}
            for name, column in inputs.columns.items()
        ]
        about = {"origin": inputs.origin, "first_line": inputs.first_line, "writing": inputs.writing.to_json()}
        return {"columns": columns, **about}


def _load(folder: Path, content: Mapping[str, Any]) -> Raw:
    """What `_save` has written, its inputs as mappings."""
    values: dict[str, Any] = {name: content[name] for name in PLAIN}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    for name in TENSORS:
        values[name] = None if content[name] is None else _tensor(folder / content[name])
    kinds = {name: Finding(**{**each, "kind": Kind(each["kind"])}) for name, each in content["kinds"].items()}
    test = content["test"]
    return Raw(
        inputs=_examples(folder, content["inputs"]),
        task=Task(content["task"]),
        kinds=kinds,
        frame=None if content["frame"] is None else _examples(folder, content["frame"]),
        test=None if test is None else (_examples(folder, test[0]), _tensor(folder / test[1])),
        **values,
    )


def _tensor(path: Path) -> Tensor:
    """An array in memory."""
    return torch.from_numpy(np.load(path))


def _examples(folder: Path, content: Mapping[str, Any]) -> Any:
    """Rows of an array file, or the columns of a table."""
    if "columns" not in content:
        file = ArrayFile(folder / content["file"])
        return file.part(*content["rows"]) if "rows" in content else file
    columns = {
        each["name"]: Column(each["name"], each["form"], mapped_values(folder / each["file"]), tuple(each["levels"]))
        for each in content["columns"]
    }
    return Frame(columns, content["origin"], None, content["first_line"], Writing(**content["writing"]))
