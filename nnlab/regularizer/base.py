"""The three ways in which a regularizer acts on the engine: a penalty, a constraint, or noise inside the network.

Early stopping is a callback and ensembles are populations; their configs live beside these under the same group.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from nnlab.members import Hyper
from nnlab.validation import check


class Regularizer(ABC):
    """Base of all regularizers."""

    per_member: ClassVar[tuple[str, ...]] = ()


class Penalty(Regularizer):
    """A term `strength * r(theta)` in the objective, on weights only (no biases, no norm parameters).

    Methods see the rows `theta` (M, P) and `mask` (P,), 1 for the weights that are penalised and 0 elsewhere.
    """

    per_member = ("strength",)

    def __init__(self, strength: float) -> None:
        self.strength: Hyper = check("strength", strength, "[0, inf)")

    @abstractmethod
    def value(self, theta: Tensor, mask: Tensor) -> Tensor:
        """The penalty of each member, (M,)."""

    @abstractmethod
    def add_gradient(self, gradient: Tensor, theta: Tensor, mask: Tensor) -> None:
        """Add the penalty's gradient to `gradient` (M, P), in place."""

    def decay(self, theta: Tensor, mask: Tensor, learning_rate: Hyper) -> None:  # noqa: B027
        """Shrink theta directly before the update, in place, as decoupled weight decay does; nothing by default."""


class Constraint(Regularizer):
    """A projection of the weights after every update."""

    @abstractmethod
    def project(self, weights: list[Tensor]) -> None:
        """Project each of `weights`, (M, out, in) or (M, out, in, *kernel), in place."""


class Noise(Regularizer):
    """Randomness inside the network, as modules that replace or surround its layers."""

    @abstractmethod
    def apply(self, network: nn.Module) -> nn.Module:
        """The network (of one member) with the noisy modules in place; parameters keep their values and order."""


class NoiseModule(nn.Module):
    """A module that draws random numbers in training, as a pure function of its key.

    The engine sets the buffer `key` (int64, shape () for one network, (M,) for a population) before every step to a
    value that depends on the member's seed, the step and the module's position. In evaluation mode nothing is random
    unless `sampling` is on (Monte-Carlo averaging), where the key is set for every pass.
    """

    key: Tensor
    sampling: bool = False

    @property
    def noisy(self) -> bool:
        """Whether this pass draws random numbers."""
        return self.training or self.sampling
