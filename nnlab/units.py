"""The units of regression targets: those that networks are trained in, t, and those of the data, y.

y = t std + mean,    or    y = exp(t std + mean)    where networks learn the logarithm
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

TargetTransform = Literal["none", "log"]
TRANSFORMS = get_args(TargetTransform)


@dataclasses.dataclass(frozen=True)
class Units:
    """From targets as networks are trained on them to targets in the units of the data, and back.

    Attributes:
        mean, std: (C,), or (M, 1, C) where members have their own.
        logarithm: whether networks learn the logarithm.
    """

    mean: Tensor
    std: Tensor
    logarithm: bool = False

    def restored(self, targets: Tensor) -> Tensor:
        """Targets, or predictions of them, (..., N, C) in the units of the data.

        The exponential of a mean of logarithms is about the median of the target, and no mean.

        >>> Units(torch.tensor([1.0]), torch.tensor([2.0])).restored(torch.tensor([[3.0]])).item()
        7.0
        """
        values = targets * self.std + self.mean
        return values.exp() if self.logarithm else values

    def reduced(self, targets: Tensor) -> Tensor:
        """Targets (..., N, C) in the units of the data as networks are trained on them."""
        return ((targets.log() if self.logarithm else targets) - self.mean) / self.std

    def rows(self, members: slice) -> Units:
        """Those of some of the members."""
        return self if self.std.dim() < 3 else dataclasses.replace(self, mean=self.mean[members], std=self.std[members])

    def to(self, device: torch.device, dtype: torch.dtype) -> Units:
        """On a device, in a dtype."""
        return dataclasses.replace(self, mean=self.mean.to(device, dtype), std=self.std.to(device, dtype))


def stacked_units(own: Sequence[Units | None]) -> Units | None:
    """The units of members that all learn the logarithm or none: (C,) where they share theirs, else (M, 1, C)."""
    if all(units is own[0] for units in own):
        return own[0]
    like = next(units for units in own if units is not None)
    plain = Units(torch.zeros_like(like.mean), torch.ones_like(like.std))
    every = [plain if units is None else units for units in own]
    mean, std = (torch.stack([getattr(each, name) for each in every]).unsqueeze(1) for name in ("mean", "std"))
    return Units(mean, std, like.logarithm)
