"""A minibatch of one example is found before training where torch's batch norm cannot take it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import nnlab
from nnlab.errors import UserError
from nnlab.training.single import check_single_examples

NORMED = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize(("size", "fitting"), [(16, 15), (40, 39), (80, 79), (1, 3), (2, 3)])
def test_the_size_that_is_proposed_leaves_no_single_example(size: int, fitting: int) -> None:
    with pytest.raises(UserError, match=rf"batch_size={size}` leaves .* `trainer.batch_size={fitting}` leaves none"):
        check_single_examples(NORMED, torch.zeros(81, 3), size)
    assert 81 % fitting != 1
    check_single_examples(NORMED, torch.zeros(81, 3), fitting)


def test_networks_that_take_single_examples_may_have_them() -> None:
    images = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    check_single_examples(images, torch.zeros(81, 1, 8, 8), 16)
    check_single_examples(nn.Linear(3, 4), torch.zeros(81, 3), 16)
    check_single_examples(NORMED, torch.zeros(81, 3), "full")
    before = {name: value.clone() for name, value in images.state_dict().items()}
    assert all(torch.equal(value, before[name]) for name, value in images.state_dict().items())


def test_a_foreign_network_is_refused_before_its_folder_is_made(tmp_path: Path) -> None:
    few = ("data.limit=81", "trainer.batch_size=16", "trainer.epochs=1", f"output_dir={tmp_path}/out")
    with pytest.raises(UserError, match=r"a minibatch of one of the 81 training examples"):
        nnlab.train(*few, "architecture=convnet", "architecture.batch_norm=true")
    assert not list(tmp_path.glob("out/*/*/config.yaml"))
    assert nnlab.train(*few, "architecture.batch_norm=true", "callbacks=[checkpoint]").status == "completed"
