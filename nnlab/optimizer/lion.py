"""Lion: the sign of an average of gradients, so that every parameter moves by the rate.

    theta_{k+1} = theta_k - eta sign(beta_1 m_k + (1 - beta_1) g_k),    m_{k+1} = beta_2 m_k + (1 - beta_2) g_k

Weights decay by eta lambda first. Steps are as long as the rate, so that it is about a tenth of Adam's.

Source: Chen et al. 2023, "Symbolic discovery of optimization algorithms", arXiv:2302.06675, Algorithm 2.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import average, descend
from nnlab.optimizer.base import FirstOrder, State, zeros
from nnlab.validation import check


class Lion(FirstOrder):
    """Sign descent with two averages.

    Args:
        learning_rate: the rate eta, (0, inf).
        betas: (beta_1, beta_2), how much of the average counts in the step and in the next average, each [0, 1).
        weight_decay: lambda, [0, inf); weights lose the share eta lambda in every step.
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate", "beta1", "beta2", "weight_decay")

    def __init__(
        self,
        learning_rate: float = 0.0001,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate)
        if len(betas) != 2:
            raise UserError(f"`betas` must be two numbers, got {list(betas)}")
        self.beta1: Hyper = check("betas[0]", betas[0], "[0, 1)")
        self.beta2: Hyper = check("betas[1]", betas[1], "[0, 1)")
        self.weight_decay: Hyper = check("weight_decay", weight_decay, "[0, inf)")

    def initial_state(self, theta: Tensor) -> State:
        return zeros(theta, "m")

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        m = state["m"]
        direction = torch.lerp(m, gradient, 1 - self.beta1)
        descend(theta, direction.sign_(), learning_rate)
        average(m, gradient, self.beta2)
