"""Your own numbers: a .csv table, a .npy table, or a .npz file with one array of inputs and one of targets."""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.data.base import Raw, Source, existing
from nnlab.data.table.text_old import Table, is_number, read_table
from nnlab.errors import UserError, did_you_mean
from nnlab.types import Task
from nnlab.validation import check_choice

MOST_CLASSES = 20  # whole numbers with more different values than this are taken for a regression


@dataclasses.dataclass(kw_only=True)
class Arrays(Source):
    """Vectors (D,), or images from a .npz file: (n, H, W) or (n, K, H, W); bytes 0 ... 255 then become 0 ... 1.

    Args:
        path: the file; relative to the working directory, or else to `data_root`.
        target: the target column, by name or index (negative: from the end); in a .npz file the name of the array of
            targets, where the other one holds the inputs. None: the last column.
        task: what the targets are. `auto`: classes if they are text, truth values, or whole numbers with at most 20
            different values, each of them twice or more on average (two: binary); otherwise regression.
    """

    path: str
    target: str | int | None = None
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("task", self.task, ("auto", "regression", "binary", "multiclass"))

    def read(self, seed: int, root: Path) -> Raw:
        """All examples of the file.

        Raises:
            UserError: the file is missing or damaged, or what it holds does not fit the options.
        """
        path = existing(self.path, root)
        if path.suffix not in (".csv", ".npy", ".npz"):
            raise UserError(f"`data.path` must be a .csv, .npy or .npz file, got {path}")
        if path.suffix == ".csv":
            return self._read_csv(path)
        inputs, targets, names = self._read_npz(path) if path.suffix == ".npz" else self._read_npy(path)
        if len(inputs) != len(targets):
            raise UserError(f"{path} has {len(inputs)} inputs but {len(targets)} targets; it needs one for each")
        return self._raw(path, as_inputs(path, inputs), targets, names)

    def _read_csv(self, path: Path) -> Raw:
        table, index = read_table(path, self.target)
        inputs = table.numbers([i for i in range(len(table.columns)) if i != index])
        targets = self._csv_targets(table, index)
        return self._raw(path, torch.from_numpy(inputs), targets, (table.columns[index],))

    def _csv_targets(self, table: Table, index: int) -> npt.NDArray[Any]:
        """The target column as numbers, or as text where it holds classes."""
        cells = [cell.strip() for cell in table.column(index)]
        numeric = [is_number(cell) for cell in cells]
        if all(numeric) or self.task == "regression" or (self.task == "auto" and any(numeric)):
            return table.numbers([index])[:, 0]
        if "" in cells:
            raise UserError(
                f"{table.path}: row {table.lines[cells.index('')]}, column `{table.columns[index]}` is empty, where a "
                "class is needed; fill it in or leave the row out"
            )
        return np.array(cells)

    def _read_npy(self, path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any], tuple[str, ...]]:
        array = load(path)
        if array.ndim != 2 or array.shape[1] < 2:
            raise UserError(f"{path} must be a table of inputs and a target, (n, D + 1), got shape {array.shape}")
        if isinstance(self.target, str):
            raise UserError(f"`data.target` must be the index of a column of {path}, got `{self.target}`")
        index = -1 if self.target is None else self.target
        width = array.shape[1]
        if not -width <= index < width:
            raise UserError(f"`data.target` must be in [{-width}, {width - 1}] for {path}, got {index}")
        return np.delete(array, index, 1), array[:, index], (str(index % width),)

    def _read_npz(self, path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any], tuple[str, ...]]:
        arrays = load(path)
        keys = list(arrays)
        if len(keys) != 2:
            raise UserError(f"{path} must hold two arrays, inputs and targets; it holds {', '.join(keys) or 'none'}")
        if self.target not in keys:
            given = "" if self.target is None else f", not `{self.target}`"
            hint = did_you_mean(str(self.target), keys)
            raise UserError(f"`data.target` must name the array of targets in {path}{given}; {hint}")
        key = str(self.target)
        targets = arrays[key]
        width = targets.shape[1] if targets.ndim == 2 else 1
        names = (key,) if width == 1 else tuple(f"{key} {i}" for i in range(width))
        return arrays[keys[1 - keys.index(key)]], targets, names

    def _raw(self, path: Path, inputs: Tensor, targets: npt.NDArray[Any], names: tuple[str, ...]) -> Raw:
        """Inputs and targets as the task wants them; `names` are those of the target columns."""
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        if not len(targets) or targets.ndim > 2 or targets.dtype.kind not in "biufUS":
            raise UserError(f"targets in {path} must be numbers or names, (n,) or (n, C), got {_kind(targets)}")
        task = guess_task(targets) if self.task == "auto" else Task(self.task)
        if task is Task.REGRESSION:
            if targets.dtype.kind in "US":
                raise UserError(
                    f"targets in {path} are text, such as {str(targets[0])!r}, but regression needs numbers"
                )
            columns = targets.astype(np.float64).reshape(len(targets), -1)
            return Raw(inputs, torch.from_numpy(columns), task, names, str(path))
        if targets.ndim == 2:
            raise UserError(
                f"targets of shape {targets.shape} in {path} are no classes; give one class for each example"
            )
        if targets.dtype.kind == "f" and not np.isfinite(targets).all():
            row = int(np.flatnonzero(~np.isfinite(targets))[0])
            raise UserError(
                f"{path}: the target in row {row} (counted from 0) is {targets[row]}, but a class is needed"
            )
        classes, labels = np.unique(targets, return_inverse=True)
        if len(classes) < 2 or (task is Task.BINARY and len(classes) > 2):
            needed = "exactly two" if task is Task.BINARY else "at least two"
            raise UserError(f"`data.task={task}` needs {needed} classes, but {path} has {len(classes)} in its targets")
        names = tuple(_class_name(value) for value in classes)
        return Raw(inputs, torch.from_numpy(labels).long(), task, names, str(path))


def load(path: Path) -> Any:
    """The array in a .npy file, or the arrays by name in a .npz file; Python objects are never unpickled.

    Raises:
        UserError: the file is missing, damaged, or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            return {key: content[key] for key in content.files} if path.suffix == ".npz" else content
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror or error})") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, MemoryError) as error:
        raise UserError(f"{path} is damaged or holds Python objects instead of numbers ({error})") from error


def as_inputs(path: Path, inputs: npt.NDArray[Any]) -> Tensor:
    """Vectors (n, D) float64, or images (n, K, H, W) as bytes or float32.

    Raises:
        UserError: the array is not numeric, or has a shape that is neither.
    """
    if inputs.dtype.kind not in "biuf" or inputs.ndim not in (1, 2, 3, 4) or not inputs.size:
        raise UserError(f"inputs in {path} must be numbers, (n, D), (n, H, W) or (n, K, H, W), got {_kind(inputs)}")
    if inputs.ndim <= 2:
        return torch.from_numpy(inputs.astype(np.float64)).reshape(len(inputs), -1)
    pixels = inputs if inputs.dtype == np.uint8 else inputs.astype(np.float32)
    images = torch.from_numpy(np.array(pixels))
    return images.unsqueeze(1) if images.ndim == 3 else images


def guess_task(targets: npt.NDArray[Any]) -> Task:
    """The task that `auto` stands for, from targets (n,) or (n, C)."""
    if targets.ndim == 2:
        return Task.REGRESSION
    values = np.unique(targets)
    whole = targets.dtype.kind != "f" or (np.isfinite(values).all() and (values == np.floor(values)).all())
    few = len(values) <= min(MOST_CLASSES, len(targets) // 2)
    if targets.dtype.kind in "USb" or (whole and few):
        return Task.BINARY if len(values) == 2 else Task.MULTICLASS
    return Task.REGRESSION


def _class_name(value: Any) -> str:
    """A class as text; whole numbers without a fraction."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(int(value)) if isinstance(value, np.floating) and value == np.floor(value) else str(value)


def _kind(array: npt.NDArray[Any]) -> str:
    """What an array is, for an error."""
    return f"{array.dtype} of shape {array.shape}"
