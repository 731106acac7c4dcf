"""Curves made readable: averages along the first axis that use the past only, of the same shape as their input."""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.validation import check


def moving_average(values: Tensor, window: int) -> Tensor:
    """Mean of the last `window` values (of all so far, where they are fewer), (T, ...) -> (T, ...).

    A value that is not finite spoils the `window` means that contain it, and no others.

    >>> moving_average(torch.tensor([1.0, 3.0, 5.0, 7.0]), 2)
    tensor([1., 2., 4., 6.])
    """
    check("window", window, "[1, inf)")
    if not len(values):
        return values.clone()
    window = min(window, len(values))
    padding = values.new_zeros(window - 1, *values.shape[1:])
    sums = torch.cat([padding, values]).unfold(0, window, 1).sum(-1)
    count = torch.arange(1, len(values) + 1, dtype=values.dtype, device=values.device).clamp(max=window)
    return sums / count.reshape(-1, *[1] * (values.ndim - 1))
