"""What every preprocessing does: `fit` on the training inputs, and give a transform to apply to any split."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from nnlab.errors import UserError
from nnlab.streaming import Streamed


class Transform(ABC):
    """A fitted preprocessing: a dataclass of tensors and plain values, so that it can be stored.

    Attributes:
        keeps_inputs: whether every output is a function of the input at its own place, so that names stay right, and
            bits do not depend on what stands beside it.
    """

    keeps_inputs: ClassVar[bool] = False

    @abstractmethod
    def apply(self, inputs: Tensor) -> Tensor:
        """Inputs (n, ...) as the network sees them; dtype as given, rows as alone."""

    def reversed(self, inputs: Tensor) -> Tensor | None:
        """Inputs (n, ...) as they were before; None where they cannot be told."""
        return None

    def tensors(self) -> dict[str, Tensor]:
        """The fitted tensors by the names of their fields."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def to_json(self) -> dict[str, Any]:
        """The class, and the fields that are no tensors."""
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, Tensor)}
        return {"class": _title(type(self)), "values": plain}


def transform_from_arrays(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Transform:
    """The transform that `to_json` and `tensors` describe; only classes that are loaded already are considered.

    Raises:
        UserError: its class is not loaded; nothing that stored content names is imported.
    """
    for kind in _subclasses(Transform):  # type: ignore[type-abstract]
        if _title(kind) == content["class"]:
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in content["values"].items()}
            return kind(**values, **tensors)
    raise UserError(
        f"the inputs were prepared by `{content['class']}`, which is not loaded; import the module that defines it"
    )


def _title(kind: type) -> str:
    """How a class is stored: by its name alone where it is one of nnlab's."""
    return kind.__name__ if kind.__module__ == __name__ else f"{kind.__module__}.{kind.__name__}"


def _subclasses(parent: type[Transform]) -> list[type[Transform]]:
    """All classes below `parent` that have been defined so far."""
    return [each for child in parent.__subclasses__() for each in (child, *_subclasses(child))]


@dataclasses.dataclass(frozen=True)
class Identity(Transform):
    """x -> x."""

    keeps_inputs = True

    def apply(self, inputs: Tensor) -> Tensor:
        return inputs

    def reversed(self, inputs: Tensor) -> Tensor:
        return inputs


@dataclasses.dataclass(frozen=True)
class Rescale(Transform):
    """x -> (x - mean) / std with tensors that broadcast against one example."""

    mean: Tensor
    std: Tensor

    keeps_inputs = True

    def apply(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean).div_(self.std)

    def reversed(self, inputs: Tensor) -> Tensor:
        return inputs * self.std + self.mean


@dataclasses.dataclass(frozen=True)
class Projection(Transform):
    """x -> (x - mean) matrix on flattened examples.

    Attributes:
        mean: (D,) float64.
        matrix: (D, D') float64.
        shape: shape of one transformed example, (D',) or that of the image.
    """

    mean: Tensor
    matrix: Tensor
    shape: tuple[int, ...]

    def apply(self, inputs: Tensor) -> Tensor:
        mean, matrix = self.mean.to(inputs.dtype), self.matrix.to(inputs.dtype)
        return ((inputs.flatten(1) - mean) @ matrix).reshape(-1, *self.shape)


class Preprocessing(ABC):
    """A preprocessing before it has seen data.

    Attributes:
        keeps_shape: whether an example has as many inputs afterwards as before, whatever the training split.
    """

    keeps_shape: ClassVar[bool] = False

    @abstractmethod
    def fit(self, inputs: Tensor | Streamed) -> Transform:
        """The transform fitted to training inputs, (n, D) or images (n, K, H, W), floating point.

        Inputs beyond the memory are `Streamed`: `nnlab.streaming.pieces` goes through them, `inputs[rows]` takes some.

        Raises:
            UserError: the options do not fit the inputs.
        """
