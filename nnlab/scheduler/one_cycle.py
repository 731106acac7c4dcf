"""One-cycle policy: up from a low rate to the highest, then down to far below the first.

    factor: 1/div at t = 0  ->  1 at t = rise T - 1  ->  1/(div final_div) at t = T - 1

`optimizer.learning_rate` is the highest rate. Smith also moves the momentum the other way; a scheduler here moves the
rate only.

Source: Smith 2018, "A disciplined approach to neural network hyper-parameters", arXiv:1803.09820, section 4.1, in the
two phases and with the defaults of fastai and of torch's `OneCycleLR`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.scheduler.base import Scheduler, half_cosine
from nnlab.validation import check, check_choice


class OneCycle(Scheduler):
    """Super-convergence: large rates in the middle regularize, small ones at the end settle.

    Args:
        rise: share of the run in which the rate rises, (0, 1).
        div: the first rate is the highest divided by this, [1, inf).
        final_div: the last rate is the first divided by this, [1, inf).
        shape: of rise and fall, `cosine` or `linear`.
        unit: what t, T and `warmup` count, `epoch` or `step`.
        warmup: length of a further linear rise at the start, up to the first rate, [0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("rise", "div", "final_div", "shape", "unit", "warmup")
    depends_on_total: ClassVar[bool] = True

    def __init__(
        self,
        rise: float = 0.3,
        div: float = 25,
        final_div: float = 1e4,
        shape: Literal["cosine", "linear"] = "cosine",
        unit: Literal["epoch", "step"] = "step",
        warmup: float = 0,
    ) -> None:
        super().__init__(unit, warmup)
        self.rise = check("rise", rise, "(0, 1)")
        self.div = check("div", div, "[1, inf)")
        self.final_div = check("final_div", final_div, "[1, inf)")
        self.shape = check_choice("shape", shape, ("cosine", "linear"))

    def factor(self, t: Tensor, total: int) -> Tensor:
        t = t.to(torch.float64)
        peak = max(self.rise * total - 1, 0.0)
        first, last = 1 / self.div, 1 / (self.div * self.final_div)
        falling = self._between(1.0, last, (t - peak) / max(total - 1 - peak, 1.0))
        if peak == 0:  # a run too short to rise in starts at the top
            return falling
        return torch.where(t <= peak, self._between(first, 1.0, t / peak), falling)

    def _between(self, begin: float, end: float, progress: Tensor) -> Tensor:
        """From `begin` at progress 0 to `end` at 1, and no further."""
        progress = progress.clamp(0, 1)
        share = half_cosine(progress) if self.shape == "cosine" else 1 - progress
        return end + (begin - end) * share
