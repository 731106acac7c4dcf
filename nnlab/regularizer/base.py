"""The three ways in which a regularizer acts on the engine: a penalty, a constraint, or noise inside the network.

Early stopping is a callback and ensembles are populations; their configs live beside these under the same group.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from nnlab.members import Hyper
from nnlab.randomness import bernoulli
from nnlab.validation import check


class Regularizer:
    """Base of all regularizers."""

    per_member: ClassVar[tuple[str, ...]] = ()


class Penalty(Regularizer, ABC):
    """A term `strength * r(theta)` in the objective, on weights only (no biases, no norm parameters).

    Some methods see the rows `theta` (M, P) and `mask` (P,), 1 for the weights that are penalised and 0 elsewhere.
    """

    per_member = ("strength",)

    def __init__(self, strength: float) -> None:
        self.strength: Hyper = check("strength", strength, "[0, inf)")

    @property
    def is_off(self) -> bool:
        """Whether the strength is zero for all members, so that nothing need be computed."""
        return not isinstance(self.strength, Tensor) and self.strength == 0

    @abstractmethod
    def value(self, theta: Tensor, mask: Tensor) -> Tensor:
        """The penalty of each member, (M,)."""

    @abstractmethod
    def add_gradient(self, gradient: Tensor, weights: Tensor) -> None:
        """Add the penalty's gradient by `weights` (M, size) to `gradient`, of the same shape, in place."""

    def add(self, gradient: Tensor, direction: Tensor) -> None:
        """gradient += strength * direction, in place and in one pass over memory"""
        if isinstance(self.strength, Tensor):
            gradient.addcmul_(direction, self.strength)
        else:
            gradient.add_(direction, alpha=self.strength)

    def decay(self, theta: Tensor, mask: Tensor, learning_rate: Hyper) -> None:
        """Shrink theta directly before the update, in place, as decoupled weight decay does; nothing by default."""


class Constraint(Regularizer, ABC):
    """A projection of the weights after every update."""

    @abstractmethod
    def project(self, weights: list[Tensor]) -> None:
        """Project each of `weights`, (M, out, in) or (M, out, in, *kernel), in place."""


class Noise(Regularizer, ABC):
    """Randomness inside the network, as modules that replace or surround its layers."""

    @abstractmethod
    def apply(self, network: nn.Module) -> nn.Module:
        """The network (of one member) with the noisy modules in place; parameters keep their values and order."""


class NoiseModule(nn.Module):
    """A module that draws random numbers in training, as a pure function of its key.

    The engine sets the buffer `key` (int64, shape () for one network, (M,) for a population) before every step to a
    value that depends on the member's seed, the step and the module's position. In evaluation mode nothing is random
    unless `sampling` is on (Monte-Carlo averaging), where the key is set for every pass.

    Attributes:
        key: decides all that is drawn, int64 of shape () or (M,).
        p: probability of dropping, [0, 1), a floating-point buffer of key's shape: members may differ.
        inverted: divide masks by the probability of keeping, 1 - p, so that their expectation is one.
        samples: number of passes with `sampling` on that a prediction averages; 0: one pass without.
        first: position, in the whole minibatch, of the first example that passes here.
    """

    key: Tensor
    p: Tensor
    sampling: bool = False
    inverted: bool = True
    samples: int = 0
    first: int = 0

    def register_noise(self, p: Hyper) -> None:
        """Create the buffers `p` (from a number, or a column (M, 1)) and `key`; neither is saved with the network.

        A number is kept in float64 until the network is moved to its precision, so that nothing is lost in float64.
        """
        value = p.detach().flatten().clone() if isinstance(p, Tensor) else torch.tensor(p, dtype=torch.float64)
        self.register_buffer("p", value, persistent=False)
        self.register_buffer("key", torch.zeros(value.shape, dtype=torch.int64), persistent=False)

    @property
    def noisy(self) -> bool:
        """Whether this pass draws random numbers."""
        return self.training or self.sampling

    def mask(self, shape: tuple[int, ...], first: int = 0) -> Tensor:
        """The mask of the present key, of shape (*key.shape, *shape) and p's dtype: 0 where dropped, else its scale.

        `shape` has no axis of members: with keys (M,), row m is the mask of that member alone. Values before the
        position `first` of a larger mask are left out.
        """
        keep = 1 - self.p
        mask = bernoulli(self.key, keep, *shape, first=first).to(self.p.dtype)
        return mask / keep.reshape(keep.shape + (1,) * len(shape)) if self.inverted else mask

    def mask_of_examples(self, shape: tuple[int, ...]) -> Tensor:
        """The mask of the examples that pass here, of shape (N, ...), as that of the whole minibatch has it."""
        return self.mask(shape, self.first * math.prod(shape[1:]))
