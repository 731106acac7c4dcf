"""The engine of chains: blocks of steps in compiled code, which give the same bits as steps one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from nnlab.loss.base import Loss
from nnlab.training.batches import spread
from nnlab.training.engine import Engine
from nnlab.training.member import Member
from nnlab.training.native import components
from nnlab.training.native.chain import THREADS, Lack, NativeChain, lack_of
from nnlab.training.native.compiled import Block, Compiled
from nnlab.training.native.plan import Phase
from nnlab.training.settings import TrainerSettings
from nnlab.types import Split

log = logging.getLogger(__name__)

MANY = 1 << 18  # positions of examples
STREAMED = 1 << 22  # numbers of examples that are in memory together where all are too many, or made anew
_announced: set[str] = set()


def is_native(members: Sequence[Member], loss: Loss, settings: TrainerSettings, device: torch.device) -> bool:
    """Whether compiled code trains these members; says once where one would expect it to, and it does not."""
    lack = lack_of(members[0].network, loss, device, settings.engine)
    if lack is None and settings.precision == "bf16":
        lack = Lack("it does not know bf16")
    if lack is None and (name := components.missing_rule(members[0])):
        lack = Lack(f"it does not know {name}")
    if lack is None:
        return True
    asked = settings.engine == "native"
    if (asked or not lack.expected) and lack.reason not in _announced:
        _announced.add(lack.reason)
        log.log(logging.WARNING if asked else logging.INFO, "the torch engine runs, not compiled code: %s", lack.reason)
    return False


class NativeEngine(Engine):
    """An `Engine` whose stack is a `NativeChain`, for rules that compiled code knows; see `is_native`."""

    name: ClassVar[str] = "native"
    stack: NativeChain

    def __init__(
        self, members: Sequence[Member], loss: Loss, settings: TrainerSettings, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._version, self._position = (-1, -1), -1
        super().__init__(members, loss, settings, device, dtype)
        self.stack.threads = settings.threads or THREADS

    def advance(self, first: int, count: int) -> Tensor:
        if len(self.active) * self.batches.examples > MANY:  # the orders of two epochs would take too much memory
            count = min(count, self.steps_per_epoch - first % self.steps_per_epoch)
        if self.batches.streamed or self.rules.augmentations:
            count = min(count, self.steps_per_epoch - first % self.steps_per_epoch, self._steps_at_once())
        restores = self.guard.policy == "restore"
        before = self._copy() if restores else []
        block = self._train(first, count)
        failed = block.ended[block.ended >= 0]
        if restores and len(failed):  # the others must not be ahead of those that are taken back
            for value, old in zip(self._changing(), before, strict=True):
                value.copy_(old)
            block = self._train(first, int(failed.min()) - first + 1)
        self._unload()
        return self._noted(block, first)

    def backward(self) -> None:
        block = self._train(self.step, 1, Phase.GRADIENT)
        self.losses = torch.from_numpy(block.losses[0]).to(self.dtype)

    def update(self) -> Tensor:
        losses = self.losses.double().numpy()[None].copy()
        return self._noted(self._train(self.step, 1, Phase.UPDATE, losses), self.step)[0]

    def select(self, rows: Sequence[int]) -> None:
        super().select(rows)
        self._unload()  # what was loaded is the others', too

    def _unload(self) -> None:
        """Let go of the minibatch that was loaded."""
        self._position, self._batch = -1, (torch.empty(0), torch.empty(0))

    @property
    def inputs(self) -> Tensor:
        return spread(self._loaded()[0], len(self.active))

    @property
    def targets(self) -> Tensor:
        return spread(self._loaded()[1], len(self.active))

    def _loaded(self) -> tuple[Tensor, Tensor]:
        """The present minibatch; after a block, the last of its last step."""
        if self._position < 0:
            self._load(self._positions()[-1])
        return self._batch

    def _train(
        self, first: int, count: int, phases: Phase = Phase.GRADIENT | Phase.UPDATE, losses: np.ndarray | None = None
    ) -> Block:
        compiled = self._compiled()
        return compiled.train(first, count, self.rates.exact(first, count), phases, self.guard.policy == "skip", losses)

    def _compiled(self) -> Compiled:
        """The compiled code, told anew of rules and data where they have changed."""
        compiled, version = self.stack.compiled, (self.stack.bound, self.merged)
        if version != self._version:
            members = [self.members[position] for position in self.active]
            compiled.set_rules(members)
            keys = torch.tensor([member.noise_key for member in members])
            changed = self._window if self.rules.augmentations else None
            compiled.set_data(self.batches, keys, self.steps_per_epoch, self.settings.accumulate, changed)
            self._version = version
        compiled.set_state(self.state)
        return compiled

    def _window(self, first: int, last: int) -> tuple[Tensor, list[Split]]:
        """Augmented minibatches `first` to `last` of one epoch, as `Batches.window`; every member has its own."""
        made = [self._batch if each == self._position else self.minibatch(each) for each in range(first, last + 1)]
        inputs, targets = (torch.cat(parts, 1) for parts in zip(*made, strict=True))
        members, start = len(self.active), first % self.batches.steps_per_epoch * self.batches.batch_size
        order = torch.zeros(members, self.batches.examples, dtype=torch.long)
        order[:, start : start + inputs.shape[1]] = torch.arange(inputs.shape[1])
        return order, [Split(*rows) for rows in zip(inputs, spread(targets, members), strict=True)]

    def _steps_at_once(self) -> int:
        """Steps whose streamed or augmented examples are in memory together."""
        numbers = self.batches.splits[0].inputs.shape[1:].numel() * self.batches.batch_size * self.settings.accumulate
        return max(1, STREAMED // (numbers * len(self.active)))

    def _noted(self, block: Block, first: int) -> Tensor:
        """The block's losses (done, M), after the guard has been told what was not finite."""
        losses = torch.from_numpy(block.losses).to(self.dtype)
        if self.guard.policy == "skip":
            self.guard.left_out += torch.from_numpy(block.skipped)
        for row in np.flatnonzero(block.ended >= 0).tolist():
            step = int(block.ended[row])
            self.guard.note(row, step, losses[step - first], self.stack.gradient)
            losses[step - first + 1 :, row] = torch.nan
        self.step = first + len(losses) - 1
        self.losses = losses[-1]
        return losses

    def _changing(self) -> list[Tensor]:
        """Everything that steps change."""
        return [self.stack.theta, *self.state.values(), *self.stack.buffers.values()]

    def _copy(self) -> list[Tensor]:
        return [value.clone() for value in self._changing()]
