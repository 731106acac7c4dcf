"""Cosine of a logarithm: cycles that double in length, each from 0 up to the full rate and back to 0.

    factor(t) = 1/2 (1 - cos(2 pi log2(1 + (2^cycles - 1) (t + 1/2) / T)))

Source: Holzmueller et al. 2024, "Better by default: strong pre-tuned MLPs and boosted trees on tabular data",
arXiv:2407.04491, section 3 and appendix A (coslog_4). Each minimum is a chance for the best epoch to be taken.
There t is a moment; here it is the middle of a unit, so that none passes with the rate 0 that the curve starts with.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.scheduler.base import Scheduler
from nnlab.validation import check


class CosLog(Scheduler):
    """With 4 cycles the rate is 0 at 0, 1/15, 3/15, 7/15 of the run and at its end.

    Args:
        cycles: how often the rate comes back to 0, [1, inf).
        unit: what t, T and `warmup` count, `step` or `epoch`.
        warmup: length of a further linear rise at the start, [0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("cycles", "unit", "warmup")
    depends_on_total: ClassVar[bool] = True

    def __init__(self, cycles: int = 4, unit: Literal["epoch", "step"] = "step", warmup: float = 0) -> None:
        super().__init__(unit, warmup)
        self.cycles = check("cycles", cycles, "[1, inf)")

    def factor(self, t: Tensor, total: int) -> Tensor:
        progress = (t.to(torch.float64) + 0.5) / total
        return 0.5 * (1 - torch.cos(2 * torch.pi * torch.log2(1 + (2.0**self.cycles - 1) * progress)))
