"""A learning rate that stays as it is: factor(t) = 1 (after warm-up, if there is one)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nnlab.scheduler.base import Scheduler


class Constant(Scheduler):
    """No decay.

    Args:
        unit: what `warmup` counts, `epoch` or `step`.
        warmup: length of the linear rise at the start, [0, inf).
    """

    def __init__(self, unit: Literal["epoch", "step"] = "epoch", warmup: float = 0) -> None:
        super().__init__(unit, warmup)

    def factor(self, t: Tensor, total: int) -> Tensor:
        return torch.ones(t.shape, dtype=torch.float64)
