"""The units of regression targets: those that networks are trained in, t, and those of the data, y.

y = f(t std + mean)    f(x) = x, or where networks learn the logarithm exp(x), or that of y + 1 max(exp(x) - 1, 0)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy.typing as npt
import torch
from torch import Tensor

TargetTransform = Literal["none", "log", "log1p"]
TRANSFORMS = get_args(TargetTransform)
# By transform, what targets have to be.
DOMAINS = {"none": "numbers", "log": "above 0", "log1p": "0 or above"}


def transformed(values: Tensor, transform: TargetTransform) -> Tensor:
    """Targets, or predictions of them, as `transform` has them: their logarithm, or that of one more."""
    return values.log() if transform == "log" else values.log1p() if transform == "log1p" else values


def inverse(values: Tensor, transform: TargetTransform) -> Tensor:
    """What `transformed` was given; a prediction is not below 0 where no target is.

    >>> inverse(transformed(torch.tensor([0.0, 1.0]), "log1p"), "log1p").tolist()
    [0.0, 1.0]
    """
    return values.exp() if transform == "log" else values.expm1().clamp(min=0) if transform == "log1p" else values


def numbers_transformed(values: npt.NDArray[Any], transform: TargetTransform) -> npt.NDArray[Any]:
    """As `transformed`, of an array."""
    found: npt.NDArray[Any] = transformed(torch.from_numpy(values), transform).numpy()
    return found


def numbers_inverse(values: npt.NDArray[Any], transform: TargetTransform) -> npt.NDArray[Any]:
    """As `inverse`, of an array."""
    found: npt.NDArray[Any] = inverse(torch.from_numpy(values), transform).numpy()
    return found


def fits(values: Tensor, transform: TargetTransform) -> Tensor:
    """Whether each target has such a transform."""
    return values > 0 if transform == "log" else values >= 0 if transform == "log1p" else torch.ones_like(values).bool()


@dataclasses.dataclass(frozen=True)
class Units:
    """From targets as networks are trained on them to targets in the units of the data, and back.

    Attributes:
        mean, std: (C,), or (M, 1, C) where members have their own.
        transform: of targets that networks learn.
    """

    mean: Tensor
    std: Tensor
    transform: TargetTransform = "none"

    @property
    def is_linear(self) -> bool:
        """Whether a step of a target is as large everywhere in the units of the data."""
        return self.transform == "none"

    def restored(self, targets: Tensor) -> Tensor:
        """Targets, or predictions of them, (..., N, C) in the units of the data.

        The exponential of a mean of logarithms is about the median of the target, and no mean.

        >>> Units(torch.tensor([1.0]), torch.tensor([2.0])).restored(torch.tensor([[3.0]])).item()
        7.0
        """
        return inverse(targets * self.std + self.mean, self.transform)

    def reduced(self, targets: Tensor) -> Tensor:
        """Targets (..., N, C) in the units of the data as networks are trained on them."""
        return (transformed(targets, self.transform) - self.mean) / self.std

    def rows(self, members: slice) -> Units:
        """Those of some of the members."""
        return self if self.std.dim() < 3 else dataclasses.replace(self, mean=self.mean[members], std=self.std[members])

    def to(self, device: torch.device, dtype: torch.dtype) -> Units:
        """On a device, in a dtype."""
        return dataclasses.replace(self, mean=self.mean.to(device, dtype), std=self.std.to(device, dtype))


def stacked_units(own: Sequence[Units | None]) -> Units | None:
    """The units of members that all learn the same transform: (C,) where they share theirs, else (M, 1, C)."""
    if all(units is own[0] for units in own):
        return own[0]
    like = next(units for units in own if units is not None)
    plain = Units(torch.zeros_like(like.mean), torch.ones_like(like.std))
    every = [plain if units is None else units for units in own]
    mean, std = (torch.stack([getattr(each, name) for each in every]).unsqueeze(1) for name in ("mean", "std"))
    return Units(mean, std, like.transform)
