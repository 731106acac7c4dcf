"""What every optimizer provides: an update of the stacked parameters of M networks, in place.

First-order rules see the parameters of a population as rows `theta` (M, P), with a gradient of the same shape, and
hyper-parameters that are numbers or columns (M, 1). A rule that is elementwise along P is written once, as in the
lecture, and serves one network and many.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from torch import Tensor

from nnlab.errors import UserError
from nnlab.members import Hyper
from nnlab.optimizer.memory import lanes
from nnlab.validation import check

State = dict[str, Tensor]


class Place(Protocol):
    """A parameter of the network: its name there, its shape, and its first position in a row of theta."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def start(self) -> int: ...


class Optimizer(ABC):
    """Base of all optimizers.

    All of a run's memory is in `State`; an optimizer itself keeps only hyper-parameters and scratch space, so that a
    checkpoint of theta, state and k continues exactly. The caller turns autograd off around `update` and `step`.

    Args:
        learning_rate: the rate eta, (0, inf); as large as anybody likes who wants to see a network diverge.
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate",)
    stackable: ClassVar[bool] = True  # whether one call can move M > 1 members

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = check("learning_rate", learning_rate, "(0, inf)", largest=math.inf)

    def place(self, places: Sequence[Place]) -> None:  # noqa: B027
        """Learn where the network's parameters lie in a row of theta; called once, before the first step.

        Rules that are elementwise need not know. Without a call, a row is one vector.

        Raises:
            UserError: the rule cannot move such parameters.
        """

    def averaged(self, theta: Tensor, state: State) -> Tensor | None:
        """The weights (M, P) to evaluate with, where the rule has others than theta; neither changes."""
        return None

    @abstractmethod
    def initial_state(self, theta: Tensor) -> State:
        """State for theta (M, P) before the first step, by name: tensors whose first axis is M (rows follow members).

        Only adapters of foreign optimizers, with M = 1, may add names in later steps.
        """


class FirstOrder(Optimizer):
    """A rule that needs the gradient only.

    Attributes:
        weight_decay: rate lambda of the rule's own decoupled decay. The caller, who knows which parameters are
            weights, multiplies those by 1 - learning_rate * weight_decay before `update`; 0 for all but `AdamW`.
        recordable: whether `update` is nothing but operations on tensors, and keeps to their places in memory.
    """

    weight_decay: Hyper = 0.0
    recordable: ClassVar[bool] = True

    @abstractmethod
    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        """Step k = 1, 2, ... in place: theta and state change; `gradient` (M, P) may be used as scratch space.

        `learning_rate` is the rate of this step (the configured one times the schedule's factor). Where steps are
        recorded once and replayed, it is a column and k a tensor () of theta's type, whose values change.
        """


# Mean loss and its gradient (P,) at parameters (P,), on the current batch, penalties included.
Closure = Callable[[Tensor], tuple[Tensor, Tensor]]


class SecondOrder(Optimizer):
    """A rule that evaluates the loss itself; it moves one network at a time (M = 1), best in full batch."""

    per_member: ClassVar[tuple[str, ...]] = ()
    stackable: ClassVar[bool] = False
    full_batch: bool = True  # wants the full batch and no noise (dropout, augmentation) in the closure

    @abstractmethod
    def step(self, theta: Tensor, closure: Closure, state: State, learning_rate: float, k: int) -> Tensor:
        """Step k = 1, 2, ... in place on `theta` (P,); returns the loss at the start of the step, a scalar.

        `state` holds the network's row of every tensor, without the axis M, and changes in place.
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
    return dict(zip(names, lanes(theta, len(names), first=2), strict=True))


def check_matrix_size(method: str, parameters: int, max_parameters: int) -> None:
    """Refuse a method that keeps a (P, P) matrix when the network is too large for it.

    Raises:
        UserError: there are more than `max_parameters` parameters.
    """
    if parameters > max_parameters:
        raise UserError(
            f"{method} keeps a matrix of {parameters} x {parameters} numbers, one row per parameter; "
            f"`max_parameters` allows {max_parameters}: choose a smaller network, `optimizer=lbfgs`, or raise it"
        )
