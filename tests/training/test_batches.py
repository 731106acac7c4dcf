"""Minibatches: an order of each member's own, except where it cannot matter."""

from __future__ import annotations

import torch

from nnlab.training.batches import Batches
from nnlab.types import Dataset, Split, Task


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
    assert inputs.shape == (3, 12, 1)
    assert inputs.stride(0) == 0, "members that share a data set share the memory of its full batch"
    assert torch.equal(inputs[0].sort(0).values.squeeze(1), torch.arange(12.0))
    assert torch.equal(targets, (inputs.squeeze(2) % 2).long())


def test_full_batches_of_different_data_sets_stay_apart() -> None:
    first, second = dataset(), dataset()
    second.train.inputs.add_(100)
    inputs, _ = Batches([first, second], [0, 1], None)(0)
    assert float(inputs[0].max()) == 11
    assert float(inputs[1].min()) == 100
