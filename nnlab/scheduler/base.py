"""What every scheduler provides: the factor by which the learning rate is multiplied at time t, as a formula."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.validation import check, check_choice


class Scheduler(ABC):
    """A learning-rate schedule alpha(t) = alpha_0 * factor(t).

    Time t counts whole epochs from 0 (or steps, with `unit: step`); T is the number of them in the whole run. Members
    of a population may differ in any argument, because the engine asks each for its own table.

    Args:
        unit: `epoch`: the rate changes between epochs, as in the lecture; `step`: after every step, where t counts
            steps.
        warmup: number of units, a fraction if need be, during which the factor rises from step to step in a straight
            line, from near 0 to the schedule's own first value; t and T count from then on. 0 turns it off. [0, inf)
    """

    per_member: ClassVar[tuple[str, ...]] = ("unit", "warmup")
    depends_on_total: ClassVar[bool] = False  # whether factor(t) changes when the run gets longer

    def __init__(self, unit: Literal["epoch", "step"] = "epoch", warmup: float = 0) -> None:
        self.unit = check_choice("unit", unit, ("epoch", "step"))
        self.warmup = check("warmup", warmup, "[0, inf)")

    @abstractmethod
    def factor(self, t: Tensor, total: int) -> Tensor:
        """Factors in [0, 1] at times t = 0 ... total - 1 (int64, any shape) of a run of `total` units, in float64.

        Warm-up is not counted, neither in t nor in `total`, which is at least 1.
        """

    def table(self, steps: int, steps_per_epoch: int, first: int = 0, end: int | None = None) -> Tensor:
        """Factors of the steps `first` to `end` - 1 of a run of `steps`, float64; all by default.

        Steps after the run's last have its factor.
        """
        warm = self.warmup_steps(steps_per_epoch)
        step = torch.arange(first, steps if end is None else end).clamp_max(steps - 1)
        t = (step - warm).clamp_min(0) // self._steps_per_unit(steps_per_epoch)
        factors = self.factor(t, self.total(steps, steps_per_epoch))
        if warm:
            rising = (step + 1).to(torch.float64) / warm  # the last step of warm-up is at 1
            factors = factors * rising.clamp_max(1)
        return factors

    def warmup_steps(self, steps_per_epoch: int) -> int:
        """Length of the warm-up in whole steps, so that no rounding of times can move a boundary."""
        return round(self.warmup * self._steps_per_unit(steps_per_epoch))

    def total(self, steps: int, steps_per_epoch: int) -> int:
        """T, the number of units after warm-up; one that the run ends within counts as whole."""
        after = steps - self.warmup_steps(steps_per_epoch)
        return max(-(-after // self._steps_per_unit(steps_per_epoch)), 1)

    def _steps_per_unit(self, steps_per_epoch: int) -> int:
        return steps_per_epoch if self.unit == "epoch" else 1


def half_cosine(progress: Tensor) -> Tensor:
    """(1 + cos(pi progress)) / 2, which falls from 1 at progress 0 to 0 at 1."""
    return (1 + torch.cos(torch.pi * progress)) / 2
