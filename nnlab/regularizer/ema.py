"""An exponential moving average of the weights, which is evaluated in place of the weights themselves.

    a_1 = theta_1,    a_k = beta a_{k-1} + (1 - beta) theta_k    after every step k

Training goes on with theta; validation, the choice of the best weights, and the result are those of the average. The
running statistics of batch norm are those of theta.

Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30; in
this form as `torch.optim.swa_utils.get_ema_avg_fn`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nnlab.members import Hyper
from nnlab.regularizer.base import Regularizer
from nnlab.validation import check


class WeightAverage(Regularizer):
    """Evaluates a moving average of the weights.

    Args:
        decay: beta, [0, 1); an average over about 1 / (1 - beta) steps.
    """

    per_member: ClassVar[tuple[str, ...]] = ("decay",)

    def __init__(self, decay: float = 0.99) -> None:
        self.decay: Hyper = check("decay", decay, "[0, 1)")

    def update(self, average: Tensor, theta: Tensor, k: int | Tensor) -> None:
        """Take theta (M, P) after step k = 1, 2, ... into the average (M, P), in place."""
        share: Hyper = 1 - self.decay
        if isinstance(k, Tensor):  # a step that is recorded
            share = torch.where(k == 1, torch.ones_like(k), share)
        elif k == 1:
            share = 1.0
        average.lerp_(theta, share)
