"""Momentum as a running average of gradients, as in the lecture.

    m_{k+1} = gamma_k m_k + (1 - gamma_k) g_k,    theta_{k+1} = theta_k - eta m_{k+1},    m_1 = 0

A constant gamma gives the geometric average; gamma_k = (k - 1)/k, counted from k = 1, the arithmetic one. The older
form without the factor 1 - gamma (`HeavyBall`, torch's `SGD(momentum=gamma)`) takes the same steps at the rate
eta (1 - gamma).

Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods",
doi:10.1016/0041-5553(64)90137-5; the normalized form is the first moment of Kingma and Ba 2015 (arXiv:1412.6980).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import average, descend, fused_velocity
from nnlab.optimizer.base import FirstOrder, State, zeros
from nnlab.validation import check, check_choice


class Momentum(FirstOrder):
    """Descent along the running average of the gradients.

    Args:
        learning_rate: the rate eta, (0, inf).
        momentum: gamma of the geometric average, [0, 1).
        average: `geometric`: constant gamma, recent gradients count most; `arithmetic`: the mean of all gradients so
            far, where `momentum` plays no part.
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate", "momentum")

    def __init__(
        self,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        average: Literal["geometric", "arithmetic"] = "geometric",
    ) -> None:
        super().__init__(learning_rate)
        self.momentum: Hyper = check("momentum", momentum, "[0, 1)")
        self.average = check_choice("average", average, ("geometric", "arithmetic"))

    def initial_state(self, theta: Tensor) -> State:
        return zeros(theta, "m")

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        m = state["m"]
        gamma = (k - 1) / k if self.average == "arithmetic" else self.momentum
        if not fused_velocity(theta, gradient, m, learning_rate, gamma, average=True):
            average(m, gradient, gamma)
            descend(theta, m, learning_rate)
