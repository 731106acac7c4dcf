"""RMSProp: gradients normalised by the root of a running average of their squares, as in the lecture.

    v_{k+1} = gamma v_k + (1 - gamma) g_k^2,    theta_{k+1} = theta_k - eta g_k / sqrt(v_{k+1} + eps),    v_1 = 0

With `eps_inside: false` the denominator is sqrt(v_{k+1}) + eps, as in torch.

Source: Tieleman and Hinton 2012, "Neural networks for machine learning", Coursera, lecture 6e.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import average_square, descend_ratio
from nnlab.optimizer.base import FirstOrder, State, zeros
from nnlab.validation import check


class RMSProp(FirstOrder):
    """Gradient normalisation with a running average.

    Args:
        learning_rate: the rate eta, (0, inf).
        gamma: share of the average kept from step to step, [0, 1).
        eps: keeps the denominator from zero, (0, inf).
        eps_inside: whether eps is added inside the root (the lecture) or to the root (torch).
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate", "gamma", "eps")

    def __init__(
        self, learning_rate: float = 0.001, gamma: float = 0.9, eps: float = 1e-8, eps_inside: bool = True
    ) -> None:
        super().__init__(learning_rate)
        self.gamma: Hyper = check("gamma", gamma, "[0, 1)")
        self.eps: Hyper = check("eps", eps, "(0, inf)")
        self.eps_inside = eps_inside

    def initial_state(self, theta: Tensor) -> State:
        return zeros(theta, "v")

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        v = state["v"]
        average_square(v, gradient, self.gamma)
        root = (v + self.eps).sqrt_() if self.eps_inside else v.sqrt().add_(self.eps)
        descend_ratio(theta, gradient, root, learning_rate)
