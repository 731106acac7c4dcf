"""What every augmentation does: new training inputs from old, as a pure function of the member's key.

Inputs are batches (M, N, K, H, W) of images (or (M, N, D) of vectors, where an augmentation allows them), already
preprocessed and on the device. Random numbers come from `key` (M,), so each member of a population gets exactly what
it would get alone. Strengths may be numbers or columns (M, 1).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from nnlab.errors import UserError
from nnlab.members import Hyper
from nnlab.randomness import fold, uniform

FILLS = ("background", "edge", "zero")


class Augmentation(ABC):
    """Base of all augmentations.

    Attributes:
        by_example: whether what an example becomes follows from its position in the minibatch, and from no other
            example: a part of a minibatch, of which `first` is the position of its first example, may then come alone.
    """

    per_member: ClassVar[tuple[str, ...]] = ()
    needs_images: ClassVar[bool] = True
    by_example: ClassVar[bool] = False
    first: int = 0

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "__call__" in vars(cls) and "by_example" not in vars(cls):
            cls.by_example = False  # what a base class says of its own way is not said of another

    def uniform(self, key: Tensor, inputs: Tensor, *shape: int) -> Tensor:
        """Uniform numbers (M, N, *shape) in [0, 1) for each example of inputs (M, N, ...), by its position."""
        first = self.first * math.prod(shape)
        return uniform(key, inputs.shape[1], *shape, dtype=inputs.dtype, first=first)

    @abstractmethod
    def __call__(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Augmented inputs, of the same shape and dtype; `key` is (M,) int64, as for `nnlab.randomness.uniform`."""

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse examples of a shape that this augmentation cannot take.

        Raises:
            UserError: it needs images (K, H, W), but they are vectors.
        """
        if self.needs_images and len(shape) != 3:
            raise UserError(
                f"augmentation {type(self).__name__} needs images (K, H, W), but the inputs have shape {shape}; "
                "leave it out, or choose a `data/preprocessing` that keeps images, such as standardize"
            )


def augment(inputs: Tensor, augmentations: Sequence[Augmentation], key: Tensor) -> Tensor:
    """All augmentations in their order, each with its own random numbers; arguments as in `Augmentation`."""
    for position, augmentation in enumerate(augmentations):
        inputs = augmentation(inputs, fold(key, position))
    return inputs


def broadcast(value: Hyper, ndim: int) -> Hyper:
    """A strength that multiplies tensors (M, N, ...) of `ndim` axes: a number as it is, a column (M, 1, ..., 1)."""
    return value.reshape(-1, *[1] * (ndim - 1)) if isinstance(value, Tensor) else value


def warp(inputs: Tensor, x: Tensor, y: Tensor, fill: str) -> Tensor:
    """Images whose pixel (i, j) is looked up at (y[i, j], x[i, j]) of the input, bilinearly.

    Args:
        inputs: (M, N, K, H, W).
        x, y: coordinates in pixels, (M, N, H, W); 0 is the centre of the first pixel.
        fill: what lies outside: `background`, the smallest value of the image's channel (black, whatever the
            preprocessing made of it); `edge`, the nearest pixel; `zero`.
    """
    height, width = inputs.shape[-2:]
    grid = [(2 * each).add_(1).div_(size).sub_(1) for each, size in ((x, width), (y, height))]
    low = inputs.amin((-2, -1), keepdim=True) if fill == "background" else None
    images = inputs if low is None else inputs - low
    moved = F.grid_sample(
        images.flatten(0, 1),
        torch.stack(grid, -1).flatten(0, 1),
        padding_mode="border" if fill == "edge" else "zeros",
        align_corners=False,
    ).reshape(inputs.shape)
    return moved if low is None else moved + low
