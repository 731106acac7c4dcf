"""Adadelta: gradients normalised by their running size, then given the running size of the steps: no unit of rate.

    v_{k+1} = rho v_k + (1 - rho) g_k^2
    d_k     = sqrt(u_k + eps) / sqrt(v_{k+1} + eps) g_k
    u_{k+1} = rho u_k + (1 - rho) d_k^2,    theta_{k+1} = theta_k - eta d_k,    u_1 = v_1 = 0

Source: Zeiler 2012, "Adadelta: an adaptive learning rate method", arXiv:1212.5701, Algorithm 1 (there eta = 1).
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import average_square, descend
from nnlab.optimizer.base import FirstOrder, State, zeros
from nnlab.validation import check


class Adadelta(FirstOrder):
    """Steps whose size adapts to the size of earlier steps; defaults of the paper (torch has rho = 0.9).

    Args:
        learning_rate: the rate eta, (0, inf); 1 in the paper.
        rho: share of both averages kept from step to step, [0, 1).
        eps: inside both roots; also sets the size of the first steps, (0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate", "rho", "eps")

    def __init__(self, learning_rate: float = 1.0, rho: float = 0.95, eps: float = 1e-6) -> None:
        super().__init__(learning_rate)
        self.rho: Hyper = check("rho", rho, "[0, 1)")
        self.eps: Hyper = check("eps", eps, "(0, inf)")

    def initial_state(self, theta: Tensor) -> State:
        return zeros(theta, "u", "v")

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        u, v = state["u"], state["v"]
        average_square(v, gradient, self.rho)
        ratio = (u + self.eps).div_(v + self.eps).sqrt_()
        delta = gradient.mul_(ratio)
        average_square(u, delta, self.rho)
        descend(theta, delta, learning_rate)
