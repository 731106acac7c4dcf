"""Random mirror image, left to right, with probability p; for objects, not for letters or digits.

Source: Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional neural networks", 4.1.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nnlab.data.augmentation.base import Augmentation
from nnlab.members import Hyper
from nnlab.randomness import uniform
from nnlab.validation import check


class Flip(Augmentation):
    """Mirrors images horizontally.

    Args:
        p: probability, [0, 1].
    """

    per_member: ClassVar[tuple[str, ...]] = ("p",)
    by_example: ClassVar[bool] = True

    def __init__(self, p: float = 0.5) -> None:
        self.p: Hyper = check("p", p, "[0, 1]")

    def __call__(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Images (M, N, K, H, W), some of them mirrored."""
        mirrored = uniform(key, inputs.shape[1], first=self.first) < self.p
        return torch.where(mirrored[..., None, None, None], inputs.flip(-1), inputs)
