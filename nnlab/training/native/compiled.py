"""A population's steps and forward passes in compiled code, on the tensors that the engine owns."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnlab.loss.base import Loss
from nnlab.optimizer.base import State
from nnlab.training.batches import Batches
from nnlab.training.member import Member
from nnlab.training.native import components
from nnlab.training.native.plan import Link, Phase, Plan
from nnlab.training.stack import Stack
from nnlab.types import Split

Window = Callable[[int, int], tuple[Tensor, list[Split]]]  # as `Batches.window`

WORTH_A_THREAD = 1 << 22  # multiply-adds, which take a tenth of a millisecond


@dataclass(frozen=True)
class Block:
    """What came out of a block of steps.

    Attributes:
        losses: (steps, M) float64, of the minibatches; from a member's end on they mean nothing.
        ended: (M,) int64, the step (from 0) at which a member met a number that is not finite, and stopped; else -1.
        skipped: (M,) int64, updates that were left out.
    """

    losses: np.ndarray
    ended: np.ndarray
    skipped: np.ndarray


class Compiled:
    """Forward passes of the networks of a stack, and steps of their training; everything changes in place.

    It points into the stack's tensors: whoever gives the stack other memory makes this anew.

    Args:
        library: the compiled code.
        stack: M chains whose layers are known.
        loss: a loss that is known.

    Attributes:
        threads: over which the members go.
    """

    def __init__(self, library: ctypes.CDLL, stack: Stack, loss: Loss) -> None:
        self.library, self.stack, self.loss = library, stack, loss
        self.threads = 1
        self.plan = plan = Plan()
        plan.is_double = stack.theta.dtype == torch.float64
        plan.members, plan.parameters = stack.theta.shape
        plan.theta, plan.gradient = stack.theta.data_ptr(), stack.gradient.data_ptr()
        plan.loss = components.loss_kind(loss)
        plan.fixed_variance = getattr(loss, "fixed_variance", 1.0)
        if weights := getattr(loss, "class_weights", None):
            self.class_weights = np.array(weights)
            plan.class_weights = self.class_weights.ctypes.data
        self._features = 0

    def _link(self, features: int) -> None:
        """Describe the layers for inputs of `features` numbers."""
        if self._features == features:
            return
        chain = components.links(self.stack.network, self.stack.layout, self.stack.buffers, features)
        self.chain = (Link * len(chain))(*chain)
        self.plan.chain, self.plan.links = self.chain, len(chain)
        self._features = features

    def set_rules(self, members: Sequence[Member]) -> None:
        """Say how the members' gradients become steps."""
        self.plan.rule, self.names = components.rule_of(members[0].optimizer)
        self.hypers = components.hypers(self.loss, members)
        self.plan.hypers = self.hypers.ctypes.data

    def set_state(self, state: State) -> None:
        """Say where the optimizer's memory (M, P) by name is, which changes with the steps."""
        self.plan.state1, self.plan.state2 = ([state[name].data_ptr() for name in self.names] + [None, None])[:2]

    def set_data(
        self, batches: Batches, noise_keys: Tensor, steps_per_epoch: int, accumulate: int, changed: Window | None = None
    ) -> None:
        """Say what the minibatches are, and from which keys (M,) their masks are drawn.

        `changed` gives minibatches that are made anew for every step; where there is none, they are read.
        """
        plan = self.plan
        self.batches, self._changed = batches, changed
        self._window = batches.window if changed is None and batches.streamed else changed
        self._link(batches.splits[0].inputs.shape[1:].numel())
        plan.labels = not batches.splits[0].targets.is_floating_point()
        plan.targets = 0 if plan.labels else batches.splits[0].targets.shape[1]
        plan.examples, plan.batch_size, plan.batches_per_epoch = (
            batches.examples, batches.batch_size, batches.steps_per_epoch
        )  # fmt: skip
        plan.steps_per_epoch, plan.accumulate = steps_per_epoch, accumulate
        self.noise_keys = noise_keys.contiguous()
        plan.noise_keys = self.noise_keys.data_ptr()
        self._told = (-1, -1)

    def _set_order(self, first: int, last: int) -> None:
        """Hand over the examples' order in the epochs of minibatches `first` to `last`; those of a window, too."""
        plan, batches = self.plan, self.batches
        per = batches.steps_per_epoch
        epochs = (first // per, last // per) if per > 1 or self._changed else (0, 0)
        told = (first, last) if self._window and per > 1 else epochs
        if told == self._told:
            return
        self._told = told
        self._order = None  # gives its memory back
        if self._window:
            order, splits = self._window(*told)
            orders = order.unsqueeze(0)
        else:
            orders, data = batches.orders(*epochs)  # (epochs, G, n)
            splits = [batches.splits[position] for position in data]
        each = plan.members // orders.shape[1]
        size = orders.element_size() * orders.shape[2]
        plan.first_epoch, plan.order_stride = epochs[0], orders.stride(0)
        groups = np.arange(plan.members, dtype=np.uint64) // np.uint64(each)
        inputs, targets = ([getattr(split, name) for split in splits] for name in ("inputs", "targets"))
        self._held = inputs, targets
        self._order = orders, groups * np.uint64(size) + np.uint64(orders.data_ptr())
        self._sources = [np.repeat(components.pointers(rows), each) for rows in (inputs, targets)]
        plan.order = self._order[1].ctypes.data
        plan.inputs, plan.labelled = (source.ctypes.data for source in self._sources)

    def _first_minibatch(self, step: int) -> int:
        """The first minibatch of a step, counted through the whole training."""
        epoch, position = divmod(step, self.plan.steps_per_epoch)
        return int(epoch * self.plan.batches_per_epoch + position * self.plan.accumulate)

    def train(
        self, first: int, count: int, rates: Tensor, phases: Phase = Phase.GRADIENT | Phase.UPDATE, skip: bool = False,
        losses: np.ndarray | None = None,
    ) -> Block:  # fmt: skip
        """Do steps `first` (from 0) to `first + count - 1`, or the given phases of them.

        Args:
            rates: learning rates (count, 1) for all members or (count, M), float64.
            skip: leave out updates that are not finite, rather than stop there.
            losses: of the gradients, (1, M), where they were computed by an earlier call.
        """
        plan = self.plan
        per_update = plan.accumulate
        start = self._first_minibatch(first)
        epoch_end = (start // plan.batches_per_epoch + 1) * plan.batches_per_epoch
        end = self._first_minibatch(first + count - 1)
        self._set_order(start, max(end, min(end + per_update, epoch_end) - 1))
        members = plan.members
        losses = np.empty((count, members)) if losses is None else losses
        ended, skipped = np.empty(members, dtype=np.int64), np.zeros(members, dtype=np.int64)
        plan.first_step, plan.steps, plan.phases, plan.skip = first, count, phases, skip
        plan.rates, plan.rate_of_step = rates.data_ptr(), rates.shape[1]
        plan.rate_of_member = int(rates.shape[1] > 1)
        plan.losses, plan.ended, plan.skipped = losses.ctypes.data, ended.ctypes.data, skipped.ctypes.data
        plan.threads = self._threads(count * per_update * plan.batch_size)
        self.library.nnlab_train(ctypes.byref(plan))
        return Block(losses, ended, skipped)

    def outputs(self, inputs: Tensor | Sequence[Tensor], keys: Tensor | None = None) -> Tensor:
        """Outputs (M, N, O) in evaluation mode, from inputs (G, N, ...), M / G members side by side share theirs.

        Args:
            keys: (noise modules, M), from which masks are drawn.
        """
        return self._pass(inputs, keys)[0]

    def probabilities(
        self, inputs: Sequence[Tensor], targets: Sequence[Tensor], keys: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Softmax probabilities (M, N, C) and losses (M, N), as `outputs`, for targets (G, N) int64."""
        return self._pass(inputs, keys, targets)

    def _pass(
        self, inputs: Tensor | Sequence[Tensor], keys: Tensor | None, targets: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor]:
        """Outputs and no losses, or with `targets` probabilities and losses."""
        rows = [(row.flatten(1) if row.dim() > 1 else row.unsqueeze(1)).contiguous() for row in inputs]
        self._link(rows[0].shape[1])
        plan = Plan.from_buffer_copy(self.plan)  # the inputs of training stay where they are
        each = plan.members // len(rows)
        sources = np.repeat(components.pointers(rows), each)
        outputs = rows[0].new_empty(plan.members, len(rows[0]), self.chain[-1].outputs)
        losses = rows[0].new_empty(plan.members, len(rows[0]) if targets else 0)
        if targets:
            labelled = np.repeat(components.pointers(targets), each)
            smoothings = np.broadcast_to(components.smoothing(self.loss), plan.members).copy()
            plan.labels, plan.labelled, plan.smoothings = 1, labelled.ctypes.data, smoothings.ctypes.data
            plan.example_losses = losses.data_ptr()
        plan.inputs, plan.count, plan.outputs = sources.ctypes.data, len(rows[0]), outputs.data_ptr()
        keys = None if keys is None else keys.contiguous()
        plan.pass_keys = None if keys is None else keys.data_ptr()
        plan.threads = self._threads(plan.count)
        self.library.nnlab_outputs(ctypes.byref(plan))
        return outputs, losses

    def _threads(self, examples: int) -> int:
        """How many threads are worth starting for this many examples of each member."""
        work: int = self.plan.members * self.plan.parameters * examples
        return max(1, min(self.threads, work // WORTH_A_THREAD))
