"""Step decay: factor(t) = decay^n, with n the number of milestones reached, t >= milestone.

The lecture's is x 0.1 after epochs 30, 60 and 90, as He et al. 2015 (arXiv:1512.03385, section 3.4) trained ResNets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.scheduler.base import Scheduler
from nnlab.validation import check


class Step(Scheduler):
    """The rate drops at milestones.

    Args:
        milestones: the times of the drops, rising whole numbers in (0, inf): 30 is after 30 units.
        decay: what the rate is multiplied by at each, (0, 1].
        unit: what t, milestones and `warmup` count, `epoch` or `step`.
        warmup: length of the linear rise at the start, [0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("milestones", "decay", "unit", "warmup")

    def __init__(
        self,
        milestones: Sequence[int] = (30, 60, 90),
        decay: float = 0.1,
        unit: Literal["epoch", "step"] = "epoch",
        warmup: float = 0,
    ) -> None:
        super().__init__(unit, warmup)
        self.milestones = list(milestones)
        if self.milestones != sorted({milestone for milestone in milestones if milestone > 0}):
            raise UserError(f"`milestones` must be rising numbers greater than 0, got {self.milestones}")
        self.decay = check("decay", decay, "(0, 1]")

    def factor(self, t: Tensor, total: int) -> Tensor:
        reached = torch.bucketize(t, torch.tensor(self.milestones, dtype=t.dtype), right=True)
        return self.decay ** reached.to(torch.float64)
