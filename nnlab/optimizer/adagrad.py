"""Adagrad: each parameter's rate falls with the gradients that it has seen.

    v_{k+1} = v_k + g_k^2,    theta_{k+1} = theta_k - eta g_k / (sqrt(v_{k+1}) + eps),    v_1 = 0

Source: Duchi, Hazan and Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization",
JMLR 12, Figure 1 with diagonal matrices.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import descend_ratio, shared_numbers
from nnlab.optimizer.base import FirstOrder, State, zeros
from nnlab.validation import check


class Adagrad(FirstOrder):
    """Gradients normalised by the root of the sum of their squares.

    Args:
        learning_rate: the rate eta, (0, inf).
        eps: keeps the denominator from zero, (0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate", "eps")

    def __init__(self, learning_rate: float = 0.01, eps: float = 1e-10) -> None:
        super().__init__(learning_rate)
        self.eps: Hyper = check("eps", eps, "(0, inf)")
        self._unused_step: Tensor | None = None

    def initial_state(self, theta: Tensor) -> State:
        return zeros(theta, "v")

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        v = state["v"]
        if numbers := shared_numbers((theta, gradient, v), learning_rate, self.eps):
            rate, eps = numbers
            if self._unused_step is None or self._unused_step.device != theta.device:
                self._unused_step = torch.ones((), device=theta.device)  # the kernel decays by step, which is off here
            torch._fused_adagrad_(
                [theta], [gradient], [v], [self._unused_step], lr=rate, eps=eps, lr_decay=0.0,
                weight_decay=0.0, maximize=False,
            )  # fmt: skip
            return
        v.addcmul_(gradient, gradient)
        descend_ratio(theta, gradient, v.sqrt().add_(self.eps), learning_rate)
