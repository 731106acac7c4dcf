"""Inverse-square-root decay: factor(t) = 1 / sqrt(t + 1), t from 0; the lecture writes 1 / sqrt(t) with t from 1.

Source: Kingma and Ba 2015, arXiv:1412.6980, section 4 (the rate under which regret is bounded).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nnlab.scheduler.base import Scheduler


class InverseSqrt(Scheduler):
    """Falls fast at first and never ends.

    Args:
        unit: what t and `warmup` count, `epoch` or `step`.
        warmup: length of the linear rise at the start, [0, inf).
    """

    def __init__(self, unit: Literal["epoch", "step"] = "epoch", warmup: float = 0) -> None:
        super().__init__(unit, warmup)

    def factor(self, t: Tensor, total: int) -> Tensor:
        return (t.to(torch.float64) + 1).rsqrt()
