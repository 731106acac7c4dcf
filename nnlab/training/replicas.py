"""One network in several processes: each has a replica, and takes its slice of every minibatch.

Gradient and loss of a minibatch of n examples are sum_r (n_r / n) (gradient_r, loss_r), one all-reduce of the flat
gradient; after it all processes take the same step. Masks are those of the whole minibatch, of which each process draws
its slice. A minibatch with fewer examples than processes is computed by all of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from nnlab.loss.base import Loss
from nnlab.metric_names import THOROUGH
from nnlab.regularizer.base import NoiseModule
from nnlab.training.batches import spread
from nnlab.training.engine import Engine
from nnlab.training.evaluation import SPLITS, Evaluation, evaluate, metrics_of, never, sampling_passes
from nnlab.training.group import WORTH_SHARING, Command, Group
from nnlab.training.normalization import SynchronizedNorm, normalizes
from nnlab.training.recorded import RecordedEngine
from nnlab.training.second_order import SecondOrderEngine
from nnlab.training.stack import Stack


class Replica(Engine):
    """An `Engine` of one network that the processes of a group have alike, and move alike.

    The leader's methods tell the followers to do the same; theirs are called by `obey`.
    """

    fetches_ahead: ClassVar[bool] = False  # slices of minibatches
    group: Group
    _stale = True  # whether the leader's rows or rules may have changed other than by steps
    _busy = False  # whether a command is being carried out
    _alone = False  # whether minibatches are whole ones

    def join(self, group: Group) -> Replica:
        """Take part in a group; the first command shares the leader's rows."""
        self.group, self.processes, self._stale = group, group.size, True
        self.noisy = [self.stack.network.get_submodule(name) for name in self.stack.noise]
        self._flat = torch.empty(self.stack.theta.shape[1] + 1, device=self.device, dtype=self.dtype)
        self._synchronizes = self.settings.sync_batch_norm and normalizes(self.stack.network)
        return self

    def new_stack(self, networks: Sequence[nn.Module], loss: Loss) -> Stack:
        # The equations by hand know no other processes.
        if self.settings.sync_batch_norm and normalizes(networks[0]):
            return Stack(networks, loss, self.device, self.dtype, self.settings.precision == "bf16")
        return super().new_stack(networks, loss)

    # What all processes do at the same time.

    @contextlib.contextmanager
    def _as_one(self, command: Command, *numbers: int) -> Iterator[None]:
        """Inside, all processes carry out `command`; what it calls is a part of it."""
        if self._busy:
            yield
            return
        if self.group.leads:
            if self._stale and command is not Command.EVALUATE:  # which shares what it evaluates
                self._share_rows()
            self.group.say(command, *numbers)
        self._busy = True
        try:
            with self.group.together():
                yield
        finally:
            self._busy = False

    def obey(self, command: Command, first: int, second: int) -> None:
        """Carry out what the leader says."""
        actions: dict[Command, Any] = {
            Command.TAKE: self._take_rows,
            Command.ADVANCE: lambda: self.advance(first, second),
            Command.BEGIN: lambda: self.begin(first),
            Command.BACKWARD: self.backward,
            Command.UPDATE: self.update,
            Command.AGAIN: lambda: self.again(first),
            Command.EVALUATE: lambda: self._evaluate_part(self.stack, SPLITS[first]),
        }
        actions[command]()

    def advance(self, first: int, count: int) -> Tensor:
        with self._as_one(Command.ADVANCE, first, count):
            return super().advance(first, count)

    def begin(self, step: int) -> None:
        with self._as_one(Command.BEGIN, step):
            super().begin(step)

    def backward(self) -> None:
        with self._as_one(Command.BACKWARD):
            super().backward()

    def update(self) -> Tensor:
        with self._as_one(Command.UPDATE):
            return super().update()

    def again(self, step: int) -> tuple[Tensor, Tensor]:
        with self._as_one(Command.AGAIN, step):
            return super().again(step)

    # The rows, from the leader to the others.

    def merge(self) -> None:
        super().merge()
        self._stale = True

    def _share_rows(self) -> None:
        self._stale = False
        self.group.say(Command.TAKE)
        state = [(name, value.shape, value.dtype, value.device.type) for name, value in self.state.items()]
        self.group.share((self.learning_rate(0), state))
        self.group.share_tensors(self._rows())

    def _take_rows(self) -> None:
        rate, state = self.group.share()
        self.set_learning_rate(0, rate)
        for name, shape, dtype, kind in state:
            present = self.state.get(name)
            if present is None or present.shape != shape:
                self.state[name] = torch.zeros(shape, dtype=dtype, device="cpu" if kind == "cpu" else self.device)
        self.group.share_tensors(self._rows())
        self.guard.forget()
        self.merge()

    def _rows(self) -> list[Tensor]:
        """All that steps change."""
        return [self.stack.theta, *self.stack.buffers.values(), *self.state.values(), self.guard.left_out]

    # Slices of minibatches.

    @property
    def examples(self) -> int:
        return self.batches.index(self._position).shape[1]

    def _part(self, count: int) -> slice:
        """The slice that this process takes of a minibatch of `count` examples; all of one that is too small."""
        return self.group.part(count) if count >= self.group.size and not self._alone else slice(0, count)

    def gather(self, index: Tensor, keys: Tensor | None) -> tuple[Tensor, Tensor]:
        part = self._part(index.shape[1])
        augmentations = self.rules.augmentations if keys is not None else []
        if all(getattr(each, "by_example", False) for each in augmentations):
            for each in augmentations:
                each.first = part.start  # type: ignore[attr-defined]
            return super().gather(index[:, part], keys)
        inputs, targets = super().gather(index, keys)
        return inputs[:, part], targets[:, part]

    def _whole(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the whole minibatch."""
        self._alone = True
        try:
            return Engine.minibatch(self, self._position)
        finally:
            self._alone = False

    @property
    def inputs(self) -> Tensor:
        return spread(self._whole()[0], len(self.active))

    @property
    def targets(self) -> Tensor:
        return spread(self._whole()[1], len(self.active))

    def loss_and_gradient(self) -> Tensor:
        count = self.examples
        part, shared = self._part(count), count >= self.group.size
        weight = (part.stop - part.start) / count if shared else float(self.group.leads)
        for module in self.noisy:
            cast(NoiseModule, module).first = part.start
        norm = SynchronizedNorm(self.group, weight) if shared else SynchronizedNorm(None, 1.0)
        with norm if self._synchronizes else contextlib.nullcontext():
            losses = super().loss_and_gradient()
        for module in self.noisy:
            cast(NoiseModule, module).first = 0
        return self._averaged(losses, weight)

    def _averaged(self, losses: Tensor, weight: float) -> Tensor:
        """The losses (1,) of the whole minibatch; its gradient is in the stack then."""
        flat, gradient = self._flat, self.stack.gradient[0]
        if weight:
            torch.mul(gradient, weight, out=flat[:-1])
            torch.mul(losses[0], weight, out=flat[-1])
        else:
            flat.zero_()  # also where a number is not finite
        self.group.sum(flat)
        gradient.copy_(flat[:-1])
        return losses.copy_(flat[-1:])

    # Evaluations.

    def evaluate(
        self,
        stack: Stack,
        split: str,
        members: Sequence[int],
        thorough: Collection[str] = THOROUGH,
        stopped: Any = never,
    ) -> Evaluation:
        examples = len(getattr(self.members[0].dataset, split))
        small = examples * stack.theta.shape[1] < WORTH_SHARING or examples < self.group.size
        if small or len(stack) > 1 or sampling_passes(stack):
            return super().evaluate(stack, split, members, thorough, stopped)
        with self._as_one(Command.EVALUATE, SPLITS.index(split)):
            parts = self._evaluate_part(stack, split)
        data = self.members[0].dataset
        losses = sum((loss * count for loss, count, _ in parts), torch.zeros_like(parts[0][0]))
        prediction = torch.cat([predicted.to(self.device) for _, _, predicted in parts], 1)
        targets = getattr(data, split).targets.unsqueeze(0)
        found = metrics_of(stack.loss, prediction, targets, data.units, thorough)
        return Evaluation({"loss": losses / examples, **found}, prediction)

    def _evaluate_part(self, stack: Stack, split: str) -> list[tuple[Tensor, int, Tensor]]:
        """Loss, number of examples, and predictions (1, n, *) of each process's part of a split, on the leader."""
        evaluated = [stack.theta, *stack.buffers.values()]
        present = [] if self.group.leads else [value.clone() for value in evaluated]
        self.group.share_tensors(evaluated)
        data = self.members[0].dataset
        part = self.group.part(len(getattr(data, split)))
        found = evaluate(stack, [getattr(data, split)], data.units, (), examples=part)
        for value, own in zip(evaluated, present, strict=False):
            value.copy_(own)
        return self.group.gather((found.metrics["loss"].cpu(), part.stop - part.start, found.prediction.cpu()))


class RecordedReplica(Replica, RecordedEngine):
    """A `Replica` whose parts of a step are recorded; the all-reduce is between them."""


class SecondOrderReplica(Replica, SecondOrderEngine):
    """A `Replica` whose rule evaluates the loss itself, at the same points in all processes."""
