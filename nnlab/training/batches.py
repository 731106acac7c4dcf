"""Minibatches of M members: each member's own data set and order, gathered on the device in one operation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnlab.randomness import generator
from nnlab.types import Dataset, Split


class Batches:
    """The training split of every member, in an order drawn anew each epoch from (seed, epoch); full batches in one.

    Members whose data set is the same object share its memory; members that share their seed too read each batch
    once. Nothing here has a state: any batch can be asked for at any time.

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
        train = [dataset.train for dataset in distinct]
        single = len(train) == 1
        self.inputs = train[0].inputs if single else torch.cat([split.inputs for split in train])
        self.targets = train[0].targets if single else torch.cat([split.targets for split in train])
        self.sources = [(position[id(d)] * self.examples, seed) for d, seed in zip(datasets, seeds, strict=True)]
        self._epoch = -1

    def select(self, rows: Sequence[int]) -> None:
        """Keep only the members in `rows`."""
        self.sources = [self.sources[row] for row in rows]
        self._epoch = -1

    def _start(self, epoch: int) -> None:
        """Draw the order of `epoch`: indices (M, n), or (1, n) where all members share them."""
        sources = self.sources
        if self.steps_per_epoch == 1:  # the order within a full batch does not matter
            sources = [(offset, 0) for offset, _ in sources]
        distinct = list(dict.fromkeys(sources))
        self.shared = len(distinct) == 1
        orders = {
            source: torch.randperm(self.examples, generator=generator(source[1], "order", epoch)) + source[0]
            for source in distinct
        }
        rows = distinct if self.shared else sources
        self._order = torch.stack([orders[source] for source in rows]).to(self.inputs.device)
        self._epoch = epoch

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs (M, n, ...) and targets (M, n, ...) of step 0, 1, ...; the last batch of an epoch may be smaller."""
        epoch, position = divmod(step, self.steps_per_epoch) if self.steps_per_epoch > 1 else (0, 0)
        if epoch != self._epoch:
            self._start(epoch)
        start = position * self.batch_size
        index = self._order[:, start : start + self.batch_size]
        flat = index.reshape(-1)
        inputs = self.inputs.index_select(0, flat).view(*index.shape, *self.inputs.shape[1:])
        targets = self.targets.index_select(0, flat).view(*index.shape, *self.targets.shape[1:])
        members = len(self.sources)
        if self.shared and members > 1:
            inputs, targets = inputs.expand(members, *inputs.shape[1:]), targets.expand(members, *targets.shape[1:])
        return inputs, targets


def stacked_scale(datasets: Sequence[Dataset]) -> Tensor | None:
    """Standard deviations that were divided out of the targets: (C,), or (M, 1, C) where members have their own."""
    own = [dataset.target_std for dataset in datasets]
    if all(std is own[0] for std in own):
        return own[0]
    return torch.stack([std for std in own if std is not None]).unsqueeze(1)


def stacked_split(datasets: Sequence[Dataset], name: str) -> Split:
    """One split of all members, (M, n, ...); members that share their data set share the memory."""
    splits: list[Split] = [getattr(dataset, name) for dataset in datasets]
    first = splits[0]
    if all(split is first for split in splits):
        members = len(splits)
        inputs, targets = first.inputs, first.targets
        return Split(inputs.expand(members, *inputs.shape), targets.expand(members, *targets.shape))
    return Split(torch.stack([s.inputs for s in splits]), torch.stack([s.targets for s in splits]))
