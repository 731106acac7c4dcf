"""A trainer leaves what it is given as it is: members, networks, optimizers, data."""

from __future__ import annotations

import torch

from nnlab.cli import compose
from nnlab.config.build import build_loss, build_members
from nnlab.training import Callback, Trainer, TrainerSettings


class Spoil(Callback):
    """Makes a gradient infinite in two steps."""

    def after_backward(self, trainer: Trainer) -> None:
        if trainer.step in (3, 5):
            trainer.stack.gradient.fill_(torch.inf)


def test_the_callers_members_keep_their_weights_data_and_rates() -> None:
    config = compose("data.limit=60", "architecture.widths=[4]", "callbacks=[]", "optimizer=sgd")
    members = [member for seed in (0, 1) for member in build_members({**config, "seed": seed})]
    weights = [[p.clone() for p in member.network.parameters()] for member in members]
    datasets = [member.dataset for member in members]
    rates = [member.optimizer.learning_rate for member in members]
    settings = TrainerSettings(epochs=2, batch_size=8, precision="float64", device="cpu", on_nonfinite="restore")
    trainer = Trainer(members, build_loss(config, datasets[0]), settings, [Spoil()]).fit()
    assert [outcome.repairs for outcome in trainer.outcomes] == [2, 2]
    assert [trainer.engine.learning_rate(member) for member in (0, 1)] == [rate / 4 for rate in rates]
    assert [member.optimizer.learning_rate for member in members] == rates
    assert [member.dataset for member in members] == datasets
    for member, before in zip(members, weights, strict=True):
        for parameter, value in zip(member.network.parameters(), before, strict=True):
            assert parameter.dtype == torch.float32
            assert torch.equal(parameter, value)
    assert members[0].network.training
