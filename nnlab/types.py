"""The plain types that the whole project shares: what a task is, what a data set holds, what a member is.

Dimension letters used everywhere: `M` members of a population, `N` examples in a batch, `D` input features, `C`
classes or regression targets, `O` outputs of a network, `K` channels, `H` and `W` height and width, `P` parameters.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor

from nnlab.streaming import as_streamed, fits
from nnlab.units import Units

if TYPE_CHECKING:
    from nnlab.data.pipeline import Pipeline


class Task(enum.StrEnum):
    """What the targets are, and so which losses fit them."""

    REGRESSION = "regression"  # targets (n, C), floating point
    BINARY = "binary"  # targets (n,), int64, 0 or 1
    MULTICLASS = "multiclass"  # targets (n,), int64, 0 ... C - 1


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples of one split: `inputs` (n, *input_shape), floating point; `targets` (n,) int64 or (n, C) floats.

    Inputs that are too large for the memory are a mapping of a file, or `nnlab.streaming.Streamed`, which has length,
    shape and dtype as a tensor, and gives tensors for slices and positions: whoever takes pieces serves both.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device, dtype: torch.dtype) -> Split:
        """The split on a device, floating-point tensors in `dtype`; labels stay int64."""
        targets = self.targets.to(device, dtype if self.targets.is_floating_point() else None)
        return Split(self.inputs.to(device, dtype), targets)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A prepared data set: preprocessing is fitted on `train` and applied to all three splits.

    Attributes:
        train, validation, test: the splits.
        task: what the targets are.
        target_names: names of the C classes, or of the C regression targets.
        units: from regression targets as they are here to the units of the data; None where they are the same.
        label_noise: fraction of the training labels that were drawn anew.
        pipeline: what was fitted on the training split, from raw examples to `inputs`; None for data made by hand.
        fingerprint: hash of the raw data, their order included; empty for data made by hand.
        resident: whether inputs are to be in the device's memory; `auto`: if they are a small share of what is free.
        key: what decides every number of it: data sets with equal keys are equal. Empty for data made by hand, or by
            `dataclasses.replace` from others, which does not hand it on.
    """

    train: Split
    validation: Split
    test: Split
    task: Task
    target_names: tuple[str, ...]
    units: Units | None = None
    label_noise: float = 0.0
    pipeline: Pipeline | None = None
    fingerprint: str = ""
    resident: bool | Literal["auto"] = "auto"
    key: str = dataclasses.field(default="", init=False, compare=False)

    def known_as(self, key: str) -> Dataset:
        """The same data set with a key."""
        found = dataclasses.replace(self)
        object.__setattr__(found, "key", key)
        return found

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the numbers of one example before preprocessing; empty for images and data made by hand."""
        return self.pipeline.input_names if self.pipeline is not None else ()

    @property
    def input_columns(self) -> tuple[tuple[str, int], ...]:
        """Kind and number of inputs of each column of a table; empty where the network sees something else."""
        return self.pipeline.input_columns if self.pipeline is not None else ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: (D,) for vectors, (K, H, W) for images."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def input_size(self) -> int:
        """D, the number of numbers in one example."""
        return math.prod(self.input_shape)

    @property
    def target_size(self) -> int:
        """C, the number of classes or regression targets."""
        return len(self.target_names)

    def to(self, device: torch.device, dtype: torch.dtype) -> Dataset:
        """The data set on a device, floating-point tensors in `dtype`; inputs that are not to be there are streamed."""
        splits = {name: getattr(self, name) for name in ("train", "validation", "test")}
        if not self._is_placed(device, dtype):
            splits = {n: Split(cast(Tensor, as_streamed(s.inputs)), s.targets) for n, s in splits.items()}
        moved = {name: split.to(device, dtype) for name, split in splits.items()}
        found = dataclasses.replace(self, **moved, units=self.units and self.units.to(device, dtype))
        there, own = self.train.inputs, found.train.inputs
        same = (there.device, there.dtype) == (own.device, own.dtype)
        return found.known_as(self.key if same or not self.key else f"{self.key} {device} {dtype}")

    def _is_placed(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Whether the inputs are to be in the memory of a device."""
        on_cpu = device.type == "cpu"
        if self.resident != "auto":
            return self.resident or (on_cpu and self.train.inputs.dtype == dtype)  # a mapping is a tensor already
        splits = (self.train, self.validation, self.test)
        return on_cpu or fits(sum(s.inputs.numel() * s.inputs.element_size() for s in splits), device)
