"""Random affine map about the centre: p' = s R(angle) [[1, tan(shear)], [0, 1]] p + t, looked up bilinearly.

Source: Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural networks applied to visual
document analysis", section 2 (affine distortions).
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.data.augmentation.base import FILLS, Augmentation, broadcast, warp
from nnlab.members import Hyper
from nnlab.validation import check, check_choice


class Affine(Augmentation):
    """Rotates, scales, shears and translates images; every strength is the half width of a uniform distribution.

    Args:
        degrees: largest rotation, [0, 180].
        scale: sizes are uniform in 1 - scale ... 1 + scale, [0, 1).
        shear: largest shear angle in degrees, [0, 80].
        translate: largest translation as a fraction of the height and of the width, [0, 1].
        fill: what comes in from outside: `background`, the smallest value of the image's channel (inputs are already
            preprocessed, so black is no longer 0); `edge`, the nearest pixel; `zero`.
    """

    per_member: ClassVar[tuple[str, ...]] = ("degrees", "scale", "shear", "translate")
    by_example: ClassVar[bool] = True

    def __init__(
        self,
        degrees: float = 10.0,
        scale: float = 0.1,
        shear: float = 0.0,
        translate: float = 0.1,
        fill: Literal["background", "edge", "zero"] = "background",
    ) -> None:
        self.degrees: Hyper = check("degrees", degrees, "[0, 180]")
        self.scale: Hyper = check("scale", scale, "[0, 1)")
        self.shear: Hyper = check("shear", shear, "[0, 80]")
        self.translate: Hyper = check("translate", translate, "[0, 1]")
        self.fill = check_choice("fill", fill, FILLS)

    def __call__(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Distorted images (M, N, K, H, W)."""
        height, width = inputs.shape[-2:]
        draw = 2 * self.uniform(key, inputs, 5, 1, 1) - 1
        angle = math.pi / 180 * broadcast(self.degrees, 4) * draw[:, :, 0]
        size = 1 + broadcast(self.scale, 4) * draw[:, :, 1]
        slope = torch.tan(math.pi / 180 * broadcast(self.shear, 4) * draw[:, :, 2])
        down = height * broadcast(self.translate, 4) * draw[:, :, 3]
        right = width * broadcast(self.translate, 4) * draw[:, :, 4]

        # The inverse map: where in the input does each pixel of the output come from?
        centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
        rows = torch.arange(height, device=inputs.device, dtype=inputs.dtype).unsqueeze(1)
        y = rows - centre_y - down
        x = torch.arange(width, device=inputs.device, dtype=inputs.dtype) - centre_x - right
        cos, sin = angle.cos() / size, angle.sin() / size
        x, y = cos * x + sin * y, cos * y - sin * x
        return warp(inputs, x - slope * y + centre_x, y + centre_y, self.fill)
