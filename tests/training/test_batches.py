"""Minibatches: an order of each member's own, except where it cannot matter."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from nnlab.training.batches import Batches, spread
from nnlab.types import Dataset, Split, Task
from nnlab.units import Units, stacked_units


def dataset(examples: int = 12) -> Dataset:
    split = Split(torch.arange(examples, dtype=torch.float32).unsqueeze(1), torch.arange(examples) % 2)
    return Dataset(split, split, split, Task.BINARY, ("0", "1"))


def test_minibatches_of_an_epoch_are_every_example_once_in_the_order_of_the_seed() -> None:
    data = dataset()
    batches = Batches([data, data], [0, 1], 5)
    epoch = torch.cat([batches(step)[0] for step in range(batches.steps_per_epoch)], 1).squeeze(2)
    assert torch.equal(epoch.sort(1).values, torch.arange(12.0).expand(2, -1))
    assert not torch.equal(epoch[0], epoch[1])


def test_full_batches_are_shared_by_all_seeds_and_hold_every_example() -> None:
    data = dataset()
    batches = Batches([data] * 3, [0, 1, 2], None)
    inputs, targets = batches(7)
    assert inputs.shape == (1, 12, 1), "members that share a data set share the memory of its full batch"
    assert torch.equal(inputs[0].sort(0).values.squeeze(1), torch.arange(12.0))
    assert torch.equal(targets, (inputs.squeeze(2) % 2).long())


def test_groups_of_members_that_share_their_seed_read_each_batch_once() -> None:
    data = dataset()
    inputs, _ = Batches([data] * 6, [4, 4, 4, 7, 7, 7], 5)(1)
    alone, _ = Batches([data] * 2, [4, 7], 5)(1)
    assert inputs.shape == (2, 5, 1)
    assert torch.equal(inputs, alone)
    members = spread(inputs, 6)
    assert [torch.equal(row, alone[0]) for row in members] == [True] * 3 + [False] * 3


def test_members_whose_groups_are_uneven_or_apart_have_their_own_rows() -> None:
    data = dataset()
    for seeds in ([4, 4, 7], [4, 7, 4, 7]):
        inputs, _ = Batches([data] * len(seeds), seeds, 5)(1)
        assert len(inputs) == len(seeds)
        for row, seed in zip(inputs, seeds, strict=True):
            assert torch.equal(row, Batches([data], [seed], 5)(1)[0][0])


def test_large_data_sets_stay_where_they_are_and_give_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = dataset(), dataset()
    second.train.inputs.add_(100)
    members = [first, second, second, first], [0, 1, 2, 0], 5
    joined = Batches(*members)
    with monkeypatch.context() as patch:
        patch.setattr("nnlab.training.batches.JOINED", 0)
        apart = Batches(*members)
    assert apart.splits[1].inputs is second.train.inputs
    for step in range(4):
        for one, other in zip(joined(step), apart(step), strict=True):
            assert torch.equal(one, other)


def test_full_batches_of_different_data_sets_stay_apart() -> None:
    first, second = dataset(), dataset()
    second.train.inputs.add_(100)
    inputs, _ = Batches([first, second], [0, 1], None)(0)
    assert float(inputs[0].max()) == 11
    assert float(inputs[1].min()) == 100


def test_targets_in_their_own_units_are_left_as_they_are_beside_standardised_ones() -> None:
    raw = dataset()
    standardised = dataclasses.replace(raw, units=Units(torch.tensor([2.0]), torch.tensor([3.0])))
    units = stacked_units([raw.units, standardised.units])
    assert units is not None
    assert torch.equal(units.std, torch.tensor([1.0, 3.0]).reshape(2, 1, 1))
    assert torch.equal(units.mean, torch.tensor([0.0, 2.0]).reshape(2, 1, 1))


def test_orders_are_those_of_their_epochs_whichever_were_asked_for_before_and_in_whose_memory_they_lie() -> None:
    data = dataset()
    batches = Batches([data] * 2, [4, 7], 5)
    for first, last in ((0, 0), (1, 2), (2, 2), (0, 1), (5, 5)):
        fresh = [Batches([data] * 2, [4, 7], 5).orders(epoch, epoch)[0] for epoch in range(first, last + 1)]
        assert torch.equal(batches.orders(first, last)[0], torch.cat(fresh))
        inputs, _ = batches(last * batches.steps_per_epoch)  # which somebody looks at, and keeps its order
        assert torch.equal(inputs.squeeze(2).long(), fresh[-1][0, :, :5])
