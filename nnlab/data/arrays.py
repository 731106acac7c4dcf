"""Your own arrays: a .npz file with inputs and targets, also split already, or a .npy table; else as `data=table`."""

from __future__ import annotations

import dataclasses
import logging
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab import console
from nnlab.console import counted
from nnlab.data.base import Source, existing
from nnlab.data.raw import Raw
from nnlab.data.rules import InputRule
from nnlab.data.table.column import as_column
from nnlab.data.table.table import Table
from nnlab.data.table.target import TASKS, Targets, one_hot_classes, targets_of
from nnlab.device import free_memory
from nnlab.errors import UserError, did_you_mean
from nnlab.types import Task
from nnlab.validation import check_choice

log = logging.getLogger(__name__)

TARGETS = ("y", "target", "targets", "label", "labels")  # names that the array of targets usually has
CHANNELS = (1, 3, 4)  # numbers of channels that a last axis may have


@dataclasses.dataclass(kw_only=True)
class Arrays(Source):
    """Vectors (D,), or images of a .npz file: (n, H, W), (n, K, H, W) or (n, H, W, K); bytes 0 ... 255 become 0 ... 1.

    Args:
        path: the file; relative to the working directory, or else to `data_root`.
        target: the target column, by name or index (negative: from the end); in a .npz file the name of the array of
            targets, where the other one holds the inputs. None: the last column, or the array called y, target(s) or
            label(s); x_train, y_train, x_test and y_test bring their own test split.
        task: what the targets are; `auto`: as the loss has it, else classes if they are text, truth values, one-hot, or
            whole numbers with at most 20 different values, each of them twice or more on average.
    """

    keeps_shape: ClassVar[bool] = False  # records and texts are a table

    path: str
    target: str | int | None = None
    test: float | None = None
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("task", self.task, TASKS)

    def files(self, root: Path) -> Sequence[Path]:
        return [existing(self.path, root)]

    def read(self, seed: int, root: Path) -> Raw:
        """All examples of the file, the task as it is guessed."""
        return self.read_for(None, seed, root)

    def read_for(self, tasks: Collection[Task] | None, seed: int, root: Path) -> Raw:
        """All examples of the file.

        Raises:
            UserError: the file is missing or damaged, or what it holds does not fit the options.
        """
        path = existing(self.path, root)
        suffix = path.suffix.lower()
        if suffix == ".npz":
            return self._read_npz(path, tasks)
        if suffix == ".npy":
            return self._read_npy(path, tasks)
        return self._as_table().read_for(tasks, seed, root)

    def guess(self, root: Path) -> Task:
        """The task where no loss says it: what the command line chooses the loss by."""
        path = existing(self.path, root)
        with console.silenced():
            return self.read(0, root).task if path.suffix.lower() in (".npz", ".npy") else self._as_table().guess(root)

    def input_rule(self, raw: Raw, train: Any) -> InputRule:
        """As a table does it, where the file is one."""
        return self._as_table().input_rule(raw, train) if raw.kinds else super().input_rule(raw, train)

    def _as_table(self) -> Table:
        """The same options for a file of mixed columns."""
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Table(**shared)

    def _read_npy(self, path: Path, tasks: Collection[Task] | None) -> Raw:
        """The columns of one array, one of them the target."""
        array = load(path)
        if array.ndim != 2 or array.shape[1] < 2:
            raise UserError(f"{path} must be a table of inputs and a target, (n, D + 1), got shape {array.shape}")
        if isinstance(self.target, str):
            raise UserError(f"`data.target` must be the index of a column of {path}, got `{self.target}`")
        index = -1 if self.target is None else self.target
        width = array.shape[1]
        if not -width <= index < width:
            raise UserError(f"`data.target` must be in [{-width}, {width - 1}] for {path}, got {index}")
        inputs, _ = as_inputs(path, np.delete(array, index, 1))
        targets = self._targets(path, array[:, index], str(index % width), tasks)
        names = tuple(str(i) for i in range(width) if i != index % width)
        return Raw(inputs, targets.values, targets.task, targets.names, str(path), columns=names)

    def _read_npz(self, path: Path, tasks: Collection[Task] | None) -> Raw:
        """Arrays by name: inputs and targets, or `x_train`, `y_train`, `x_test`, `y_test`."""
        arrays = load(path)
        train, test = self._named(path, arrays)
        inputs, last = as_inputs(path, arrays[train[0]])
        if len(inputs) != len(arrays[train[1]]):
            raise UserError(
                f"{path} has {counted(len(inputs), 'input')} but {counted(len(arrays[train[1]]), 'target')}; it needs "
                "one for each"
            )
        if not test:
            targets = self._targets(path, arrays[train[1]], train[1], tasks)
            return Raw(inputs, targets.values, targets.task, targets.names, str(path), channels_last=last)
        held, _ = as_inputs(path, arrays[test[0]])
        if len(held) != len(arrays[test[1]]) or held.shape[1:] != inputs.shape[1:]:
            raise UserError(
                f"{path}: `{test[0]}` {arrays[test[0]].shape} and `{test[1]}` {arrays[test[1]].shape} do not go with "
                f"`{train[0]}` {arrays[train[0]].shape}"
            )
        both = np.concatenate([arrays[train[1]], arrays[test[1]]])
        targets = self._targets(path, both, train[1], tasks)
        count = len(inputs)
        return Raw(
            inputs,
            targets.values[:count],
            targets.task,
            targets.names,
            str(path),
            test=(held, targets.values[count:]),
            channels_last=last,
        )

    def _named(self, path: Path, arrays: Mapping[str, Any]) -> tuple[tuple[str, str], tuple[str, str] | None]:
        """Names of inputs and targets, and those of the test split where there is one."""
        keys = {key.lower(): key for key in arrays}
        parts = {"x_train", "y_train", "x_test", "y_test"}
        if self.target is None and parts <= set(keys):
            return (keys["x_train"], keys["y_train"]), (keys["x_test"], keys["y_test"])
        usual = [keys[name] for name in keys if name in TARGETS]
        if self.target is None and len(arrays) == 2 and len(usual) == 1:
            return (next(key for key in arrays if key != usual[0]), usual[0]), None
        if len(arrays) != 2:
            raise UserError(
                f"{path} must hold two arrays, inputs and targets, or x_train, y_train, x_test and y_test; it holds "
                f"{', '.join(arrays) or 'none'}"
            )
        if self.target not in arrays:
            given = "" if self.target is None else f", not `{self.target}`"
            hint = did_you_mean(str(self.target), arrays)
            raise UserError(f"`data.target` must name the array of targets in {path}{given}; {hint}")
        other = next(key for key in arrays if key != self.target)
        return (other, str(self.target)), None

    def _targets(self, path: Path, array: npt.NDArray[Any], name: str, tasks: Collection[Task] | None) -> Targets:
        """The targets of all rows as the task wants them."""
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if not len(array) or array.ndim > 2 or array.dtype.kind not in "biufUS":
            raise UserError(f"targets in {path} must be numbers or names, (n,) or (n, C), got {_kind(array)}")
        if array.ndim == 1:
            column = as_column(name, array)
            bad = np.flatnonzero(column.missing)
            if len(bad):
                raise UserError(
                    f"{path}: the target in row {bad[0]} (counted from 0) is {array[bad[0]]}, and {len(bad)} are "
                    "missing or infinite; take these rows out"
                )
            targets = targets_of(column, self.task, tasks, str(path), lambda row: f"row {row} (counted from 0)")
            if targets.said:
                log.info("%s: %s", path.name, targets.said)
            return targets
        names = tuple(f"{name} {i}" for i in range(array.shape[1]))
        classes = one_hot_classes(array) if self.task != "regression" and tasks != {Task.REGRESSION} else None
        if classes is not None:
            task = Task.BINARY if len(names) == 2 else Task.MULTICLASS
            return Targets(torch.from_numpy(classes), task, tuple(map(str, range(len(names)))))
        if self.task not in ("auto", "regression"):
            raise UserError(
                f"targets of shape {array.shape} in {path} are no classes; give one class for each example, or a one "
                "among zeros"
            )
        return Targets(torch.from_numpy(array.astype(np.float64)), Task.REGRESSION, names)


def load(path: Path) -> Any:
    """The array in a .npy file, or the arrays by name in a .npz file; Python objects are never unpickled.

    Raises:
        UserError: the file is missing, damaged, larger than the memory that is free, or holds Python objects.
    """
    try:
        size, free = _unpacked(path), free_memory(torch.device("cpu"))
        if size > free:
            raise UserError(
                f"{path} holds {size / 1e9:.2g} GB, and {free / 1e9:.2g} GB of memory are free; a Parquet file "
                "(`data=table`) or a folder of images (`data=image_folder`) is read in pieces"
            )
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            return {key: content[key] for key in content.files} if path.suffix == ".npz" else content
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror or error})") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, MemoryError) as error:
        raise UserError(f"{path} is damaged or holds Python objects instead of numbers ({error})") from error


def _unpacked(path: Path) -> int:
    """Bytes of the arrays in a file."""
    if path.suffix != ".npz":
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def as_inputs(path: Path, inputs: npt.NDArray[Any]) -> tuple[Tensor, bool]:
    """Vectors (n, D) float64, or images (n, K, H, W) as bytes or float32; and whether channels came last.

    Raises:
        UserError: the array is not numeric, or has a shape that is neither.
    """
    if inputs.dtype.kind not in "biuf" or inputs.ndim not in (1, 2, 3, 4) or not inputs.size:
        raise UserError(
            f"inputs in {path} must be numbers, (n, D), (n, H, W), (n, K, H, W) or (n, H, W, K), got {_kind(inputs)}"
        )
    if inputs.ndim <= 2:
        return torch.from_numpy(inputs.astype(np.float64)).reshape(len(inputs), -1), False
    pixels = inputs if inputs.dtype == np.uint8 else inputs.astype(np.float32)
    last = inputs.ndim == 4 and inputs.shape[3] in CHANNELS and inputs.shape[1] not in CHANNELS
    images = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, 3, 1)) if last else np.array(pixels))
    return images.unsqueeze(1) if images.ndim == 3 else images, last


def _kind(array: npt.NDArray[Any]) -> str:
    """What an array is, for an error."""
    return f"{array.dtype} of shape {array.shape}"
