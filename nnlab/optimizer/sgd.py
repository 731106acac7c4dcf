"""Stochastic gradient descent: theta_{k+1} = theta_k - eta g_k, with g_k the mean gradient of a minibatch.

Source: Robbins and Monro 1951, "A stochastic approximation method", doi:10.1214/aoms/1177729586.
"""

from __future__ import annotations

from torch import Tensor

from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import descend
from nnlab.optimizer.base import FirstOrder, State


class SGD(FirstOrder):
    """Plain gradient descent on minibatches.

    Args:
        learning_rate: the rate eta, (0, inf).
    """

    def __init__(self, learning_rate: float = 0.1) -> None:
        super().__init__(learning_rate)

    def initial_state(self, theta: Tensor) -> State:
        return {}

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        descend(theta, gradient, learning_rate)
