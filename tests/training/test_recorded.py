"""Recorded steps take the steps of the loop as it stands, for every component; on the processor, with a stand-in for
CUDA graphs that shares their rules."""

from __future__ import annotations

import copy
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from recorder import Recorder
from test_equality import CASES, CONV, TINY, Leaving, configs
from torch import nn

from nnlab import randomness
from nnlab.config.build import build_trainer
from nnlab.sweep.cost import member_cost, step_seconds
from nnlab.training import Callback, Trainer
from nnlab.training.recorded import RecordedEngine, is_recordable

STEPS = 40


def recorded(chosen: list[dict[str, Any]]) -> tuple[Trainer, list[Recorder]]:
    """A trainer whose steps are recorded, and its recordings."""
    made: list[Recorder] = []

    def new_graph() -> Recorder:
        made.append(Recorder())
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "nnlab.training.trainer.make_engine", lambda *each: RecordedEngine(*each[:5], new_graph=new_graph)
        )
        return build_trainer(chosen), made


def recording(trainer: Trainer) -> bool:
    return isinstance(trainer.engine, RecordedEngine) and trainer.engine.recording


def short(shared: list[str], differing: dict[str, list[Any]], seeds: list[int], *more: str) -> list[dict[str, Any]]:
    steps = 12 if "architecture=convnet" in shared or "architecture=resnet" in shared else STEPS
    exact = ["trainer.precision=float64", "trainer.engine=torch"]
    chosen = configs(shared, differing, seeds, *exact, "data.limit=200", *more)
    for config in chosen:
        config["trainer"]["steps"] = steps
    return chosen


@pytest.mark.parametrize("seeds", [[0, 1, 7], [3, 3, 3], [5]], ids=["own", "shared", "alone"])
@pytest.mark.parametrize("case", [name for name in CASES if name != "accumulate"], ids=str)
def test_recorded_steps_are_the_steps(case: str, seeds: list[int], caplog: pytest.LogCaptureFixture) -> None:
    shared, differing = CASES[case]
    differing = {key: values[: len(seeds)] for key, values in differing.items()}
    trainer, graphs = recorded(short(shared, differing, seeds))
    assert is_recordable(trainer.members, trainer.settings)
    trainer.fit()
    assert "not recorded" not in caplog.text
    assert sum(graph.replays for graph in graphs) > 0.6 * 3 * trainer.step
    plain = build_trainer(short(shared, differing, seeds)).fit()
    np.testing.assert_allclose(trainer.history.losses, plain.history.losses, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(trainer.history.rates, plain.history.rates)
    torch.testing.assert_close(trainer.best.theta, plain.best.theta, rtol=1e-7, atol=1e-9)


def both(chosen: list[dict[str, Any]], *callbacks: type[Callback]) -> tuple[Trainer, Trainer]:
    """The same training recorded, and as it stands on a device where looking at numbers costs time."""
    with_graphs, _ = recorded(copy.deepcopy(chosen))
    plain = build_trainer(chosen)
    plain.engine.guard.deferred = True
    for trainer in (with_graphs, plain):
        trainer.callbacks += [callback() for callback in callbacks]
        trainer.fit()
    np.testing.assert_allclose(with_graphs.history.losses, plain.history.losses, rtol=1e-9, atol=1e-12)
    assert with_graphs.statuses == plain.statuses
    assert [each.reason for each in with_graphs.outcomes] == [each.reason for each in plain.outcomes]
    assert recording(with_graphs)
    return with_graphs, plain


def test_a_member_that_leaves_starts_the_recording_anew() -> None:
    chosen = short(TINY, {"optimizer.learning_rate": [0.01, 0.003, 0.001]}, [0, 1, 7])
    for config in chosen:
        config["trainer"]["steps"] = 80
    trainer, _ = both(chosen, Leaving)
    assert [each.ended_at for each in trainer.outcomes] == [80, 50, 80]


def test_steps_in_half_precision_are_recorded() -> None:
    chosen = configs([*CONV, "trainer.steps=12"], {}, [0, 1], "trainer.precision=bf16")
    trainer, graphs = recorded(chosen)
    trainer.fit()
    assert graphs
    assert recording(trainer)
    plain = build_trainer(chosen).fit()
    np.testing.assert_allclose(trainer.history.losses, plain.history.losses, rtol=1e-2)


def test_a_recording_keeps_what_only_a_cache_has() -> None:
    trainer, _ = recorded(short([*TINY, "regularizer=[dropout]"], {}, [0, 1]))
    trainer.fit()
    alive = {weakref.ref(tensor) for part in trainer.engine._parts.values() for tensor in part.held}  # type: ignore[attr-defined]
    counter = randomness._counter(0, 32 * 12, trainer.device).untyped_storage().data_ptr()
    randomness._counter.cache_clear()
    assert counter in {tensor().untyped_storage().data_ptr() for tensor in alive}  # type: ignore[union-attr]


class Spoiling(Callback):
    """Makes a gradient infinite in some steps, after which nothing is recorded yet, or everything is."""

    at: tuple[int, ...] = (1, 21)

    def after_backward(self, trainer: Trainer) -> None:
        if trainer.step in self.at and 1 in trainer.active:
            trainer.stack.gradient[trainer.active.index(1), 3] = float("inf")


class SpoilingLate(Spoiling):
    at = (21,)


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
@pytest.mark.parametrize("callback", [Spoiling, SpoilingLate])
@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_what_is_not_finite_is_found_in_a_replay(policy: str, callback: type[Callback], optimizer: str) -> None:
    more = (f"trainer.on_nonfinite={policy}", f"optimizer={optimizer}", "trainer.validate_every=10")
    trainer, _ = both(short(TINY, {}, [0, 1, 7], *more), callback)
    if policy == "stop":
        assert trainer.statuses == ["completed", "diverged", "completed"]
        assert trainer.outcomes[1].reason.startswith(f"diverged at step {callback.at[0] + 1}:")
    else:
        assert [each.repairs for each in trainer.outcomes] == [0, len(callback.at), 0]


def test_statistics_of_a_replay_are_those_of_its_step() -> None:
    chosen = short(TINY, {}, [0, 1], "callbacks=[statistics]", "callbacks.statistics.every=5")
    trainer, plain = both(chosen)
    assert any("dead" in tag for record in plain.history.records for tag in record.values)
    for mine, theirs in zip(trainer.history.records, plain.history.records, strict=True):
        assert (mine.step, mine.member) == (theirs.step, theirs.member)
        assert mine.values == pytest.approx(theirs.values, rel=1e-7, abs=1e-9, nan_ok=True)


class Counting(nn.Linear):
    """Decides in Python what it does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls = getattr(self, "calls", 0) + 1
        return super().forward(x) * self.calls


class Looking(nn.Linear):
    """Waits for the device."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * (2.0 if float(x.detach().sum()) > 0 else 1.0)


REASONS = {Counting: "a replay gave other numbers", Looking: "operation not permitted when stream is capturing"}


@pytest.mark.parametrize("kind", REASONS)
def test_a_network_that_cannot_be_recorded_goes_on_without(
    kind: type[nn.Linear], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = short(["architecture=perceptron"], {}, [0])
    monkeypatch.setattr("nnlab.training.stacks.is_chain", lambda network: False)
    trainer, _ = recorded(chosen)
    layer = next(module for module in trainer.stack.network.modules() if isinstance(module, nn.Linear))
    monkeypatch.setattr(layer, "__class__", kind)
    assert not is_recordable(trainer.members, trainer.settings)
    trainer.fit()
    assert f"not recorded as CUDA graphs, and take longer: {REASONS[kind]}" in caplog.text
    assert not recording(trainer)
    assert trainer.statuses == ["completed"]


@pytest.mark.parametrize(
    ("more", "recordable"),
    [
        ([], True),
        (["architecture=resnet", "architecture.blocks=1", "architecture.width=4"], True),
        (["trainer.accumulate=2"], False),
        (["trainer.on_nonfinite=restore"], False),
        (["optimizer=lbfgs", "trainer.batch_size=full"], False),
        (["optimizer._target_=torch.optim.NAdam"], False),
    ],
    ids=str,
)
def test_which_trainers_are_recorded(more: list[str], recordable: bool) -> None:
    trainer = build_trainer(configs(more, {}, [0], "data.limit=100"))
    assert is_recordable(trainer.members, trainer.settings) is recordable


def test_what_a_job_takes_is_found_with_its_steps_recorded() -> None:
    chosen = configs([], {}, [0], "architecture.widths=[16]", "data.limit=200")
    trainer, graphs = recorded(chosen)
    plain = build_trainer(chosen)
    assert member_cost(trainer).bytes > member_cost(plain).bytes
    seconds = step_seconds(trainer)
    assert seconds is not None
    assert 0 < seconds < 1
    assert len(graphs) == 3
    assert all(graph.replays > 1 for graph in graphs), "the shortest step is one that is replayed"
    assert len(plain.history.losses) == 0
