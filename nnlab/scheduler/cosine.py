"""Cosine decay: factor(t) = 1/2 (1 + cos(pi t / T)), from 1 towards 0 (or `minimum`) at the end of the run.

Source: Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", arXiv:1608.03983, eq. (5)
without restarts.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.scheduler.base import Scheduler, half_cosine
from nnlab.validation import check


class Cosine(Scheduler):
    """Slow at first, fast in the middle, slow again towards the end.

    The factor reaches `minimum` at t = T, one unit after the last; in short runs `unit: step` comes closer.

    Args:
        minimum: the factor at t = T, [0, 1].
        unit: what t, T and `warmup` count, `epoch` or `step`.
        warmup: length of the linear rise at the start, [0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("minimum", "unit", "warmup")
    depends_on_total: ClassVar[bool] = True

    def __init__(self, minimum: float = 0, unit: Literal["epoch", "step"] = "epoch", warmup: float = 0) -> None:
        super().__init__(unit, warmup)
        self.minimum = check("minimum", minimum, "[0, 1]")

    def factor(self, t: Tensor, total: int) -> Tensor:
        return self.minimum + (1 - self.minimum) * half_cosine(t.to(torch.float64) / total)
