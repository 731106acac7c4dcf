"""Gaussian noise on the inputs, x' = x + std * e with e ~ N(0, 1).

Source: Bishop 1995, "Training with noise is equivalent to Tikhonov regularization".
"""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from nnlab.data.augmentation.base import Augmentation, broadcast
from nnlab.members import Hyper
from nnlab.randomness import normal
from nnlab.validation import check


class GaussianNoise(Augmentation):
    """Adds noise to inputs of any shape.

    Args:
        std: standard deviation in units of the preprocessed inputs (1 is that of standardized ones), [0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("std",)
    by_example: ClassVar[bool] = True
    needs_images: ClassVar[bool] = False

    def __init__(self, std: float = 0.1) -> None:
        self.std: Hyper = check("std", std, "[0, inf)")

    def __call__(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Noisy inputs (M, N, ...)."""
        first = self.first * math.prod(inputs.shape[2:])
        noise = normal(key, *inputs.shape[1:], dtype=inputs.dtype, first=first)
        return inputs + broadcast(self.std, inputs.ndim) * noise
