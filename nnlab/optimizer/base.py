"""What every optimizer provides: an update of the stacked parameters of M networks, in place.

First-order rules see the parameters of a population as rows `theta` (M, P), with a gradient of the same shape, and
hyper-parameters that are numbers or columns (M, 1). A rule that is elementwise along P is written once, as in the
lecture, and serves one network and many.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from nnlab.members import Hyper
from nnlab.validation import check

State = dict[str, Tensor]


class Optimizer(ABC):
    """Base of all optimizers.

    Args:
        learning_rate: the rate eta, (0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate",)

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = check("learning_rate", learning_rate, "(0, inf)")

    @abstractmethod
    def initial_state(self, theta: Tensor) -> State:
        """State before the first step: tensors whose first axis is M (rows follow their member), by name."""


class FirstOrder(Optimizer):
    """A rule that needs the gradient only."""

    @abstractmethod
    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int) -> None:
        """Step k = 1, 2, ... in place: theta and state change; `gradient` (M, P) may be used as scratch space.

        `learning_rate` is the rate of this step (the configured one times the schedule's factor).
        """


# Mean loss and its gradient (P,) at parameters (P,), on the current batch, penalties included.
Closure = Callable[[Tensor], tuple[Tensor, Tensor]]


class SecondOrder(Optimizer):
    """A rule that evaluates the loss itself; it moves one network at a time (M = 1), best in full batch."""

    @abstractmethod
    def step(self, theta: Tensor, closure: Closure, state: State, learning_rate: float, k: int) -> Tensor:
        """Step k = 1, 2, ... in place on `theta` (P,); returns the loss at the start of the step, a scalar.

        `closure(theta)` returns (loss, gradient); it is differentiable no further. `hessian` in Newton's method comes
        from `HessianClosure` instead.
        """


class HessianClosure(ABC):
    """A closure that also knows the Hessian."""

    @abstractmethod
    def __call__(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and gradient (P,)."""

    @abstractmethod
    def hessian(self, theta: Tensor) -> Tensor:
        """Hessian (P, P) of the mean loss, penalties included."""


def zeros(theta: Tensor, *names: str) -> State:
    """A state of zero tensors of theta's shape (M, P), by name."""
    return {name: torch.zeros_like(theta) for name in names}
