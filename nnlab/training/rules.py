"""The rules of the members in the stack as one: optimizer, penalties, constraints, clipping, noise and augmentation.

Numbers stay numbers where the members agree, and become columns (M, 1) where they differ; see `nnlab.members.merge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from nnlab.members import Hyper, merge
from nnlab.optimizer.base import FirstOrder, Optimizer, State
from nnlab.randomness import fold
from nnlab.regularizer.base import Constraint, Penalty
from nnlab.regularizer.ema import WeightAverage
from nnlab.regularizer.sam import SharpnessAware
from nnlab.training.clipping import clip_norm, clip_value
from nnlab.training.member import Augmentation, Member
from nnlab.training.stack import Stack

AVERAGE = "average of weights"  # its name in the state, beside the optimizer's
KEY_BLOCK = 64  # steps whose noise keys are derived together
Component = TypeVar("Component")


class Rules:
    """The merged rules of some members, one row each.

    Args:
        members: whose rules, in the order of the rows.
        stack: their networks.

    Attributes:
        optimizer, penalties, constraints, augmentations: merged; penalties that are zero for all are left out.
        clip_norm, clip_value: bounds of the gradient, None for no bound.
        decay: rate of the optimizer's own decoupled decay, None where it has none.
        mask: (P,), 1 where a weight stands, 0 elsewhere.
        rows: positions of the members among all, on the device (M,).
        is_noisy: whether something is drawn anew in every step.
    """

    def __init__(self, members: Sequence[Member], stack: Stack) -> None:
        device, dtype = stack.theta.device, stack.theta.dtype
        self.device, self.dtype = device, dtype
        self.optimizer: Optimizer = merge([m.optimizer for m in members], device, dtype)
        self.penalties: list[Penalty] = [p for p in self._merged([m.penalties for m in members]) if not p.is_off]
        self.constraints: list[Constraint] = self._merged([m.constraints for m in members])
        self.augmentations: list[Augmentation] = self._merged([m.augmentations for m in members])
        self.averages: list[WeightAverage] = self._merged([m.averages for m in members])
        self.sharpness: list[SharpnessAware] = self._merged([m.sharpness for m in members])
        self.clip_norm = self._hyper([m.clip_norm for m in members])
        self.clip_value = self._hyper([m.clip_value for m in members])
        decay = self.optimizer.weight_decay if isinstance(self.optimizer, FirstOrder) else 0.0
        self.decay: Hyper | None = decay if isinstance(decay, Tensor) or decay else None
        self.mask = stack.layout.weight_mask(device, dtype)
        self.is_noisy = bool(stack.noise or self.augmentations)
        self._sources = len(stack.noise) + 1
        self._seeds = torch.tensor([m.noise_key for m in members], device=device)
        self._key_start = -1

    def _merged(self, of_members: Sequence[Sequence[Component]]) -> list[Component]:
        return [merge(group, self.device, self.dtype) for group in zip(*of_members, strict=True)]

    def _hyper(self, values: list[Hyper | None]) -> Hyper | None:
        if all(value == values[0] for value in values):
            return values[0]
        bounds = [float("inf") if value is None else float(value) for value in values]
        return torch.tensor(bounds, device=self.device, dtype=self.dtype).unsqueeze(1)

    def noise_keys(self, position: int) -> Tensor:
        """Keys (noise modules + 1, M) of a minibatch 0, 1, ...; the last row is that of augmentation."""
        start = position - position % KEY_BLOCK
        if start != self._key_start:
            positions = torch.arange(start, start + KEY_BLOCK, device=self.device)
            base = fold(self._seeds, 1)[None, :] ^ fold(positions, 2)[:, None]
            self._keys = torch.stack([fold(base, source) for source in range(self._sources)], 1)
            self._key_start = start
        return self._keys[position - start]

    def add_penalties(self, stack: Stack) -> None:
        """Add the gradients of the penalties."""
        for penalty in self.penalties:
            for gradient, weights in stack.penalised:
                penalty.add_gradient(gradient, weights)

    def penalty(self, stack: Stack) -> Tensor:
        """Value of all penalties (M,)."""
        total = torch.zeros(len(stack), device=self.device, dtype=self.dtype)
        return sum((penalty.value(stack.theta, self.mask) for penalty in self.penalties), total)

    def clip(self, gradient: Tensor) -> None:
        """Clip the gradients (M, P) where asked for."""
        if self.clip_value is not None:
            clip_value(gradient, self.clip_value)
        if self.clip_norm is not None:
            clip_norm(gradient, self.clip_norm)

    def move(self, stack: Stack, state: State, rate: Hyper, k: int | Tensor) -> None:
        """Step k = 1, 2, ... of a first-order optimizer, decoupled decays before it and constraints after it."""
        theta = stack.theta
        for penalty in self.penalties:
            penalty.decay(theta, self.mask, rate)
        if self.decay is not None:
            theta.mul_(1 - rate * self.decay * self.mask)
        if isinstance(self.optimizer, FirstOrder):
            self.optimizer.update(theta, stack.gradient, state, rate, k)
        self.project(stack)
        self.average(stack, state, k)

    def average(self, stack: Stack, state: State, k: int | Tensor) -> None:
        """Take the weights after step k into their averages."""
        for each in self.averages:
            each.update(state[AVERAGE], stack.theta, k)

    def averaged(self, theta: Tensor, state: State) -> Tensor | None:
        """The weights (M, P) to evaluate with, where they are others than theta."""
        if self.averages:
            return state[AVERAGE]
        return self.optimizer.averaged(theta, state)

    def project(self, stack: Stack) -> None:
        """Apply the constraints."""
        if self.constraints:
            weights = list(stack.layout.weights(stack.theta).values())
            for constraint in self.constraints:
                constraint.project(weights)
