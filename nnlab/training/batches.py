"""Minibatches of M members: each member's own data set and order, gathered on the device in one operation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnlab.randomness import generator
from nnlab.streaming import Streamed
from nnlab.training.prefetch import AHEAD, Prefetch
from nnlab.types import Dataset, Split

JOINED = 1 << 26  # bytes up to which the members' data sets are joined, which saves a call for each of them


class Batches:
    """The training split of every member, in an order drawn anew each epoch from (seed, epoch); full batches in one.

    Members whose data set is the same object share its memory. Where M = G K members stand side by side in G groups
    of K that share their seed, too, a batch is read once for each group: (G, n, ...), which `spread` repeats for the
    members. Nothing here has a state: any batch can be asked for at any time.

    Args:
        datasets: one data set per member.
        seeds: one seed per member, for the order.
        batch_size: examples in a batch; `None` takes all.
    """

    def __init__(self, datasets: Sequence[Dataset], seeds: Sequence[int], batch_size: int | None) -> None:
        distinct = list({id(dataset): dataset for dataset in datasets}.values())
        position = {id(dataset): i for i, dataset in enumerate(distinct)}
        self.examples = len(distinct[0].train)
        self.batch_size = min(batch_size or self.examples, self.examples)
        self.steps_per_epoch = -(-self.examples // self.batch_size)
        # Example by example in memory, as compiled code reads them, whatever made the tensors.
        self.splits = [Split(d.train.inputs.contiguous(), d.train.targets.contiguous()) for d in distinct]
        self.streamed = any(isinstance(split.inputs, Streamed) for split in self.splits)
        joined = len(distinct) == 1 or (not self.streamed and len(distinct) * _bytes(distinct[0].train) <= JOINED)
        if len(distinct) > 1 and joined:
            inputs = torch.cat([split.inputs for split in self.splits])
            self.splits = [Split(inputs, torch.cat([split.targets for split in self.splits]))]
        self.offset = self.examples if joined else 0  # of each data set in the joined one
        self.sources = [(position[id(d)], seed) for d, seed in zip(datasets, seeds, strict=True)]
        self._epoch = -1
        self._recent: dict[int, tuple[Tensor, list[int]]] = {}  # epochs whose orders were asked for last
        self._prefetch = self._new_prefetch() if self.streamed else None

    def _new_prefetch(self) -> Prefetch:
        """A thread that fetches streamed minibatches; one that is all examples is not fetched ahead of its use."""
        cpu, device = torch.device("cpu"), self.splits[0].inputs.device
        self._host = [split.to(cpu, split.inputs.dtype) for split in self.splits]
        return Prefetch(self.index, self._room, self._fill, device, AHEAD if self.steps_per_epoch > 1 else 0)

    def select(self, rows: Sequence[int]) -> None:
        """Keep only the members in `rows`."""
        if self._prefetch is not None:
            self._prefetch.forget()
        self.sources = [self.sources[row] for row in rows]
        self._epoch = -1
        self._recent = {}

    def _start(self, epoch: int) -> None:
        """Draw the order of `epoch`: indices (G, n)."""
        self._order, self._data = self._recent.get(epoch) or self._drawn(epoch)
        if not self.streamed:
            self._order = self._order.to(self.splits[0].inputs.device)
        self._epoch = epoch

    def _drawn(self, epoch: int, room: Tensor | None = None) -> tuple[Tensor, list[int]]:
        """The order (G, n) of `epoch`, maybe in the `room` of another, and which data set each row is of."""
        sources = self.sources
        if self.steps_per_epoch == 1:  # the order within a full batch does not matter
            sources = [(data, 0) for data, _ in sources]
        distinct = list(dict.fromkeys(sources))
        each = len(sources) // len(distinct)
        regular = sources == [source for source in distinct for _ in range(each)]
        rows = distinct if regular else sources
        order = torch.empty(len(rows), self.examples, dtype=torch.long) if room is None else room
        first: dict[tuple[int, int], int] = {}
        for position, (data, seed) in enumerate(rows):
            row = order[position]
            if first.setdefault((data, seed), position) < position:
                row.copy_(order[first[data, seed]])
                continue
            torch.randperm(self.examples, generator=generator(seed, "order", epoch), out=row)
            if data and self.offset:
                row += data * self.offset
        return order, [data for data, _ in rows]

    def orders(self, first: int, last: int) -> tuple[Tensor, list[int]]:
        """The orders (epochs, G, n) of the epochs `first` to `last`, and which of `splits` each of the G rows is of."""
        if self._epoch >= 0 and self._order.device.type == "cpu":
            self._recent.setdefault(self._epoch, (self._order, self._data))
        known = {epoch: self._recent.pop(epoch) for epoch in range(first, last + 1) if epoch in self._recent}
        if self._epoch not in known and self._prefetch is None:
            self._epoch, self._order = -1, torch.empty(0)
            room = [order for order, _ in self._recent.values()]  # an order takes as much as small networks' weights
        else:
            room = []
        for epoch in range(first, last + 1):
            if epoch not in known:
                known[epoch] = self._drawn(epoch, room.pop() if room else None)
        self._recent = dict(sorted(known.items()))
        orders = [order.unsqueeze(0) for order, _ in self._recent.values()]
        data = self._recent[first][1]
        return orders[0] if len(orders) == 1 else torch.cat(orders), [0 for _ in data] if self.offset else data

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs (G, n, ...) and targets (G, n, ...) of step 0, 1, ...; the last batch of an epoch may be smaller."""
        if self._prefetch is not None:
            inputs, targets = self._prefetch(step)
            return inputs, targets
        return self.gather(self.index(step))

    def index(self, step: int) -> Tensor:
        """Positions (G, n) of the examples of step 0, 1, ..."""
        epoch, position = divmod(step, self.steps_per_epoch) if self.steps_per_epoch > 1 else (0, 0)
        if epoch != self._epoch:
            self._start(epoch)
        start = position * self.batch_size
        return self._order[:, start : start + self.batch_size]

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (G, n, ...) and targets (G, n, ...) of the examples at the positions `index` (G, n)."""
        splits = self.splits
        if self.streamed:
            room = self._room(index)
            self._fill(room, index.cpu())
            inputs, targets = (values.to(splits[0].inputs.device) for values in room)
            return inputs, targets
        if len(splits) == 1:
            return _rows(splits[0].inputs, index), _rows(splits[0].targets, index)
        inputs = splits[0].inputs.new_empty(*index.shape, *splits[0].inputs.shape[1:])
        targets = splits[0].targets.new_empty(*index.shape, *splits[0].targets.shape[1:])
        for group, data in enumerate(self._data):
            torch.index_select(splits[data].inputs, 0, index[group], out=inputs[group])
            torch.index_select(splits[data].targets, 0, index[group], out=targets[group])
        return inputs, targets

    def _room(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Memory of the processor for the inputs and targets of streamed examples at `index` (G, n)."""
        inputs, targets = self._host[0].inputs, self._host[0].targets
        return (
            torch.empty(*index.shape, *inputs.shape[1:], dtype=inputs.dtype),
            torch.empty(*index.shape, *targets.shape[1:], dtype=targets.dtype),
        )

    def _fill(self, room: tuple[Tensor, ...], index: Tensor) -> None:
        """Write the streamed examples at `index` (G, n) there."""
        data = self._data if len(self.splits) > 1 else [0] * len(index)
        for each, rows, inputs, targets in zip(data, index, *room, strict=True):
            split = self._host[each]
            if isinstance(split.inputs, Streamed):
                split.inputs.made(split.inputs.index[rows], inputs)
            else:
                torch.index_select(split.inputs, 0, rows, out=inputs)
            torch.index_select(split.targets, 0, rows, out=targets)

    def window(self, first: int, last: int) -> tuple[Tensor, list[Split]]:
        """Streamed minibatches `first` to `last` of one epoch, for code that reads memory.

        Returns:
            The order (G, n) of the epoch, in which these minibatches' examples are numbered 0, 1, ..., and G splits of
            these examples alone.
        """
        epoch, start = divmod(first, self.steps_per_epoch)
        order, data = self.orders(epoch, epoch)
        place = slice(start * self.batch_size, (start + 1 + last - first) * self.batch_size)
        splits = []
        numbered = order[0].clone()
        for each, rows, numbers in zip(data, order[0, :, place], numbered[:, place], strict=True):
            splits.append(Split(self.splits[each].inputs[rows], self.splits[each].targets[rows]))
            torch.arange(len(rows), out=numbers)
        return numbered, splits


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """The rows `index` (G, n) of values (examples, ...), as (G, n, ...)."""
    return values.index_select(0, index.reshape(-1)).view(*index.shape, *values.shape[1:])


def _bytes(split: Split) -> int:
    return split.inputs.numel() * split.inputs.element_size()


def spread(groups: Tensor, members: int) -> Tensor:
    """Rows (M, ...) for all members from those of G groups (G, ...), M/G members to each.

    >>> spread(torch.tensor([1, 2]), 6)
    tensor([1, 1, 1, 2, 2, 2])
    """
    if len(groups) == members:
        return groups
    if len(groups) == 1:
        return groups.expand(members, *groups.shape[1:])
    return groups.repeat_interleave(members // len(groups), 0)


def distinct_rows(rows: Tensor) -> Tensor:
    """Rows (M, ...) that are one row in memory as that row (1, ...); others as they are."""
    return rows[:1] if rows.stride(0) == 0 else rows


def groups_of(splits: Sequence[Split]) -> list[Split]:
    """The splits of the G groups of members, side by side and equally many, that share theirs; else those of all."""
    distinct = list({id(split): split for split in splits}.values())
    each = len(splits) // len(distinct)
    regular = all(split is distinct[row // each] for row, split in enumerate(splits)) if each > 1 else False
    return distinct if regular and each * len(distinct) == len(splits) else list(splits)


def stacked(rows: Sequence[Tensor]) -> Tensor:
    """Tensors (n, ...) as (G, n, ...); a single one keeps its memory."""
    return rows[0].unsqueeze(0) if len(rows) == 1 else torch.stack(list(rows))
