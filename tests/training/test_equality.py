"""A member of a population equals the same run trained alone: every component that can be stacked, in one table."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.training import Callback, Trainer
from nnlab.training.chain import Chain

STEPS = 200
TINY = ["architecture.widths=[12,8]"]
CONV = ["architecture=convnet", "architecture.channels=[4,6]", "architecture.hidden=8", "data.limit=400"]
ACTIVATIONS = [
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "prelu",
    "elu",
    "softplus",
    "gelu",
    "silu",
    "selu",
    "mish",
]
INITIALIZATIONS = ["gaussian", "xavier", "he", "orthogonal", "pytorch", "constant", "data_dependent", "given"]
OPTIMIZERS = ["sgd", "momentum", "heavy_ball", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"]
SCHEDULERS = ["constant", "step", "cosine", "linear", "inverse_sqrt", "cyclic", "one_cycle", "coslog"]

# Overrides shared by all members, and for each key the values in which the members differ.
CASES: dict[str, tuple[list[str], dict[str, list[Any]]]] = {
    **{f"activation={name}": ([*TINY, f"activation={name}"], {}) for name in ACTIVATIONS},
    **{
        f"initialization={name}": ([*TINY, f"initialization={name}"], {"initialization.scale": [1.0, 0.5, 2.0]})
        for name in INITIALIZATIONS
    },
    **{
        f"optimizer={name}": ([*TINY, f"optimizer={name}"], {"optimizer.learning_rate": [0.01, 0.003, 0.001]})
        for name in OPTIMIZERS
    },
    **{f"scheduler={name}": ([*TINY, f"scheduler={name}", "scheduler.warmup=1"], {}) for name in SCHEDULERS},
    "adam betas": ([*TINY], {"optimizer.betas": [[0.9, 0.999], [0.8, 0.99], [0.5, 0.9]]}),
    "heavy_ball momentum": ([*TINY, "optimizer=heavy_ball"], {"optimizer.momentum": [0.9, 0.5, 0.0]}),
    "momentum arithmetic": ([*TINY, "optimizer=momentum", "optimizer.average=arithmetic"], {}),
    "schedules that differ": ([*TINY], {"scheduler.warmup": [0, 1, 2]}),
    "weight_decay": ([*TINY], {"regularizer.weight_decay.strength": [0.0, 1e-4, 1e-2]}),
    "decoupled": (
        [*TINY, "regularizer.weight_decay.decoupled=true"],
        {"regularizer.weight_decay.strength": [0.0, 1e-2, 1e-1]},
    ),
    "l1": ([*TINY, "regularizer=[l1]"], {"regularizer.l1.strength": [1e-3, 1e-4, 1e-2]}),
    "max_norm": ([*TINY, "regularizer=[max_norm]"], {"regularizer.max_norm.max_norm": [0.5, 1.0, 2.0]}),
    "dropout": (
        [*TINY, "regularizer=[dropout]", "regularizer.dropout.input_p=0.2"],
        {"regularizer.dropout.p": [0.5, 0.25, 0.1]},
    ),
    "dropconnect": ([*TINY, "regularizer=[dropconnect]"], {"regularizer.dropconnect.p": [0.5, 0.25, 0.1]}),
    "dropconnect per example": ([*TINY, "regularizer=[dropconnect]", "regularizer.dropconnect.per=example"], {}),
    "clip_norm": ([*TINY], {"trainer.clip_norm": [0.5, 1.0, None]}),
    "clip_value": ([*TINY], {"trainer.clip_value": [0.01, 0.1, None]}),
    "accumulate": ([*TINY, "trainer.accumulate=3", "trainer.batch_size=20"], {}),
    "label noise": ([*TINY], {"data.label_noise": [0.0, 0.1, 0.3]}),
    "batch norm": ([*TINY, "architecture.batch_norm=true"], {}),
    "perceptron": (["architecture=perceptron"], {}),
    "convnet": (CONV, {}),
    "convnet dropout": ([*CONV, "regularizer=[dropout]"], {"regularizer.dropout.p": [0.5, 0.25, 0.1]}),
    "convnet batch norm": ([*CONV, "architecture.batch_norm=true"], {}),
    "all convolutional": ([*CONV, "architecture.variant=all_convolutional"], {}),
    "resnet": (
        ["architecture=resnet", "architecture.blocks=1", "architecture.width=4", "data.limit=200", "trainer.steps=30"],
        {},
    ),
    "realmlp": (
        [
            "architecture=realmlp",
            *TINY,
            "data=diabetes",
            "loss=squared_error",
            "loss.clamp=true",
            "regularizer=[dropout]",
        ],
        {"regularizer.dropout.p": [0.15, 0.3, 0.1]},
    ),
    "batch_ensemble": ([*TINY, "regularizer=[batch_ensemble,dropout]", "regularizer.batch_ensemble.heads=3"], {}),
    "batch_ensemble of realmlp": (
        ["architecture=realmlp", *TINY, "regularizer=[batch_ensemble]", "regularizer.batch_ensemble.heads=3"],
        {},
    ),
    "robust": ([*TINY, "data/preprocessing=robust"], {}),
    "quantile": ([*TINY, "data/preprocessing=quantile"], {}),
    "piecewise linear": ([*TINY, "data/preprocessing=piecewise_linear", "data_seed=0"], {}),
    "shift": ([*CONV, "data/augmentation=[shift]"], {}),
    "affine and noise": ([*CONV, "data/augmentation=[affine,gaussian_noise]"], {}),
    "elastic": ([*CONV, "data/augmentation=[elastic]", "trainer.steps=50"], {}),
    "squared_error": ([*TINY, "data=diabetes", "loss=squared_error"], {}),
    "gaussian_nll": ([*TINY, "data=heteroscedastic", "loss=gaussian_nll"], {}),
    "gaussian_nll covariance": ([*TINY, "data=diabetes", "loss=gaussian_nll", "loss.variance=covariance"], {}),
    "hinge": ([*TINY, "data=breast_cancer", "loss=hinge"], {}),
    "binary_cross_entropy": ([*TINY, "data=moons", "loss=binary_cross_entropy"], {}),
    "multiclass_svm": ([*TINY, "loss=multiclass_svm"], {}),
    "label smoothing": ([*TINY], {"loss.label_smoothing": [0.0, 0.0, 0.0]}),
}


class Leaving(Callback):
    """Takes the second member out of training after fifty steps."""

    changes_state = True

    def step_end(self, trainer: Trainer) -> None:
        if trainer.step == 50:
            trainer.end([1], "completed", "it has left")


def configs(shared: list[str], differing: dict[str, list[Any]], seeds: list[int], *more: str) -> list[dict[str, Any]]:
    base = compose("callbacks=[]", f"trainer.steps={STEPS}", "trainer.epochs=null", *more, *shared)
    built = []
    for position, seed in enumerate(seeds):
        config = _copy(base)
        config["seed"] = seed
        for key, values in differing.items():
            *path, leaf = key.split(".")
            section = config
            for name in path:
                section = section[name]
            section[leaf] = values[position]
        built.append(config)
    return built


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value


def assert_equal_losses(population: Trainer, alone: list[Trainer], rtol: float, atol: float, steps: int) -> None:
    for member, trainer in enumerate(alone):
        np.testing.assert_allclose(
            population.history.losses[:steps, member], trainer.history.losses[:steps, 0], rtol=rtol, atol=atol
        )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_member_equals_the_run_alone_in_float64(case: str) -> None:
    shared, differing = CASES[case]
    chosen = configs(shared, differing, [0, 1, 7], "trainer.precision=float64")
    if "trainer.steps" not in " ".join(shared):
        for config in chosen:
            config["trainer"]["steps"] = STEPS if "convnet" not in " ".join(shared) else 60
    population = build_trainer(chosen)
    alone = [build_trainer([config]) for config in chosen]
    for member, trainer in enumerate(alone):
        assert torch.equal(population.stack.theta[member], trainer.stack.theta[0]), "initial weights differ"
    population.fit()
    for trainer in alone:
        trainer.fit()
    assert np.isfinite(population.history.losses).all()
    assert_equal_losses(population, alone, 1e-9, 1e-12, len(population.history.losses))


@pytest.mark.parametrize("case", ["optimizer=adam", "dropout", "convnet", "gaussian_nll"], ids=str)
def test_member_equals_the_run_alone_in_float32_over_ten_steps(case: str) -> None:
    shared, differing = CASES[case]
    chosen = configs([*shared, "trainer.steps=10"], differing, [0, 1, 7])
    alone = [build_trainer([config]).fit() for config in chosen]
    assert_equal_losses(build_trainer(chosen).fit(), alone, 1e-4, 1e-6, 10)


@pytest.mark.parametrize("name", ["chain", "batch norm", "prelu", "dropout", "dropconnect"])
def test_the_equations_by_hand_equal_autograd(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {
        "chain": [],
        "batch norm": ["architecture.batch_norm=true"],
        "prelu": ["activation=prelu"],
        "dropout": ["regularizer=[dropout]"],
        "dropconnect": ["regularizer=[dropconnect]"],
    }[name]
    for count in (1, 3):
        short = ["trainer.precision=float64", "trainer.steps=100", "trainer.engine=torch"]
        chosen = configs([*TINY, *more], {}, list(range(count)), *short)
        by_hand = build_trainer(chosen)
        assert isinstance(by_hand.stack, Chain)
        by_hand.fit()
        with monkeypatch.context() as patch:
            patch.setattr("nnlab.training.stacks.is_chain", lambda network: False)
            by_autograd = build_trainer(chosen)
        assert not isinstance(by_autograd.stack, Chain)
        by_autograd.fit()
        np.testing.assert_allclose(by_hand.history.losses, by_autograd.history.losses, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("strengths", [[0.1, 0.1], [0.1, 0.3]], ids=["shared", "own"])
def test_penalties_pull_at_weights_and_leave_biases_alone(strengths: list[float]) -> None:
    trainer = build_trainer(configs(TINY, {"regularizer.weight_decay.strength": strengths}, [0, 1]))
    stack = trainer.stack
    stack.theta.normal_()
    stack.gradient.zero_()
    trainer.engine.rules.add_penalties(trainer.stack)
    expected = torch.tensor(strengths).unsqueeze(1) * stack.theta * trainer.engine.rules.mask
    torch.testing.assert_close(stack.gradient, expected)
    assert 0 < int(trainer.engine.rules.mask.sum()) < stack.theta.shape[1]


def test_members_with_their_own_seed_have_their_own_order_and_data() -> None:
    trainer = build_trainer(configs(TINY, {}, [0, 1]))
    (inputs, _), again = trainer.engine.batches(0), build_trainer(configs(TINY, {}, [1])).engine.batches(0)
    assert not torch.equal(inputs[0], inputs[1])
    assert torch.equal(inputs[1], again[0][0])


def test_members_that_share_seed_and_data_read_each_batch_once() -> None:
    trainer = build_trainer(configs(TINY, {"optimizer.learning_rate": [0.1, 0.01]}, [3, 3]))
    inputs, _ = trainer.engine.batches(0)
    assert len(inputs) == 1


def test_every_combination_of_member_count_and_order_is_the_same_member() -> None:
    rates = [0.01, 0.003, 0.001]
    losses = {}
    for order in itertools.permutations(range(3)):
        chosen = configs(
            TINY,
            {"optimizer.learning_rate": [rates[i] for i in order]},
            list(order),
            "trainer.precision=float64",
            "trainer.steps=40",
        )
        trainer = build_trainer(chosen).fit()
        for row, member in enumerate(order):
            reference = losses.setdefault(member, trainer.history.losses[:, row])
            np.testing.assert_allclose(trainer.history.losses[:, row], reference, rtol=1e-9)


GROUPED = [
    [*TINY],
    [*TINY, "activation=prelu", "architecture.batch_norm=true"],
    [*TINY, "regularizer=[dropconnect]"],
    [*TINY, "regularizer=[dropout]", "regularizer.dropout.input_p=0.2"],
    [*TINY, "loss=squared_error"],
    [*TINY, "trainer.accumulate=2"],
    ["architecture=perceptron"],
    [*CONV, "data/augmentation=[shift]", "trainer.steps=40"],
]


@pytest.mark.parametrize("more", GROUPED, ids=str)
def test_groups_of_members_that_share_their_batches_equal_the_runs_alone(more: list[str]) -> None:
    differing = {"optimizer.learning_rate": [0.01, 0.003, 0.001, 0.0003]}
    chosen = configs(more, differing, [3, 3, 5, 5], "trainer.precision=float64")
    population = build_trainer(chosen)
    assert len(population.engine.batches(0)[0]) == 2
    population.fit()
    alone = [build_trainer([config]).fit() for config in chosen]
    assert_equal_losses(population, alone, 1e-9, 1e-12, len(population.history.losses))


def test_a_group_that_loses_a_member_goes_on_with_the_same_losses() -> None:
    differing = {"optimizer.learning_rate": [0.01, 0.003, 0.001, 0.0003]}
    chosen = configs(TINY, differing, [3, 3, 5, 5], "trainer.precision=float64")
    population = build_trainer(chosen)
    population.callbacks.append(Leaving())
    population.fit()
    alone = [build_trainer([config]).fit() for config in chosen]
    for member in (0, 2, 3):
        reference = alone[member].history.losses[:, 0]
        np.testing.assert_allclose(population.history.losses[:, member], reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("more", [[], ["regularizer=[dropconnect]"], ["activation=prelu"]], ids=str)
def test_members_that_share_their_batches_equal_the_runs_alone(more: list[str]) -> None:
    differing = {"optimizer.learning_rate": [0.01, 0.003, 0.001]}
    chosen = configs([*TINY, *more], differing, [3, 3, 3], "trainer.precision=float64")
    population = build_trainer(chosen).fit()
    alone = [build_trainer([config]).fit() for config in chosen]
    assert_equal_losses(population, alone, 1e-9, 1e-12, STEPS)
