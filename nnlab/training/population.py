"""M members in the stack: parameters, optimizer state, schedules and rules, with the way out for members that end."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnlab.loss.base import Loss
from nnlab.members import Hyper, merge
from nnlab.optimizer.base import FirstOrder, Optimizer
from nnlab.randomness import fold
from nnlab.regularizer.base import Constraint, Penalty
from nnlab.training.batches import Batches, spread
from nnlab.training.chain import make_stack
from nnlab.training.clipping import clip_norm, clip_value
from nnlab.training.member import Augmentation, Member

KEY_BLOCK = 64  # steps whose noise keys are derived together


class Population:
    """The members that are being trained.

    Attributes:
        active: positions, among all members, of those still in the stack.
        stack: their networks.
        state: the optimizer's state, rows following the members.
        batches: their minibatches.
        rows: `active` on the device.
        merged: how often the rules were merged, which gives their numbers new memory.
    """

    def __init__(
        self,
        members: Sequence[Member],
        loss: Loss,
        batch_size: int | None,
        device: torch.device,
        dtype: torch.dtype,
        autocast: bool = False,
    ) -> None:
        self.members = list(members)
        self.active = list(range(len(members)))
        self.device, self.dtype = device, dtype
        self.stack = make_stack([member.network for member in members], loss, device, dtype, autocast)
        self.batches = Batches(
            [m.dataset for m in members],
            [m.seed if m.order_seed is None else m.order_seed for m in members],
            batch_size,
        )
        self.merged = 0
        self.mask = self.stack.layout.weight_mask(device, dtype)
        self.state = members[0].optimizer.initial_state(self.stack.theta)
        self.merge()

    def merge(self) -> None:
        """Merge the rules of the active members: numbers where they agree, columns (M, 1) where they differ."""
        members = [self.members[i] for i in self.active]
        self.merged += 1
        self.rows = torch.tensor(self.active, device=self.device)

        def merged(name: str) -> list[object]:
            return [
                merge(group, self.device, self.dtype)
                for group in zip(*(getattr(m, name) for m in members), strict=True)
            ]

        self.optimizer: Optimizer = merge([m.optimizer for m in members], self.device, self.dtype)
        self.penalties: list[Penalty] = [p for p in merged("penalties") if not _is_zero(p)]  # type: ignore[misc]
        self.constraints: list[Constraint] = merged("constraints")  # type: ignore[assignment]
        self.augmentations: list[Augmentation] = merged("augmentations")  # type: ignore[assignment]
        self.clip_norm = self._hyper([m.clip_norm for m in members])
        self.clip_value = self._hyper([m.clip_value for m in members])
        self.keys = torch.tensor([m.noise_key for m in members], device=self.device)
        self._key_start = -1
        decay = getattr(self.optimizer, "weight_decay", 0.0)
        self.optimizer_decay: Hyper | None = decay if isinstance(decay, Tensor) or decay else None

    def _hyper(self, values: list[Hyper | None]) -> Hyper | None:
        if all(value == values[0] for value in values):
            return values[0]
        bounds = [float("inf") if value is None else float(value) for value in values]
        return torch.tensor(bounds, device=self.device, dtype=self.dtype).unsqueeze(1)

    def schedule(self, steps: int) -> list[float] | Tensor:
        """Learning rates of all steps: numbers where the active members share them, else (steps, M, 1)."""
        members = [self.members[i] for i in self.active]
        tables: dict[tuple[object, ...], Tensor] = {}
        columns = []
        for member in members:
            key = (type(member.scheduler), *map(str, vars(member.scheduler).items()))
            if key not in tables:
                tables[key] = member.scheduler.table(steps, self.batches.steps_per_epoch)
            columns.append((key, member.optimizer.learning_rate))
        if len(set(columns)) == 1:
            key, rate = columns[0]
            return (tables[key] * rate).tolist()  # type: ignore[no-any-return]
        table = torch.stack([tables[key] * rate for key, rate in columns], 1)
        return table.to(self.device, self.dtype).unsqueeze(2)

    def noise_keys(self, step: int) -> Tensor:
        """Keys (noise modules + 1, M) of a step; the last row is that of augmentation."""
        start = step - step % KEY_BLOCK
        if start != self._key_start:
            count = len(self.stack.noise) + 1
            steps = torch.arange(start, start + KEY_BLOCK, device=self.device)
            base = fold(self.keys, 1)[None, :] ^ fold(steps, 2)[:, None]
            self._keys = torch.stack([fold(base, position) for position in range(count)], 1)
            self._key_start = start
        return self._keys[step - start]

    @property
    def is_noisy(self) -> bool:
        """Whether something is drawn anew in every step."""
        return bool(self.stack.noise or self.augmentations)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets (G, N, ...) of a minibatch, augmented; the noise modules receive their keys."""
        return self.gather(self.batches.index(step), self.noise_keys(step) if self.is_noisy else None)

    def gather(self, index: Tensor, keys: Tensor | None) -> tuple[Tensor, Tensor]:
        """The minibatch of the examples at `index` (G, N), with the `keys` of its step where something is drawn."""
        inputs, targets = self.batches.gather(index)
        if keys is not None:
            self.stack.set_keys(keys[:-1])
            if self.augmentations:
                inputs = spread(inputs, len(self.active))
            for position, augmentation in enumerate(self.augmentations):
                inputs = augmentation(inputs, fold(keys[-1], position))
        return inputs, targets

    def add_penalties(self) -> None:
        """Add the gradients of the penalties."""
        for penalty in self.penalties:
            for gradient, weights in self.stack.penalised:
                penalty.add_gradient(gradient, weights)

    def penalty(self) -> Tensor:
        """Value of all penalties (M,)."""
        total = torch.zeros(len(self.active), device=self.device, dtype=self.dtype)
        return sum((penalty.value(self.stack.theta, self.mask) for penalty in self.penalties), total)

    def clip(self) -> None:
        """Clip the gradients where asked for."""
        if self.clip_value is not None:
            clip_value(self.stack.gradient, self.clip_value)
        if self.clip_norm is not None:
            clip_norm(self.stack.gradient, self.clip_norm)

    def update(self, learning_rate: Hyper, k: int | Tensor) -> None:
        """Step k = 1, 2, ... of the optimizer, decoupled decays before it and constraints after it."""
        theta = self.stack.theta
        for penalty in self.penalties:
            penalty.decay(theta, self.mask, learning_rate)
        if self.optimizer_decay is not None:
            theta.mul_(1 - learning_rate * self.optimizer_decay * self.mask)
        if isinstance(self.optimizer, FirstOrder):
            self.optimizer.update(theta, self.stack.gradient, self.state, learning_rate, k)
        self.project()

    def project(self) -> None:
        """Apply the constraints."""
        if self.constraints:
            weights = list(self.stack.layout.weights(self.stack.theta).values())
            for constraint in self.constraints:
                constraint.project(weights)

    def select(self, rows: Sequence[int]) -> None:
        """Keep only the stack's `rows`; those that left cost nothing more."""
        index = torch.tensor(list(rows), device=self.device, dtype=torch.long)
        gradient = self.stack.gradient[index]
        self.stack.select(index)
        self.stack.gradient.copy_(gradient)
        self.state = {name: value[index].clone() for name, value in self.state.items()}
        self.batches.select(rows)
        self.active = [self.active[row] for row in rows]
        if self.active:
            self.merge()


def _is_zero(penalty: object) -> bool:
    strength = getattr(penalty, "strength", None)
    return isinstance(strength, float | int) and strength == 0
