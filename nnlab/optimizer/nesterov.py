"""Nesterov's momentum, torch's `SGD(momentum=..., nesterov=True)`: the velocity after one more push of the gradient.

    m_{k+1} = mu m_k + g_k,    theta_{k+1} = theta_k - eta (g_k + mu m_{k+1}),    m_1 = 0

Source: Nesterov 1983, "A method for solving the convex programming problem with convergence rate O(1/k^2)";
Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", eq. (3)-(4). Theta here is
their look-ahead point theta + mu v, where the gradient is taken.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import descend, fused_velocity
from nnlab.optimizer.base import FirstOrder, State, zeros
from nnlab.validation import check


class Nesterov(FirstOrder):
    """Nesterov's accelerated gradient.

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
        if not fused_velocity(theta, gradient, m, learning_rate, self.momentum, nesterov=True):
            m.mul_(self.momentum).add_(gradient)
            descend(gradient, m, -self.momentum)
            descend(theta, gradient, learning_rate)
