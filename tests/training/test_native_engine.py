"""The native engine trains as the torch engine does, a member as if it were alone, and a look changes nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_equality import CASES, STEPS, TINY, configs

from nnlab.config.build import build_trainer
from nnlab.training import Callback, Trainer, evaluator
from nnlab.training.native import build, chain, engine
from nnlab.training.native.engine import NativeEngine

pytestmark = pytest.mark.skipif(not build.compilers(), reason="no C++ compiler here")

# Networks that compiled code does not run, and one whose hidden units are equal, so that their gradient is nothing but
# rounding, which Adam blows up.
LEFT_OUT = (
    "convnet",
    "convolutional",
    "resnet",
    "shift",
    "affine",
    "elastic",
    "per example",
    "covariance",
    "constant",
    "realmlp",
    "batch_ensemble",
)
NATIVE = {
    **{name: case for name, case in CASES.items() if not any(part in name for part in LEFT_OUT)},
    "scheduler=constant": CASES["scheduler=constant"],
    "hard threshold": ([*TINY, "activation=hard_threshold"], {}),
    "dropout, scaled at test time": ([*TINY, "regularizer=[dropout]", "regularizer.dropout.scaling=test"], {}),
    "dropconnect without bias": ([*TINY, "regularizer=[dropconnect]", "architecture.batch_norm=true"], {}),
    "rmsprop, eps outside": ([*TINY, "optimizer=rmsprop", "optimizer.eps_inside=false"], {}),
    "weights of classes": ([*TINY, "loss.class_weights=balanced", "loss.label_smoothing=0.1", "data_seed=0"], {}),
    "weights of two classes": ([*TINY, "data=breast_cancer", "loss=hinge", "loss.class_weights=[1,2]"], {}),
    "squared error of classes": ([*TINY, "loss=squared_error"], {}),
    "gaussian, fixed": ([*TINY, "data=diabetes", "loss=gaussian_nll", "loss.variance=fixed"], {}),
    "one example a batch": ([*TINY, "trainer.batch_size=1"], {}),
    "full batch": ([*TINY, "trainer.batch_size=full", "trainer.validate_unit=step", "trainer.validate_every=50"], {}),
    "much at once": (
        [
            *TINY, "activation=prelu", "regularizer=[dropout,dropconnect,l1,weight_decay,max_norm]", "optimizer=adamw",
            "trainer.clip_norm=1", "trainer.clip_value=0.05", "trainer.accumulate=3", "trainer.batch_size=17",
        ],
        {"regularizer.l1.strength": [0.0, 1e-4, 1e-3], "optimizer.betas": [[0.9, 0.999], [0.8, 0.99], [0.5, 0.9]]},
    ),
}  # fmt: skip


def trained(chosen: list[dict[str, Any]], name: str, *callbacks: Callback, **settings: Any) -> Trainer:
    for config in chosen:
        config["trainer"] |= {"engine": name, **settings}
    trainer = build_trainer(chosen)
    assert isinstance(trainer.engine, NativeEngine) == (name == "native")
    trainer.callbacks.extend(callbacks)
    return trainer.fit()


def assert_same_bits(one: Trainer, other: Trainer, member: int = 0, row: int = 0) -> None:
    """Member `member` of one and `row` of the other have the same losses, records, and best weights."""
    losses, expected = one.history.losses[:, member], other.history.losses[:, row]
    assert np.array_equal(losses[: len(expected)], expected, equal_nan=True)
    assert np.isnan(losses[len(expected) :]).all()
    records = [
        [(record.step, str(record.values)) for record in trainer.history.records if record.member == position]
        for trainer, position in ((one, member), (other, row))
    ]
    assert records[0] == records[1]
    assert torch.equal(one.best.theta[member], other.best.theta[row])


@pytest.mark.parametrize("case", NATIVE, ids=str)
def test_training_equals_that_of_the_torch_engine(case: str) -> None:
    shared, differing = NATIVE[case]
    trainers = [
        trained(configs(shared, differing, [0, 1, 7], "trainer.precision=float64"), name)
        for name in ("native", "torch")
    ]
    assert len(trainers[0].history.losses) == STEPS
    np.testing.assert_allclose(trainers[0].history.losses, trainers[1].history.losses, rtol=1e-9, atol=1e-12)
    for one, other in zip(*(trainer.history.records for trainer in trainers), strict=True):
        assert (one.step, one.member) == (other.step, other.member)
        for metric, value in one.values.items():
            assert value == pytest.approx(other.values[metric], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("case", NATIVE, ids=str)
def test_a_member_equals_the_run_alone_to_the_last_bit(case: str) -> None:
    shared, differing = NATIVE[case]
    population = trained(configs(shared, differing, [0, 1, 7], "trainer.steps=60"), "native")
    for member, config in enumerate(configs(shared, differing, [0, 1, 7], "trainer.steps=60")):
        assert_same_bits(population, trained([config], "native"), member)


@pytest.mark.parametrize(
    "more",
    [
        ["data/augmentation=[affine,gaussian_noise]", "regularizer=[dropout]", "trainer.accumulate=3"],
        ["data/augmentation=[shift]", "trainer.batch_size=full"],
        ["data/augmentation=[elastic]", "data.resident=false", "trainer.batch_size=30"],
    ],
    ids=["several minibatches a step", "full batch", "streamed"],
)
def test_augmented_minibatches_are_those_of_the_torch_engine(more: list[str], tmp_path: Path) -> None:
    shared = [*TINY, *more, "data.limit=100", f"data_root={tmp_path}", "trainer.steps=12", "trainer.precision=float64"]
    chosen = configs(shared, {}, [0, 1])
    population, other = (trained(chosen, name) for name in ("native", "torch"))
    np.testing.assert_allclose(population.history.losses, other.history.losses, rtol=1e-9, atol=1e-12)
    assert_same_bits(population, trained([chosen[1]], "native"), 1)
    assert_same_bits(population, trained(chosen, "native", Looking(3)))
    assert_same_bits(population, trained(chosen, "native", Looking(1), Leaving()), 1, 1)


class Leaving(Callback):
    """Takes member 0 out in the middle of a step."""

    def after_backward(self, trainer: Trainer) -> None:
        if trainer.step == 5:
            trainer.end([0], "completed", "it has left")


class Looking(Callback):
    """Looks at every step, or at some."""

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.seen: list[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def wants(self, step: int) -> bool:
        return step % self.every == 0

    def after_backward(self, trainer: Trainer) -> None:
        gradient = trainer.stack.gradient.clone()
        self.seen.append((trainer.step, trainer.losses.clone(), gradient, trainer.inputs.clone()))


LOOKED_AT = [
    [*TINY],
    [*TINY, "trainer.accumulate=3", "regularizer=[l1,dropout]"],
    [*TINY, "architecture.batch_norm=true", "trainer.clip_norm=0.5"],
]


@pytest.mark.parametrize("more", LOOKED_AT, ids=str)
def test_a_look_changes_no_bit(more: list[str]) -> None:
    rates = {"optimizer.learning_rate": [0.01, 0.003]}
    plain, seen = (configs(more, rates, [0, 1], "trainer.steps=60") for _ in range(2))
    one, other = trained(plain, "native"), trained(seen, "native", Looking(7))
    for member in range(2):
        assert_same_bits(one, other, member, member)


@pytest.mark.parametrize("more", LOOKED_AT, ids=str)
def test_a_look_shows_what_the_torch_engine_shows(more: list[str]) -> None:
    looks = []
    for name in ("native", "torch"):
        looking = Looking(7)
        trained(configs(more, {}, [0, 1], "trainer.steps=20", "trainer.precision=float64"), name, looking)
        looks.append(looking.seen)
    for (step, losses, gradient, inputs), (other, *expected) in zip(*looks, strict=True):
        assert step == other
        torch.testing.assert_close((losses, gradient), tuple(expected[:2]), rtol=1e-9, atol=1e-12)
        if "trainer.accumulate=3" not in more:  # torch has the last of several minibatches loaded
            assert torch.equal(inputs, expected[2])


def exploding(policy: str, seeds: list[int]) -> list[dict[str, Any]]:
    """The second member's rate is so large that its loss leaves the finite numbers after some steps."""
    rates = {"optimizer.learning_rate": [0.01, 1e20, 0.003]}
    shared = [*TINY, "optimizer=sgd", "activation=identity", "scheduler=constant", f"trainer.on_nonfinite={policy}"]
    return configs(shared, rates, seeds, "trainer.steps=90", "trainer.validate_unit=step", "trainer.validate_every=5")


@pytest.mark.parametrize("policy", ["stop", "skip", "restore"])
def test_numbers_that_are_not_finite_are_met_as_on_the_torch_engine(policy: str) -> None:
    native, torch_engine = (trained(exploding(policy, [0, 1, 2]), name) for name in ("native", "torch"))
    for one, other in zip(native.outcomes, torch_engine.outcomes, strict=True):
        assert (one.status, one.ended_at) == (other.status, other.ended_at)
        assert abs(one.repairs - other.repairs) <= (policy == "restore")  # rounding may decide one of many restorations
    assert (
        native.outcomes[1].reason.split(";")[1:] == torch_engine.outcomes[1].reason.split(";")[1:] or policy != "stop"
    )
    assert native.outcomes[1].status == ("diverged" if policy == "stop" else "completed")
    losses = native.history.losses, torch_engine.history.losses
    np.testing.assert_allclose(losses[0][:, [0, 2]], losses[1][:, [0, 2]], rtol=1e-3)
    assert policy != "stop" or np.array_equal(np.isnan(losses[0][:, 1]), np.isnan(losses[1][:, 1]))


@pytest.mark.parametrize("policy", ["stop", "skip", "restore"])
def test_others_go_on_as_if_alone_beside_one_that_is_not_finite(policy: str) -> None:
    population = trained(exploding(policy, [0, 1, 2]), "native")
    for member, config in enumerate(exploding(policy, [0, 1, 2])):
        alone = trained([config], "native")
        assert_same_bits(population, alone, member)
        outcome, expected = population.outcomes[member], alone.outcomes[0]
        assert (outcome.status, outcome.reason, outcome.ended_at) == (
            expected.status, expected.reason, expected.ended_at
        )  # fmt: skip


def test_threads_change_no_bit() -> None:
    rates = {"optimizer.learning_rate": [0.01, 0.003, 0.001]}
    one, two = (trained(configs([], rates, [0, 1, 2]), "native", threads=threads) for threads in (1, 3))
    for member in range(3):
        assert_same_bits(one, two, member, member)


@pytest.mark.parametrize("threads", [1, 2])
def test_memory_of_gradients_that_have_vanished_becomes_zero(threads: int) -> None:
    members = configs([*TINY, "activation=relu", "optimizer=adam", f"trainer.threads={threads}"], {}, [0, 1])
    for config in members:
        config["trainer"]["engine"] = "native"
    trainer = build_trainer(members)
    next(value for name, value in trainer.stack.views.items() if name.endswith("bias"))[:] = -1e6  # all units are dead
    memory, smallest = trainer.engine.state["m"], torch.finfo(torch.float32).smallest_normal
    memory[:] = 1e-37
    trainer.engine.advance(0, 40)
    alive = memory[:, -trainer.members[0].dataset.target_size :]  # the output layer's bias
    assert (alive.abs() > smallest).all()
    assert int((memory != 0).sum()) == alive.numel()
    assert float(torch.tensor(smallest) / 4) > 0, "outside of the engine small numbers stay"


@pytest.mark.parametrize("more", [[], ["regularizer=[dropout]", "regularizer.dropout.inference=monte_carlo"]])
def test_a_population_that_is_evaluated_in_parts_has_the_same_bits(
    more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = configs([*TINY, *more], {}, [0, 1, 2], "trainer.steps=10")
    whole = trained(chosen, "native").final_evaluations()
    monkeypatch.setattr(evaluator, "KEPT", 2 * whole["validation"].prediction[0].numel())  # two members, or one
    parts = trained(chosen, "native")
    theta, gradient = parts.stack.theta.clone(), parts.stack.gradient.shape
    for split, evaluation in parts.final_evaluations().items():
        assert callable(evaluation.predicted)
        assert evaluation.of_members == whole[split].of_members
        assert torch.equal(evaluation.prediction, whole[split].prediction)
        some, same = evaluation.prediction_of([2, 0]), whole[split].prediction[[2, 0]]
        torch.testing.assert_close(some, same, rtol=1e-6 if more else 0, atol=0)  # a mean over masks rounds otherwise
    assert torch.equal(parts.stack.theta, theta)
    assert parts.stack.gradient.shape == gradient


def test_monte_carlo_masks_are_those_of_the_torch_engine() -> None:
    more = ["regularizer=[dropout]", "regularizer.dropout.inference=monte_carlo", "regularizer.dropout.samples=7"]
    native, other = (
        trained(configs([*TINY, *more], {}, [0, 1], "trainer.steps=30", "trainer.precision=float64"), name)
        for name in ("native", "torch")
    )
    for split, evaluation in native.final_evaluations().items():
        torch.testing.assert_close(
            evaluation.prediction, other.final_evaluations()[split].prediction, rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("inference", ["mean", "gaussian"])
def test_a_copy_of_a_member_draws_what_the_member_draws_in_the_population(inference: str) -> None:
    more = [*TINY, "regularizer=[dropconnect]", "regularizer.dropconnect.samples=3", "trainer.steps=30"]
    chosen = configs(
        [*more, f"regularizer.dropconnect.inference={inference}"],
        {"regularizer.dropconnect.p": [0.2, 0.5]},
        [0, 1],
        "trainer.precision=float64",
    )
    native, other = (trained(chosen, name) for name in ("native", "torch"))
    predictions = [each.final_evaluations()["test"].prediction for each in (native, other)]
    torch.testing.assert_close(*predictions, rtol=1e-6, atol=1e-9)
    stack, inputs = native.stack, native.members[0].dataset.test.inputs.double()
    stack.set_keys(torch.arange(2 * len(stack.noise)).reshape(-1, 2))
    for name in stack.noise:
        stack.network.get_submodule(name).sampling = True
    together, copies = stack.outputs(inputs[None]), [stack.member(row) for row in range(2)]
    torch.testing.assert_close(together, torch.stack([copy(inputs) for copy in copies]), rtol=1e-9, atol=1e-12)
    assert [copy.get_submodule(stack.noise[-1]).p.item() for copy in copies] == [0.2, 0.5]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["architecture=convnet", "architecture.channels=[2]"], "layer `conv1` (Conv2d)"),
        (["trainer.precision=bf16"], "bf16"),
        (["regularizer=[dropconnect]", "regularizer.dropconnect.per=example"], "layer `linear1` (DropConnectLinear)"),
        (["loss=gaussian_nll", "loss.variance=covariance", "data=diabetes"], "layer `output` (SharedCovarianceHead)"),
    ],
    ids=["layer", "precision", "noise", "head"],
)
def test_what_compiled_code_does_not_know_is_announced_once_and_runs_on_torch(
    more: list[str], words: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_announced", set())
    with caplog.at_level(logging.INFO, logger="nnlab.training.native.engine"):
        for _ in range(2):
            trainer = build_trainer(configs(more, {}, [0], "trainer.steps=2", "trainer.engine=native")).fit()
    assert trainer.engine.name == "torch"
    assert trainer.statuses == ["completed"]
    assert len(caplog.messages) == 1
    assert words in caplog.messages[0]


def test_a_missing_compiler_means_the_torch_engine_and_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise build.BuildError("no C++ compiler was found")

    monkeypatch.setattr(engine, "_announced", set())
    monkeypatch.setattr(build, "library", missing)
    with caplog.at_level(logging.INFO, logger="nnlab.training.native.engine"):
        for _ in range(2):
            trainer = build_trainer(configs(TINY, {}, [0], "trainer.steps=3")).fit()
    assert trainer.engine.name == "torch"
    assert trainer.statuses == ["completed"]
    assert len(caplog.messages) == 1
    assert 'pip install "nnlab[native]"' in caplog.messages[0]


def test_auto_takes_compiled_code_for_small_networks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    (small,) = configs(TINY, {}, [0])
    (large,) = configs(["architecture.widths=[1500,1500]"], {}, [0])
    monkeypatch.setattr(build, "processor", lambda: "AMD EPYC")
    monkeypatch.setattr(chain, "THREADS", 8)
    assert build_trainer([small]).engine.name == "native"
    assert build_trainer([large]).engine.name == "torch"
    monkeypatch.setattr(chain, "THREADS", 1)  # torch's products have no more than compiled code
    assert build_trainer([large]).engine.name == "native"
    if torch.backends.mkl.is_available():
        monkeypatch.setattr(build, "processor", lambda: "Intel(R) Xeon(R)")
        assert build_trainer([large]).engine.name == "torch"
    monkeypatch.setattr(chain, "THREADS", 8)
    large["trainer"]["engine"] = "native"
    assert build_trainer([large]).engine.name == "native"
