"""Learning rates of the members, a block of steps at a time, so that a run of any length costs the same memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnlab.members import Hyper
from nnlab.scheduler.base import Scheduler
from nnlab.training.member import Member

BLOCK = 4096  # steps whose rates are computed together; blocks begin at its multiples, whoever asks


class Rates:
    """The rates of a run's steps 0, 1, ...: numbers where the members share them, else columns (M, 1).

    Args:
        members: the members in the stack, whose schedules and configured rates decide.
        steps: of the whole run.
        steps_per_epoch: minibatches of an epoch, for schedules that count epochs.
    """

    def __init__(
        self, members: Sequence[Member], steps: int, steps_per_epoch: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.steps, self.steps_per_epoch = steps, steps_per_epoch
        self.device, self.dtype = device, dtype
        self._schedulers: dict[tuple[object, ...], Scheduler] = {}
        self._columns: list[tuple[tuple[object, ...], float]] = []
        for member in members:
            key = (type(member.scheduler), *map(str, vars(member.scheduler).items()))
            self._schedulers.setdefault(key, member.scheduler)
            self._columns.append((key, member.optimizer.learning_rate))
        self.shared = len(set(self._columns)) == 1
        self._start = -1
        self._numbers: list[float] = []
        self._table = torch.empty(0)
        self._exact = torch.empty(0)

    def at(self, step: int) -> Hyper:
        """The rate of one step, a number or (M, 1)."""
        self._load(step)
        position = step - self._start
        return self._numbers[position] if self.shared else self._table[position]

    def exact(self, first: int, count: int) -> Tensor:
        """The rates of `count` steps from `first`, float64 (count, 1), or (count, M) where members differ; those of a
        member are the same to the last bit whoever is beside it."""
        parts = []
        for start in range(first - first % BLOCK, first + count, BLOCK):
            self._load(start)
            parts.append(self._exact[max(first - start, 0) : min(first + count - start, BLOCK)])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _load(self, step: int) -> None:
        """Compute the block that `step` is in; steps after the last have its rate."""
        start = step - step % BLOCK
        if start == self._start:
            return
        self._start = start
        factors = {
            key: scheduler.table(self.steps, self.steps_per_epoch, start, start + BLOCK)
            for key, scheduler in self._schedulers.items()
        }
        columns = self._columns[:1] if self.shared else self._columns
        self._exact = torch.stack([factors[key] * rate for key, rate in columns], 1)
        if self.shared:
            self._numbers = self._exact[:, 0].tolist()
        else:
            self._table = self._exact.to(self.device, self.dtype).unsqueeze(2)
