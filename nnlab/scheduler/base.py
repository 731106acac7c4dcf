"""What every scheduler provides: the factor by which the learning rate is multiplied at time t, as a formula."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.validation import check, check_choice


class Scheduler(ABC):
    """A learning-rate schedule alpha(t) = alpha_0 * factor(t).

    Time t counts epochs from 0 (or steps, with `unit: step`); T is the number of them in the whole run.

    Args:
        unit: `epoch`: the rate changes between epochs, as in the lecture; `step`: after every step, where t still
            counts in steps.
        warmup: during the first `warmup` units the factor rises linearly to the schedule's own first value, which
            then starts; 0 turns it off. [0, inf)
    """

    depends_on_total: ClassVar[bool] = False  # whether factor(t) changes when the run gets longer

    def __init__(self, unit: Literal["epoch", "step"] = "epoch", warmup: float = 0) -> None:
        self.unit = check_choice("unit", unit, ("epoch", "step"))
        self.warmup = check("warmup", warmup, "[0, inf)")

    @abstractmethod
    def factor(self, t: Tensor, total: float) -> Tensor:
        """Factors at times t >= 0, float64 of any shape, for a run of `total` units (warm-up not counted)."""

    def table(self, steps: int, steps_per_epoch: int) -> Tensor:
        """Factors of all steps of a run, float64 (steps,)."""
        step = torch.arange(steps, dtype=torch.float64)
        per_unit = steps_per_epoch if self.unit == "epoch" else 1
        t = torch.floor(step / per_unit)
        total = math.ceil(steps / per_unit)
        factors = self.factor((t - self.warmup).clamp_min(0), max(total - self.warmup, 1))
        if self.warmup:
            rising = (step / per_unit + 1 / per_unit) / self.warmup
            factors = torch.where(step / per_unit < self.warmup, rising.clamp_max(1) * factors, factors)
        return factors
