"""Elastic distortion: every pixel is displaced by alpha * (G_sigma convolved with uniform noise in [-1, 1]).

Source: Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural networks applied to visual
document analysis", section 2; their values for MNIST are sigma = 4 and alpha = 34.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.data.augmentation.base import FILLS, Augmentation, broadcast, warp
from nnlab.members import Hyper
from nnlab.validation import check, check_choice

_LARGEST_SIGMA = 32


class Elastic(Augmentation):
    """Bends images like handwriting on rubber.

    Args:
        alpha: strength of the displacement; its standard deviation is about 0.16 alpha / sigma pixels. [0, inf)
        sigma: smoothness, the standard deviation of the Gaussian in pixels, (0, 32].
        fill: what comes in from outside: `background`, the smallest value of the image's channel (inputs are already
            preprocessed, so black is no longer 0); `edge`, the nearest pixel; `zero`.
    """

    per_member: ClassVar[tuple[str, ...]] = ("alpha", "sigma")
    by_example: ClassVar[bool] = True

    def __init__(
        self, alpha: float = 34.0, sigma: float = 4.0, fill: Literal["background", "edge", "zero"] = "background"
    ) -> None:
        self.alpha: Hyper = check("alpha", alpha, "[0, inf)")
        self.sigma: Hyper = check("sigma", sigma, f"(0, {_LARGEST_SIGMA}]")
        self.fill = check_choice("fill", fill, FILLS)

    def __call__(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Distorted images (M, N, K, H, W)."""
        height, width = inputs.shape[-2:]
        noise = self.uniform(key, inputs, 2, height, width).mul_(2).sub_(1)
        sigma = broadcast(self.sigma, 5)
        vertical, horizontal = (gaussian_matrix(size, sigma, inputs) for size in (height, width))
        field = broadcast(self.alpha, 5) * (vertical @ noise @ horizontal)
        rows = torch.arange(height, device=inputs.device, dtype=inputs.dtype).unsqueeze(1)
        columns = torch.arange(width, device=inputs.device, dtype=inputs.dtype)
        return warp(inputs, columns + field[:, :, 0], rows + field[:, :, 1], self.fill)


def gaussian_matrix(size: int, sigma: Hyper, like: Tensor) -> Tensor:
    """The convolution with a Gaussian, zero beyond the ends, as a symmetric matrix (..., size, size).

    A matrix product smooths a population with one sigma for each member in one call, without a window to cut off.
    """
    position = torch.arange(size, device=like.device, dtype=like.dtype)
    offsets = torch.arange(-8 * _LARGEST_SIGMA, 8 * _LARGEST_SIGMA + 1, device=like.device, dtype=like.dtype)
    distance = position.unsqueeze(1) - position
    total = torch.exp(-0.5 * (offsets / sigma).square()).sum(-1, keepdim=True)
    return torch.exp(-0.5 * (distance / sigma).square()) / total
