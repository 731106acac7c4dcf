"""Several processes train as one does: the same losses for every component, and a population to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from recorder import Recorder
from test_equality import CASES, CONV, STEPS, TINY, configs

from nnlab.config.build import build_callbacks, build_trainer
from nnlab.data.augmentation import Affine, Augmentation, Elastic, Flip, GaussianNoise, Shift
from nnlab.runs.joining import Joined, group_for
from nnlab.training import Callback, Trainer
from nnlab.training.division import Division, NativeDivision
from nnlab.training.group import Command
from nnlab.training.replicas import RecordedReplica, Replica

MOONS = ["data=moons", "data.limit=60", "architecture.widths=[4]", "trainer.batch_size=full", "trainer.steps=50"]
# Fewer steps: a line search that ends elsewhere by rounding alone goes another way.
SECOND_ORDER = {
    f"optimizer={name}": (
        [
            "data=moons",
            "data.limit=60",
            "architecture.widths=[4]",
            "trainer.batch_size=full",
            "trainer.steps=50",
            f"optimizer={name}",
        ],
        {},
    )
    for name in ("lbfgs", "bfgs", "newton")
}
FURTHER = {
    "sharpness-aware": ([*TINY, "regularizer=[sam]"], {}),
    "average of weights": ([*TINY, "regularizer=[ema]"], {}),
    "optimizer=muon": ([*TINY, "optimizer=muon"], {}),
    "optimizer=lion": ([*TINY, "optimizer=lion"], {}),
    "optimizer=adafactor": ([*TINY, "optimizer=adafactor"], {}),
    "one example more than two": ([*TINY, "trainer.batch_size=3"], {}),
    "last minibatch of one": ([*TINY, "data.limit=201", "trainer.batch_size=20", "architecture.batch_norm=true"], {}),
    "minibatches from a mapping": ([*TINY, "data.resident=false", "trainer.batch_size=17"], {}),
    "augmented from a mapping": ([*CONV, "data.resident=false", "data/augmentation=[shift]"], {}),
    "full batch": ([*TINY, "trainer.batch_size=full"], {}),
    "both bounds and accumulation": (
        [*TINY, "trainer.accumulate=3", "trainer.batch_size=17", "trainer.clip_norm=1", "trainer.clip_value=0.05"],
        {},
    ),
    "batch norm, accumulated": ([*TINY, "architecture.batch_norm=true", "trainer.accumulate=2"], {}),
}
ALL = {**CASES, **SECOND_ORDER, **FURTHER}
# Equal hidden units, whose gradient is rounding alone, which Adam blows up.
del ALL["initialization=constant"]
QUICK = {"optimizer=adam", "dropout", "convnet batch norm", "accumulate", "last minibatch of one", "optimizer=lbfgs"}


@pytest.fixture(scope="module")
def group() -> Iterator[Joined]:
    """This process, and another that follows it."""
    with group_for({"processes": 2, "device": "cpu"}) as joined:
        assert joined is not None
        yield joined


def together(group: Joined, chosen: list[dict[str, Any]]) -> Trainer:
    """The trainer of a group."""
    trainer = build_trainer(chosen, group=group)
    group.say(Command.PREPARE)
    group.share((chosen, 1))
    return trainer


def chosen_for(case: str, seeds: list[int], steps: int = STEPS) -> list[dict[str, Any]]:
    shared, differing = ALL[case]
    own = {key: values[: len(seeds)] for key, values in differing.items()}
    chosen = configs(shared, own, seeds, "trainer.precision=float64", "trainer.engine=torch")
    for config in chosen:
        given = "trainer.steps" in " ".join(shared)
        config["trainer"]["steps"] = min(steps, config["trainer"]["steps"] if given else steps)
    return chosen


@pytest.mark.parametrize(
    "case", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in ALL]
)
def test_several_processes_have_the_losses_that_a_process_alone_has(case: str, group: Joined) -> None:
    convolves = any("convnet" in each or "resnet" in each for each in ALL[case][0])
    chosen = chosen_for(case, [7], 60 if convolves else STEPS)
    two = together(group, chosen)
    assert isinstance(two.engine, Replica)
    two.fit()
    one = build_trainer(chosen).fit()
    assert two.history.losses.shape == one.history.losses.shape
    np.testing.assert_allclose(two.history.losses, one.history.losses, rtol=1e-9, atol=1e-12)
    for mine, theirs in zip(two.history.records, one.history.records, strict=True):
        assert mine.values == pytest.approx(theirs.values, rel=1e-7, abs=1e-9, nan_ok=True)
    for split, evaluation in one.final_evaluations().items():
        for name, value in evaluation.metrics.items():
            torch.testing.assert_close(two.final_evaluations()[split].metrics[name], value, rtol=1e-7, atol=1e-9)


class Looking(Callback):
    """Takes the second member out of training after forty steps, and looks at some before."""

    changes_state = True

    def wants(self, step: int) -> bool:
        return step in (3, 17, 39)

    def after_backward(self, trainer: Trainer) -> None:
        self.seen = [*getattr(self, "seen", []), trainer.stack.gradient.clone(), trainer.inputs.clone()]

    def step_end(self, trainer: Trainer) -> None:
        if trainer.step == 40:
            trainer.end([1], "completed", "it has left")


def assert_same_bits(one: Trainer, other: Trainer) -> None:
    np.testing.assert_array_equal(one.history.losses, other.history.losses)
    assert torch.equal(one.stack.theta, other.stack.theta)
    assert torch.equal(one.best.theta, other.best.theta)
    assert [each.values for each in one.history.records] == [each.values for each in other.history.records]
    assert one.outcomes == other.outcomes


RATES = {"optimizer.learning_rate": [0.01, 0.003, 0.001]}


def test_members_divided_among_processes_have_the_bits_of_one_process(group: Joined) -> None:
    more = [*TINY, "regularizer=[dropout,weight_decay]", "trainer.batch_size=17"]
    chosen = configs(more, RATES, [0, 1, 7], "trainer.precision=float64")
    trainers = [together(group, chosen), build_trainer(chosen)]
    assert isinstance(trainers[0].engine, NativeDivision)
    for trainer in trainers:
        trainer.callbacks.append(Looking())
        trainer.fit()
    assert_same_bits(*trainers)
    for mine, theirs in zip(*(trainer.callbacks[-1].seen for trainer in trainers), strict=True):  # type: ignore[attr-defined]
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_divided_member_that_diverges_leaves_the_others_as_they_are(engine: str, group: Joined) -> None:
    rates = {"optimizer.learning_rate": [1e200, 0.1, 0.2, 0.05]}
    more = [*TINY, "optimizer=momentum", f"trainer.engine={engine}", "data.limit=200"]
    chosen = configs(more, rates, [0, 1, 7, 8], "trainer.precision=float64", "trainer.steps=60")
    two, one = together(group, chosen).fit(), build_trainer(chosen).fit()
    assert two.statuses == ["diverged", "completed", "completed", "completed"]
    assert [each.reason for each in two.outcomes] == [each.reason for each in one.outcomes]
    np.testing.assert_allclose(two.history.losses, one.history.losses, rtol=1e-9)


def test_more_processes_than_members_leave_some_without_work(
    group: Joined, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "size", 3)
    assert [group.part(2, rank) for rank in range(3)] == [slice(0, 1), slice(1, 2), slice(2, 2)]
    build_trainer(configs(TINY, {}, [0, 1]), group=group)
    assert "1 have none" in caplog.text


@pytest.mark.parametrize(
    "more", [["trainer.engine=torch", "architecture.batch_norm=true"], CONV], ids=["mlp", "convnet"]
)
def test_members_divided_among_processes_equal_those_of_one_where_torch_trains(more: list[str], group: Joined) -> None:
    chosen = configs([*more, "trainer.steps=20"], RATES, [0, 1, 7], "trainer.precision=float64")
    two, one = together(group, chosen).fit(), build_trainer(chosen).fit()
    assert isinstance(two.engine, Division)
    np.testing.assert_allclose(two.history.losses, one.history.losses, rtol=1e-9, atol=1e-12)


def test_without_synchronization_each_process_normalizes_its_slice(group: Joined) -> None:
    more = [*TINY, "architecture.batch_norm=true", "trainer.steps=20", "trainer.sync_batch_norm=false"]
    chosen = configs(more, {}, [7], "trainer.precision=float64")
    own = together(group, chosen).fit().history.losses
    whole = build_trainer(chosen).fit().history.losses
    assert np.abs(own / whole - 1).max() > 1e-3


def test_callbacks_see_the_whole_minibatch_and_its_gradient(group: Joined) -> None:
    chosen = configs([*TINY, "regularizer=[dropout]", "data/augmentation=[gaussian_noise]"], {}, [7])
    seen = []
    for trainer in (together(group, chosen), build_trainer(chosen)):
        trainer.callbacks.append(Looking())
        trainer.advance(3)
        trainer._looked_at_step(trainer.callbacks[-1:])
        seen.append(trainer.callbacks[-1].seen)  # type: ignore[attr-defined]
    torch.testing.assert_close(seen[0][0], seen[1][0], rtol=1e-5, atol=1e-7)
    assert torch.equal(seen[0][1], seen[1][1])


def test_a_step_that_is_not_finite_ends_or_repairs_the_run_in_all_processes(group: Joined) -> None:
    for policy in ("stop", "skip", "restore"):
        more = [*TINY, "optimizer=momentum", "data.limit=200", "trainer.engine=torch", "trainer.steps=30"]
        rates = {"optimizer.learning_rate": [1e30]}
        chosen = configs(more, rates, [7], f"trainer.on_nonfinite={policy}")
        two, one = together(group, chosen).fit(), build_trainer(chosen).fit()
        assert two.outcomes == one.outcomes


@pytest.mark.parametrize("more", [[*TINY, "regularizer=[dropout]", "trainer.batch_size=17"], CONV], ids=len)
def test_recorded_steps_with_the_sum_between_them_are_the_steps(
    more: list[str], group: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = configs([*more, "trainer.steps=30"], {}, [7], "trainer.precision=float64", "trainer.engine=torch")
    graphs: list[Recorder] = []

    def new_graph() -> Recorder:
        graphs.append(Recorder())
        return graphs[-1]

    with monkeypatch.context() as patch:
        engine = "nnlab.training.trainer.make_engine"
        patch.setattr(engine, lambda *each: RecordedReplica(*each[:5], new_graph=new_graph).join(group))
        two = together(group, chosen)
    two.fit()
    assert sum(graph.replays for graph in graphs) > 40
    one = build_trainer(chosen).fit()
    np.testing.assert_allclose(two.history.losses, one.history.losses, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seeds", [[7], [0, 1, 7]], ids=["one network", "a population"])
def test_early_stopping_looks_at_the_whole(seeds: list[int], group: Joined) -> None:
    more = [
        *TINY, "regularizer=[early_stopping]", "regularizer.early_stopping.patience=2", "data.limit=300",
        "optimizer.learning_rate=0.05", "trainer.validate_unit=step", "trainer.validate_every=5",
    ]  # fmt: skip
    chosen = configs(more, {}, seeds, "trainer.precision=float64")
    callbacks = [build_callbacks(chosen[0])[:1] for _ in range(2)]
    two, one = together(group, chosen), build_trainer(chosen)
    for trainer, own in zip((two, one), callbacks, strict=True):
        trainer.callbacks = list(own)
        trainer.fit()
    assert any("early stopping" in each.reason for each in one.outcomes)
    assert two.outcomes == one.outcomes


def test_a_time_limit_ends_all_processes_after_the_same_step(group: Joined) -> None:
    chosen = configs(TINY, {}, [7], "trainer.time_limit=0.3")
    chosen[0]["trainer"]["steps"] = 10**6
    two = together(group, chosen).fit()
    assert 0 < two.step < 10**6
    assert "the time limit was reached at step" in two.outcomes[0].reason
    assert together(group, configs(TINY, {}, [7])).fit().step == STEPS  # the other waits for the next command


class Mean(Augmentation):
    """Adds a tenth of the minibatch's mean, which no slice knows."""

    needs_images = False

    def __call__(self, inputs: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return inputs + 0.1 * inputs.mean((1, *range(2, inputs.dim())), keepdim=True)


def test_an_augmentation_that_looks_at_other_examples_gets_the_whole_minibatch(group: Joined) -> None:
    [config] = configs(TINY, {}, [7], "trainer.precision=float64", "trainer.steps=20")
    config["data"]["augmentation"] = {"mean": {"_target_": f"{__name__}.Mean"}}
    two, one = together(group, [config]).fit(), build_trainer([config]).fit()
    np.testing.assert_allclose(two.history.losses, one.history.losses, rtol=1e-9)


def test_each_augmentation_of_a_part_is_that_part_of_the_whole() -> None:
    inputs, keys = torch.rand(1, 7, 2, 6, 5, dtype=torch.float64), torch.tensor([12345])
    for kind in (Affine, Elastic, Flip, GaussianNoise, Shift):
        whole, part = kind(), kind()
        part.first = 3
        torch.testing.assert_close(part(inputs[:, 3:], keys), whole(inputs, keys)[:, 3:], rtol=1e-12, atol=1e-12)
