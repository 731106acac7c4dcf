"""The rules between what a user has and the numbers of a network: of inputs, by columns or as an array; of the target.

A rule is plain values, so that it is stored with a run as JSON and gives the same numbers again.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.data.table.column import Column, Frame, as_column, as_frame, plain
from nnlab.data.table.encoding import Encoding, TimeEncoding, from_json, join
from nnlab.data.table.texts import as_written
from nnlab.data.table.writing import Writing
from nnlab.errors import UserError
from nnlab.types import Task
from nnlab.units import DOMAINS, TargetTransform, Units, fits

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Encoded:
    """Raw examples as numbers: `inputs` (n, ...), and for each column how many cells training had nothing like."""

    inputs: Tensor
    unseen: Mapping[str, int]


class InputRule(ABC):
    """From raw examples to the numbers that preprocessing takes."""

    kind: ClassVar[str]

    @abstractmethod
    def encode(self, raw: Any) -> Encoded:
        """The inputs of any examples, each as if it were alone.

        Raises:
            UserError: columns are missing, or the shape is another.
        """

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the numbers of one example, in their order; empty for images."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The rule as JSON."""


@dataclasses.dataclass(frozen=True)
class ColumnRule(InputRule):
    """Columns by name, each by its own encoding.

    Attributes:
        encodings: of the columns that are used, in the order of the training table.
        kinds: kind of every column of the training table, those left out too, in its order.
        writing: how the training table was written, its target too.
    """

    encodings: tuple[Encoding, ...]
    kinds: Mapping[str, str]
    writing: Writing = dataclasses.field(default_factory=Writing)

    kind: ClassVar[str] = "columns"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for encoding in self.encodings for name in encoding.input_names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are needed."""
        return tuple(encoding.name for encoding in self.encodings)

    def encode(self, raw: Any) -> Encoded:
        """From a mapping of names to arrays, a DataFrame, or a `Frame`, with columns in any order.

        An array (n, columns) is taken as the needed columns in the order of training.
        """
        frame = self.frame(raw)
        absent = [name for name in self.columns if name not in frame.columns]
        if absent:
            own = ", ".join(f"`{name}`" for name in frame.columns)
            raise UserError(
                f"{frame.origin} lacks {len(absent)} of the {len(self.columns)} columns that the network was trained "
                f"on: {', '.join(f'`{name}`' for name in absent)}; it has: {own}"
            )
        parts = [_for(encoding, frame).encode(frame.columns[encoding.name]) for encoding in self.encodings]
        unseen = {e.name: part.unseen for e, part in zip(self.encodings, parts, strict=True) if part.unseen}
        return Encoded(torch.from_numpy(join([part.inputs for part in parts], len(frame))), unseen)

    def frame(self, raw: Any) -> Frame:
        """Columns by name from whatever was given; texts are read as those of the training were."""
        if isinstance(raw, Frame):
            return raw
        if hasattr(raw, "keys") or hasattr(raw, "columns"):
            return as_written(as_frame(raw), self.expected)
        array = np.asarray(raw)
        if array.ndim != 2 or array.shape[1] != len(self.columns):
            raise UserError(
                f"an array for this network must have shape (n, {len(self.columns)}), the columns "
                f"{', '.join(self.columns)} in this order, got {array.shape}"
            )
        columns = {name: as_column(name, array[:, position]) for position, name in enumerate(self.columns)}
        return as_written(Frame(columns, "the array"), self.expected)

    @property
    def expected(self) -> Writing:
        """How other tables are expected to be written: as the training's, times too."""
        times = {each.name: each.pattern for each in self.encodings if isinstance(each, TimeEncoding)}
        return dataclasses.replace(self.writing, times=times)

    def to_json(self) -> dict[str, Any]:
        encodings = [encoding.to_json() for encoding in self.encodings]
        return {
            "rule": self.kind,
            "encodings": encodings,
            "kinds": dict(self.kinds),
            "writing": self.writing.to_json(),
        }


@dataclasses.dataclass(frozen=True)
class ArrayRule(InputRule):
    """Numbers or images as they are: one array, bytes 0 ... 255 as 0 ... 1 where training had bytes.

    Attributes:
        shape: of one example, (D,) or (K, H, W).
        dtype: of the examples before preprocessing, `float32`, `float64` or, for images of bytes, `uint8`.
        columns: names of the D numbers of a vector.
        channels_last: images are given as (n, H, W, K).
        low, high: floating-point numbers that become 0 and 1.
        ranges: of each of the D numbers, where most of the training rows lie, as `range_of` has it; empty: not known.
    """

    shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] = ()
    channels_last: bool = False
    low: float = 0.0
    high: float = 1.0
    ranges: tuple[tuple[float, ...], ...] = ()

    kind: ClassVar[str] = "array"

    @property
    def names(self) -> tuple[str, ...]:
        return self.columns

    def encode(self, raw: Any) -> Encoded:
        """From an array or tensor (n, *shape), images also without a channel axis of one; or columns by name."""
        if self.columns and (hasattr(raw, "keys") or hasattr(raw, "columns")):
            raw = self._stacked(as_frame(raw))
        inputs = raw if isinstance(raw, Tensor) else torch.from_numpy(np.array(raw))
        if self.channels_last and inputs.ndim == 4 and tuple(inputs.shape[1:]) != self.shape:
            inputs = inputs.permute(0, 3, 1, 2).contiguous()
        if self.shape[:1] == (1,) and inputs.ndim == len(self.shape):
            inputs = inputs.reshape(len(inputs), *self.shape)
        if tuple(inputs.shape[1:]) != self.shape:
            raise UserError(
                f"inputs of this network must have shape (n, {', '.join(map(str, self.shape))}), got "
                f"{tuple(inputs.shape)}"
            )
        return Encoded(self._as_float(inputs), {})

    def frame(self, raw: Any) -> Frame | None:
        """The columns by name of what `encode` takes; None of images."""
        if not self.columns:
            return None
        if hasattr(raw, "keys") or hasattr(raw, "columns"):
            return as_frame(raw)
        columns = np.asarray(raw).T
        return Frame(
            {name: Column(name, "number", each) for name, each in zip(self.columns, columns, strict=True)}, "the array"
        )

    def _as_float(self, inputs: Tensor) -> Tensor:
        """Floating point of the precision that training had."""
        if self.dtype == "uint8":
            return inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs.float()
        return self.scaled(inputs.to(torch.float64 if self.dtype == "float64" else torch.float32))

    def scaled(self, inputs: Tensor) -> Tensor:
        """Floating-point inputs with `low` at 0 and `high` at 1."""
        return inputs if (self.low, self.high) == (0.0, 1.0) else (inputs - self.low) / (self.high - self.low)

    def _stacked(self, frame: Frame) -> Array:
        """The columns side by side, (n, D)."""
        absent = [name for name in self.columns if name not in frame.columns]
        if absent:
            raise UserError(f"{frame.origin} lacks the columns {', '.join(f'`{name}`' for name in absent)}")
        return np.column_stack([frame.columns[name].numbers() for name in self.columns])

    def to_json(self) -> dict[str, Any]:
        return {"rule": self.kind, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class TargetRule:
    """What the network's outputs stand for.

    Attributes:
        task: what the targets are.
        names: of the C classes, or of the C regression targets.
        column: the column of a table that holds the target; empty where it is none.
        mean, std: (C,) that were divided out of regression targets; None where they stayed as they are.
        transform: what regression targets were before that.
        ranges: of regression targets, where most of the training rows lie, as `range_of` has it; empty: not known.
    """

    task: Task
    names: tuple[str, ...]
    column: str = ""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    transform: TargetTransform = "none"
    ranges: tuple[tuple[float, ...], ...] = ()

    def encode(self, values: Any) -> Tensor:
        """Targets as training has them: (n,) int64 classes, or (n, C) float32 standardized; a class by its name.

        Raises:
            UserError: a class that training did not have, or a missing value.
        """
        if self.task is Task.REGRESSION:
            return self._numbers(values)
        text = as_column(self.column or "target", values).as_text()
        known = {name: position for position, name in enumerate(self.names)}
        levels = [level if level in known else plain(level) for level in text.levels]
        unknown = [text.levels[code] for code in set(text.values.tolist()) - {-1} if levels[code] not in known]
        if unknown or (text.values < 0).any():
            what = f"the class `{min(unknown)}`" if unknown else "a missing target"
            raise UserError(f"{what} is none of the classes of this run: {', '.join(self.names)}")
        return torch.tensor([known.get(level, 0) for level in levels])[text.values]

    def _numbers(self, values: Any) -> Tensor:
        array = np.asarray(values)
        numbers = array if array.dtype.kind in "iuf" else as_column(self.column or "target", values).numbers()
        targets = torch.from_numpy(np.asarray(numbers, dtype=np.float64)).reshape(len(array), -1)
        if not bool(torch.isfinite(targets).all()):
            raise UserError("a target is missing or no number")
        if not bool((fitting := fits(targets, self.transform)).all()):
            learned = f"this run learned logarithms of targets {DOMAINS[self.transform]}"
            raise UserError(f"a target is {float(targets[~fitting][0]):g}, but {learned}")
        units = self.units(torch.float64)
        return (targets if units is None else units.reduced(targets)).float()

    def units(self, dtype: torch.dtype) -> Units | None:
        """The units of the targets; None where they stayed as they are."""
        if self.mean is None and self.std is None and self.transform == "none":
            return None
        mean, std = self.mean or (0.0,) * len(self.names), self.std or (1.0,) * len(self.names)
        return Units(torch.tensor(mean, dtype=dtype), torch.tensor(std, dtype=dtype), self.transform)

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "task": self.task.value}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TargetRule:
        """What `to_json` wrote."""
        values = _tuples(content)
        if "logarithm" in values:  # runs of earlier versions
            values["transform"] = "log" if values.pop("logarithm") else "none"
        return cls(**{**values, "task": Task(values["task"])})


def _for(encoding: Encoding, frame: Frame) -> Encoding:
    """The encoding of a column, its times read as the table writes them."""
    if not isinstance(encoding, TimeEncoding) or encoding.name not in frame.writing.times:
        return encoding
    return dataclasses.replace(encoding, pattern=frame.writing.times[encoding.name])


def rule_from_json(content: Mapping[str, Any]) -> InputRule:
    """The input rule that `to_json` wrote."""
    values = dict(content)
    if values.pop("rule") == ColumnRule.kind:
        writing = Writing(**values.get("writing", {}))  # earlier runs have not noted it
        return ColumnRule(tuple(from_json(each) for each in values["encodings"]), values["kinds"], writing)
    return ArrayRule(**_tuples(values))


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that they were."""
    return {key: _tuple(value) for key, value in content.items()}


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
