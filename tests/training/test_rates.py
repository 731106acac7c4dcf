"""Learning rates in blocks are those of the whole table, whatever the length of a run and of its epochs."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.training import rates

SMALL = ["data.limit=100", "architecture.widths=[4]", "callbacks=[]", "trainer.device=cpu", "trainer.epochs=null"]
SCHEDULES = ["constant", "step", "cosine", "linear", "inverse_sqrt", "cyclic", "one_cycle", "coslog"]


@pytest.mark.parametrize("unit", ["epoch", "step"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_blocks_of_rates_are_pieces_of_the_whole_table(name: str, unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "BLOCK", 16)
    config = compose(*SMALL, f"scheduler={name}", f"scheduler.unit={unit}", "scheduler.warmup=2", "trainer.steps=100")
    engine = build_trainer([config]).engine
    scheduler, rate = engine.members[0].scheduler, engine.learning_rate(0)
    whole = (scheduler.table(100, engine.steps_per_epoch) * rate).tolist()
    assert [engine.rates.at(step) for step in range(100)] == pytest.approx(whole, rel=1e-15)
    assert engine.rates.exact(5, 60)[:, 0].tolist() == [engine.rates.at(step) for step in range(5, 65)]


def test_rates_of_members_that_differ_are_columns() -> None:
    configs = [compose(*SMALL, f"optimizer.learning_rate={rate}", "trainer.steps=9") for rate in (0.1, 0.2)]
    engine = build_trainer(configs).engine
    column = engine.rates.at(2)
    assert isinstance(column, torch.Tensor)
    assert column.shape == (2, 1)
    block = engine.rates.exact(2, 4)
    assert block.shape == (4, 2)
    torch.testing.assert_close(block[:, 1], 2 * block[:, 0])


@pytest.mark.parametrize("kind", ["native", "torch"])
def test_the_history_of_a_member_has_the_rates_of_the_run_alone_to_the_last_bit(kind: str) -> None:
    configs = [
        compose(*SMALL, f"optimizer.learning_rate={rate}", "trainer.steps=9", f"trainer.engine={kind}")
        for rate in (0.01, 0.3)
    ]
    together = build_trainer(configs).fit().history.rates
    for member, config in enumerate(configs):
        alone = build_trainer([config]).fit().history.rates
        assert np.array_equal(together[:, member], alone[:, 0])


def test_an_epoch_of_the_schedule_is_one_of_updates_where_gradients_are_accumulated() -> None:
    config = compose(
        *SMALL, "trainer.batch_size=8", "trainer.accumulate=2", "trainer.steps=20", "scheduler=step", "optimizer=sgd"
    )
    config["scheduler"]["milestones"] = [2]
    trainer = build_trainer([config]).fit()
    drop = int(np.flatnonzero(np.diff(trainer.history.rates[:, 0]))[0]) + 1
    assert drop == 2 * trainer.steps_per_epoch


def test_a_run_of_any_length_with_a_time_limit_costs_no_memory_for_its_schedule() -> None:
    config = compose(*SMALL, "trainer.steps=100000000000", "trainer.time_limit=0.3")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trainer = build_trainer([config]).fit()
    assert trainer.outcomes[0].reason.startswith("the time limit was reached at step")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
