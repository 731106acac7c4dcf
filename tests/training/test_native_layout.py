"""Compiled steps learn the same from data of any layout in memory."""

from __future__ import annotations

import pytest
import torch

from nnlab.cli import compose
from nnlab.config.build import build_loss, build_member
from nnlab.training import Trainer, TrainerSettings
from nnlab.types import Dataset, Split, Task


@pytest.mark.parametrize("transposed", ["inputs", "targets", "both"])
def test_transposed_data_train_as_contiguous_data_do(transposed: str) -> None:
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 5, generator=draw, dtype=torch.float64)
    targets = torch.randn(40, 2, generator=draw, dtype=torch.float64)
    plain = Split(inputs, targets)
    odd = Split(
        inputs.T.contiguous().T if transposed != "targets" else inputs,
        targets.T.contiguous().T if transposed != "inputs" else targets,
    )
    found = []
    for split in (plain, odd):
        dataset = Dataset(split, split, split, Task.REGRESSION, ("a", "b"))
        config = compose("loss=squared_error", "architecture.widths=[4]", "optimizer.learning_rate=0.05")
        loss = build_loss(config, dataset)
        member = build_member(config, dataset, loss, 0)
        settings = TrainerSettings(epochs=3, batch_size=8, precision="float64", engine="native")
        trainer = Trainer([member], loss, settings)
        trainer.fit()
        found.append(trainer.stack.theta.clone())
    assert torch.equal(found[0], found[1])
