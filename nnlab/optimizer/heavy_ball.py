"""Heavy-ball momentum, torch's `SGD(momentum=...)`: gradients add up in a velocity that friction slows down.

    m_{k+1} = mu m_k + g_k,    theta_{k+1} = theta_k - eta m_{k+1},    m_1 = 0

A steady gradient g is followed at the rate eta / (1 - mu); `Momentum` is the same rule with that factor taken out.

Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods",
doi:10.1016/0041-5553(64)90137-5; in this form Sutskever et al. 2013, "On the importance of initialization and
momentum in deep learning", eq. (1)-(2), with the rate outside the velocity.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import descend, fused_velocity
from nnlab.optimizer.base import FirstOrder, State, zeros
from nnlab.validation import check


class HeavyBall(FirstOrder):
    """Classical momentum.

    Args:
        learning_rate: the rate eta, (0, inf).
        momentum: mu, the share of the velocity kept from step to step, [0, 1).
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate", "momentum")

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__(learning_rate)
        self.momentum: Hyper = check("momentum", momentum, "[0, 1)")

    def initial_state(self, theta: Tensor) -> State:
        return zeros(theta, "m")

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        m = state["m"]
        if not fused_velocity(theta, gradient, m, learning_rate, self.momentum):
            m.mul_(self.momentum).add_(gradient)
            descend(theta, m, learning_rate)
