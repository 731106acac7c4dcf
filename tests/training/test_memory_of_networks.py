"""How many networks are trained at once depends on what one of them takes, its parameters and optimizer too."""

from __future__ import annotations

import pytest

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.recipe.trials import Trials
from nnlab.training import memory
from nnlab.training.memory import network_bytes, values_per_example


def test_a_network_takes_its_parameters_optimizer_minibatch_and_predictions() -> None:
    trainer = build_trainer([compose("data=digits", "callbacks=[]", "trainer.batch_size=50", "optimizer=adam")])
    parameters, examples = trainer.stack.theta.shape[1], len(trainer.members[0].dataset.train)
    values = memory.PASSES * values_per_example(trainer.stack.member(0), trainer.members[0].dataset.train.inputs[:2])
    assert network_bytes(trainer) == 4 * ((memory.COPIES + 2) * parameters + 50 * (values + 2 * 64) + 20 * examples)


@pytest.mark.parametrize(("networks", "together"), [(0.5, 1), (3.5, 3), (100, 8)])
def test_trials_are_as_many_at_once_as_the_memory_holds(
    networks: float, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose("data=digits", "callbacks=[]", "architecture.widths=[1000]")
    one = network_bytes(build_trainer([config]))
    monkeypatch.setattr(memory, "free_memory", lambda device: int(networks * one / memory.SHARE))
    groups = Trials(config).groups([{"seed": seed} for seed in range(8)])
    assert max(map(len, groups)) == together
    assert sorted(position for group in groups for position in group) == list(range(8))
