"""Curves made readable: averages along the first axis that use the past only, each of the same shape as its input."""

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


def exponential_moving_average(values: Tensor, decay: float) -> Tensor:
    """Weighted mean of all values so far, weights decay^age, (T, ...) -> (T, ...).

    m_t = decay m_{t-1} + (1 - decay) v_t from m_0 = 0, divided by 1 - decay^t, the bias correction of Kingma and Ba
    2015 (arXiv:1412.6980, section 3), so that the first average is the first value. From a value that is not finite
    onwards nothing is.

    Args:
        values: (T, ...), floating point.
        decay: in [0, 1); 1 / (1 - decay) is about the number of values averaged.

    >>> exponential_moving_average(torch.tensor([2.0, 2.0, 5.0]), 0.5)
    tensor([2.0000, 2.0000, 3.7143])
    """
    check("decay", decay, "[0, 1)")
    averages = torch.empty_like(values)
    running = torch.zeros_like(values[0]) if len(values) else values
    for step, value in enumerate(values):
        running = torch.lerp(running, value, 1 - decay)
        averages[step] = running / (1 - decay ** (step + 1))
    return averages
