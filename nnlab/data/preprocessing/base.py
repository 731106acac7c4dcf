"""What every preprocessing does: `fit` on the training inputs, and give a transform to apply to any split."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

from torch import Tensor


class Transform(ABC):
    """A fitted preprocessing."""

    @abstractmethod
    def apply(self, inputs: Tensor) -> Tensor:
        """Inputs (n, ...) as the network sees them; dtype as given, rows as alone."""


@dataclasses.dataclass(frozen=True)
class Identity(Transform):
    """x -> x."""

    def apply(self, inputs: Tensor) -> Tensor:
        return inputs


@dataclasses.dataclass(frozen=True)
class Rescale(Transform):
    """x -> (x - mean) / std with tensors that broadcast against one example."""

    mean: Tensor
    std: Tensor

    def apply(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean).div_(self.std)


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
    """A preprocessing before it has seen data."""

    @abstractmethod
    def fit(self, inputs: Tensor) -> Transform:
        """The transform fitted to training inputs, (n, D) or images (n, K, H, W), floating point.

        Raises:
            UserError: the options do not fit the inputs.
        """
