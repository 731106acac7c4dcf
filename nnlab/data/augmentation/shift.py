"""Random translation by whole pixels, x'[i, j] = x[i - a, j - b] with a, b uniform in -pixels ... pixels.

Source: the shifts of LeCun et al. 1998, "Gradient-based learning applied to document recognition", section III.C.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.data.augmentation.base import FILLS, Augmentation, broadcast
from nnlab.members import Hyper
from nnlab.randomness import uniform
from nnlab.validation import check, check_choice


class Shift(Augmentation):
    """Moves each image up, down, left or right.

    Args:
        pixels: the largest shift in each direction, [0, inf).
        fill: what comes in from outside: `background`, the smallest value of the image's channel (inputs are already
            preprocessed, so black is no longer 0); `edge`, the nearest pixel; `zero`.
    """

    per_member: ClassVar[tuple[str, ...]] = ("pixels",)
    by_example: ClassVar[bool] = True

    def __init__(self, pixels: int = 1, fill: Literal["background", "edge", "zero"] = "background") -> None:
        self.pixels: Hyper = check("pixels", pixels, "[0, inf)")
        self.fill = check_choice("fill", fill, FILLS)

    def __call__(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Shifted images (M, N, K, H, W)."""
        pixels = broadcast(self.pixels, 3)
        offsets = torch.floor(uniform(key, inputs.shape[1], 2, first=2 * self.first) * (2 * pixels + 1)) - pixels
        return move(inputs, offsets.long(), self.fill)


def move(inputs: Tensor, offsets: Tensor, fill: str) -> Tensor:
    """Images (M, N, K, H, W) moved down and right by `offsets` (M, N, 2) whole pixels, as (down, right)."""
    height, width = inputs.shape[-2:]
    rows = torch.arange(height, device=inputs.device) - offsets[..., :1]
    columns = torch.arange(width, device=inputs.device) - offsets[..., 1:]
    nearest = rows.clamp(0, height - 1).unsqueeze(-1) * width + columns.clamp(0, width - 1).unsqueeze(-2)
    index = nearest.flatten(2).unsqueeze(2).expand(-1, -1, inputs.shape[2], -1)
    moved = inputs.flatten(3).gather(3, index).reshape(inputs.shape)
    if fill == "edge":
        return moved
    inside = ((rows >= 0) & (rows < height)).unsqueeze(-1) & ((columns >= 0) & (columns < width)).unsqueeze(-2)
    outside = inputs.amin((-2, -1), keepdim=True) if fill == "background" else inputs.new_zeros(())
    return torch.where(inside.unsqueeze(2), moved, outside)
