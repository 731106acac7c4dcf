"""The engine: M networks in training, one row each, and the steps that move them.

It owns all that a step changes, parameters, gradients, buffers and the optimizer's state, and knows nothing of runs,
files and callbacks. Steps are taken in blocks, or one in three parts between which somebody may look: `begin` fetches
the minibatch, `backward` computes losses and gradients, `update` moves the parameters. Both give the same bits.

This class trains any network by a rule that needs the gradient only, on any device. Subclasses are faster at some
(`nnlab.training.native.engine`, `nnlab.training.recorded`), or serve rules that evaluate the loss themselves
(`nnlab.training.second_order`); `nnlab.training.engines` chooses.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from nnlab.loss.base import Loss
from nnlab.members import Hyper
from nnlab.metric_names import THOROUGH
from nnlab.optimizer.base import State
from nnlab.randomness import fold
from nnlab.regularizer.sam import SharpnessAware
from nnlab.training.batches import Batches, spread
from nnlab.training.evaluation import Evaluation, evaluate, never
from nnlab.training.guard import Guard
from nnlab.training.member import Member
from nnlab.training.rates import Rates
from nnlab.training.rules import AVERAGE, Rules
from nnlab.training.settings import TrainerSettings
from nnlab.training.stack import Stack
from nnlab.training.stacks import make_stack
from nnlab.units import stacked_units


class Engine:
    """M members in training.

    Args:
        members: the networks with their data, already on the device, and their rules.
        loss: the loss that all share.
        settings: length, batches, clipping, policy for numbers that are not finite.
        device: where training happens.
        dtype: of parameters and data.

    Attributes:
        active: positions, among all members, of those still in training: the rows of everything that follows.
        stack: their networks: parameters `theta` (M, P), `gradient` (M, P), buffers.
        state: the optimizer's memory by name, (M, ...).
        rules: optimizer, penalties, constraints, clipping, augmentation, merged.
        rates: learning rates.
        guard: what happens to rows whose numbers are not finite.
        batches: their minibatches.
        merged: how often the rules were merged, which gives their numbers new memory.
        steps_per_epoch, total_steps: updates of an epoch and of the whole run.
        step: the present one, 0, 1, ..., while it is taken.
        losses: (M,), mean loss of the present step's examples.
        name: of the engine that does the steps, as `environment.json` tells it.
        processes: how many take them.
    """

    name: ClassVar[str] = "torch"
    fetches_ahead: ClassVar[bool] = True  # streamed minibatches, while the network computes
    processes = 1

    def __init__(
        self,
        members: Sequence[Member],
        loss: Loss,
        settings: TrainerSettings,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        # Rates are halved here, not in the caller's optimizers.
        self.members = [dataclasses.replace(member, optimizer=copy.copy(member.optimizer)) for member in members]
        self.settings, self.device, self.dtype = settings, device, dtype
        self.active = list(range(len(members)))
        self.stack: Stack = self.new_stack([member.network for member in members], loss)
        if not self.stack.buffers:  # the networks differ in their weights alone, which the stack has now
            self.members = [dataclasses.replace(member, network=self.stack.network) for member in self.members]
        size = None if settings.batch_size == "full" else settings.batch_size
        orders = [m.seed if m.order_seed is None else m.order_seed for m in members]
        self.batches = Batches([m.dataset for m in members], orders, size)
        self.steps_per_epoch = -(-self.batches.steps_per_epoch // settings.accumulate)
        self.total_steps = settings.steps or max(1, round((settings.epochs or 0) * self.steps_per_epoch))
        self.guard = Guard(settings.on_nonfinite, self.stack.layout, len(members), device)
        for member in self.members:
            member.optimizer.place(self.stack.layout.slots)
        if not self.members[0].optimizer.stackable:
            self.guard.deferred = False  # a foreign optimizer's memory cannot be taken back after its step
        self.state: State = self.members[0].optimizer.initial_state(self.stack.theta)
        self.step = 0
        self._is_evaluated = False
        self.losses = torch.zeros(len(members), device=device, dtype=dtype)
        self.merged = 0
        self.merge()
        if self.rules.averages:
            self.state[AVERAGE] = self.stack.theta.clone()
        if self.rules.sharpness:
            self.stack.remembers = False  # the last pass is not that of the present weights

    def new_stack(self, networks: Sequence[nn.Module], loss: Loss) -> Stack:
        """The networks as a stack, the fastest that can run them."""
        autocast = self.settings.precision == "bf16"
        return make_stack(networks, loss, self.device, self.dtype, autocast, self.settings.engine)

    def merge(self) -> None:
        """Merge the rules of the active members anew, after one of their numbers has changed."""
        members = [self.members[position] for position in self.active]
        self.merged += 1
        self.rules = Rules(members, self.stack)
        self.rates = Rates(members, self.total_steps, self.steps_per_epoch, self.device, self.dtype)

    def advance(self, first: int, count: int) -> Tensor:
        """Take up to `count` steps from step `first` = 0, 1, ...; fewer where the guard needs a verdict.

        Returns:
            The losses (done, M) of the steps done, at least one.
        """
        losses = []
        for step in range(first, first + count):
            self.begin(step)
            self.backward()
            losses.append(self.update())
            if self.guard.alarm:
                break
        return torch.stack(losses)

    def begin(self, step: int) -> None:
        """Fetch the minibatch of a step; of several whose gradients are averaged, the first."""
        self.step = step
        self._load(self._positions().start)

    def backward(self) -> None:
        """Compute `losses` and the gradients, without penalties: those of the minibatch, or the mean of several."""
        self._gradients()
        for rule in self.rules.sharpness:
            self._climb(rule)

    def _climb(self, rule: SharpnessAware) -> None:
        """Take the gradients from where the loss nearby is worst; losses, weights and buffers stay."""
        stack, losses = self.stack, self.losses
        present = stack.theta.clone()
        buffers = {name: value.clone() for name, value in stack.buffers.items()}
        rule.climb(stack.theta, stack.gradient)
        self._gradients()
        stack.theta.copy_(present)
        for name, value in buffers.items():
            stack.buffers[name].copy_(value)
        self.losses = losses

    def _gradients(self) -> None:
        if self.settings.accumulate == 1:
            self.losses = self.loss_and_gradient()
            return
        total, examples = torch.zeros_like(self.stack.gradient), 0
        losses = torch.zeros(len(self.active), device=self.device, dtype=total.dtype)
        for weight in self.minibatches():
            losses += weight * self.loss_and_gradient()
            total.add_(self.stack.gradient, alpha=weight)
            examples += weight
        self.losses = losses / examples
        torch.div(total, examples, out=self.stack.gradient)

    def minibatches(self) -> Iterator[int]:
        """Load the minibatches of the present step, one after another; yields how many examples each has."""
        for position in self._positions():
            if position != self._position:
                self._load(position)
            yield self.examples

    @property
    def examples(self) -> int:
        """How many examples the present minibatch has."""
        return self._batch[0].shape[1]

    def update(self) -> Tensor:
        """Move the parameters along the gradients, and the penalties'; returns the losses (M,) of the step."""
        self.rules.add_penalties(self.stack)
        rows = self.guard.admitted(self.losses, self.stack.gradient, self.step)
        self.move(rows, self.rates.at(self.step), self.step + 1)
        return self.losses

    def move(self, rows: Tensor | None, rate: Hyper, k: int | Tensor) -> None:
        """Clip the gradients and take step k = 1, 2, ... of the optimizer with the `rows` (M, 1) bool, None for all."""
        self.rules.clip(self.stack.gradient)
        if rows is None:
            self.rules.move(self.stack, self.state, rate, k)
            return
        self.stack.gradient.masked_fill_(~rows, 0.0)
        theta = self.stack.theta
        if len(theta) == 1 and not self.guard.deferred:
            return
        # The other rows keep their weights, and their optimizer's memory if they may go on.
        keep = self.guard.policy != "stop"
        before, state = theta.clone(), {n: value.clone() for n, value in self.state.items()} if keep else {}
        self.rules.move(self.stack, self.state, rate, k)
        torch.where(rows, theta, before, out=theta)
        for name, old in state.items():
            value = self.state[name]
            mask = rows.view(-1, *(1,) * (value.dim() - 1)).to(value.device)
            value.copy_(torch.where(mask, value, old))

    def _positions(self) -> range:
        """The minibatches of the present step, counted through the whole training; none reaches into another epoch."""
        count, per_epoch = self.settings.accumulate, self.batches.steps_per_epoch
        epoch, position = divmod(self.step, self.steps_per_epoch)
        first = epoch * per_epoch + position * count
        return range(first, min(first + count, (epoch + 1) * per_epoch))

    def _load(self, position: int) -> None:
        self._position, self._batch = position, self.minibatch(position)

    def minibatch(self, position: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets (G, n, ...) of minibatch 0, 1, ... of the whole training, augmented; see `Batches`."""
        if self.batches.streamed and self.fetches_ahead:
            return self.changed(*self.batches(position), self._keys(position))
        return self.gather(self.batches.index(position), self._keys(position))

    def _keys(self, position: int) -> Tensor | None:
        return self.rules.noise_keys(position) if self.rules.is_noisy else None

    def gather(self, index: Tensor, keys: Tensor | None) -> tuple[Tensor, Tensor]:
        """The minibatch of the examples at `index` (G, n), with the `keys` of its step where something is drawn."""
        return self.changed(*self.batches.gather(index), keys)

    def changed(self, inputs: Tensor, targets: Tensor, keys: Tensor | None) -> tuple[Tensor, Tensor]:
        """A minibatch as the network gets it, with the `keys` of its step where something is drawn."""
        if keys is not None:
            self.stack.set_keys(keys[:-1])
            if self.rules.augmentations:
                inputs = spread(inputs, len(self.active))
            for position, augmentation in enumerate(self.rules.augmentations):
                inputs = augmentation(inputs, fold(keys[-1], position))
        return inputs, targets

    def loss_and_gradient(self) -> Tensor:
        """The members' losses (M,) on the present minibatch; their gradients are then in the stack."""
        return self.stack.backward(*self._batch)

    @property
    def inputs(self) -> Tensor:
        """Inputs (M, n, ...) of the present minibatch, augmented."""
        return spread(self._batch[0], len(self.active))

    @property
    def targets(self) -> Tensor:
        """Targets (M, n) or (M, n, C) of the present minibatch."""
        return spread(self._batch[1], len(self.active))

    def evaluate(
        self,
        stack: Stack,
        split: str,
        members: Sequence[int],
        thorough: Collection[str] = THOROUGH,
        stopped: Callable[[], bool] = never,
    ) -> Evaluation:
        """Evaluate the rows of a stack, those of `members`, on `train`, `validation` or `test`; see `evaluate`."""
        datasets = [self.members[member].dataset for member in members]
        splits = [getattr(dataset, split) for dataset in datasets]
        return evaluate(stack, splits, stacked_units([each.units for each in datasets]), thorough, stopped)

    def collect(self) -> None:
        """Bring rows, state and guard up to date, where other processes train some of the members."""

    def again(self, step: int) -> tuple[Tensor, Tensor]:
        """Losses (M,) and gradients (M, P) of a step at the present weights, which leaves no trace but these."""
        buffers = {name: value.clone() for name, value in self.stack.buffers.items()}
        present = self.step, self.losses.clone()
        Engine.begin(self, step)
        Engine.backward(self)
        losses = self.losses.clone()
        self.step, self.losses = present
        for name, value in buffers.items():
            self.stack.buffers[name].copy_(value)
        return losses, self.stack.gradient

    @contextlib.contextmanager
    def as_evaluated(self) -> Iterator[None]:
        """Inside, the stack has the weights to evaluate with, which for some rules are averages; then its own again."""
        theta = self.stack.theta
        averaged = None if self._is_evaluated or not self.active else self.rules.averaged(theta, self.state)
        if averaged is None:
            yield
            return
        present = theta.clone()
        theta.copy_(averaged)
        self._is_evaluated = True
        try:
            yield
        finally:
            theta.copy_(present)
            self._is_evaluated = False

    def learning_rate(self, member: int) -> float:
        """The rate that a member's schedule multiplies: the configured one, halved where the guard had it restored."""
        return float(self.members[member].optimizer.learning_rate)

    def set_learning_rate(self, member: int, rate: float) -> None:
        """Give a member another rate; `merge` makes it count."""
        self.members[member].optimizer.learning_rate = rate

    def select(self, rows: Sequence[int]) -> None:
        """Keep only the stack's `rows`; those that left cost nothing more."""
        index = torch.tensor(list(rows), device=self.device, dtype=torch.long)
        gradient = self.stack.gradient[index]
        self.stack.select(index)
        self.stack.gradient.copy_(gradient)
        self.state = {name: value[index].clone() for name, value in self.state.items()}
        self.batches.select(rows)
        self.guard.select(rows, index)
        self.losses = self.losses[index]
        self.active = [self.active[row] for row in rows]
        if self.active:
            self.merge()
