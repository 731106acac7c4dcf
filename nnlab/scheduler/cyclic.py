"""Cyclic cosine decay with warm restarts, at the ends of whose cycles snapshot ensembles take their members.

    factor(t) = 1/2 (1 + cos(pi (t - a_c) / (a_{c+1} - a_c))) in cycle c = 0 ... M - 1, which begins at
    a_c = ceil(c T / M)

Source: Huang et al. 2017, "Snapshot ensembles: train 1, get M for free", arXiv:1704.00109, eq. (2), where t counts
steps. There every cycle has ceil(T / M) steps, which leaves fewer than M cycles for some T; here there are always M,
equal up to one unit, and the same where M divides T.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.scheduler.base import Scheduler, half_cosine
from nnlab.validation import check


class Cyclic(Scheduler):
    """The cosine again and again.

    Args:
        cycles: their number M in the whole run, [1, inf); a run of fewer units has as many cycles as units.
        minimum: the factor that every cycle falls towards, [0, 1].
        unit: what t, T and `warmup` count, `epoch` or `step`.
        warmup: length of the linear rise at the start, [0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("cycles", "minimum", "unit", "warmup")
    depends_on_total: ClassVar[bool] = True

    def __init__(
        self, cycles: int = 5, minimum: float = 0, unit: Literal["epoch", "step"] = "step", warmup: float = 0
    ) -> None:
        super().__init__(unit, warmup)
        self.cycles = check("cycles", cycles, "[1, inf)")
        self.minimum = check("minimum", minimum, "[0, 1]")

    def factor(self, t: Tensor, total: int) -> Tensor:
        begins = self._begins(total)
        cycle = torch.bucketize(t, begins, right=True) - 1
        progress = (t - begins[cycle]).to(torch.float64) / (begins[cycle + 1] - begins[cycle])
        return self.minimum + (1 - self.minimum) * half_cosine(progress)

    def cycle_ends(self, steps: int, steps_per_epoch: int) -> list[int]:
        """The last step of each cycle, counted from 0, in a run of `steps`; the last one is the run's.

        >>> Cyclic(cycles=3).cycle_ends(steps=30, steps_per_epoch=10)
        [9, 19, 29]
        """
        warm, per_unit = self.warmup_steps(steps_per_epoch), self._steps_per_unit(steps_per_epoch)
        begins = self._begins(self.total(steps, steps_per_epoch))
        return [min(warm + int(begin) * per_unit, steps) - 1 for begin in begins[1:]]

    def _begins(self, total: int) -> Tensor:
        """Times at which cycles begin, int64 (cycles + 1,), with T as the last."""
        cycles = min(self.cycles, total)
        return -(torch.arange(cycles + 1) * -total // cycles)
