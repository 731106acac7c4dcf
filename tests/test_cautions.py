"""Choices that are allowed but seldom meant: one sentence on standard error, once, and the run trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nnlab
from nnlab.errors import UserError
from nnlab.runs import cautions

TINY = ["data=xor", "architecture.widths=[4]", "data.preprocessing=null", "callbacks=[]", "regularizer=[]"]
FULL = [*TINY, "trainer.epochs=1", "trainer.batch_size=full"]
FOREIGN = [each for each in FULL if not each.startswith("architecture")]
BATCHES = [*TINY, "trainer.epochs=2", "trainer.batch_size=2"]


@pytest.fixture
def warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A function that trains and returns the warnings of that run."""
    monkeypatch.setattr(cautions, "_said", set())
    monkeypatch.setattr(cautions, "_asked", set())

    def train(*overrides: str) -> list[str]:
        caplog.clear()
        assert nnlab.train(*overrides, f"output_dir={tmp_path}").status == "completed"
        return [f"warning: {each.getMessage()}" for each in caplog.records if each.levelname == "WARNING"]

    return train


def test_the_default_batch_takes_what_there_is_and_another_one_is_refused(warnings) -> None:  # type: ignore[no-untyped-def]
    (line,) = warnings(*TINY, "trainer.epochs=1")
    assert line == "warning: `trainer.batch_size=32` is more than the 4 training examples: every step takes all of them"
    with pytest.raises(UserError, match=r"`trainer.batch_size=33` is more than the 4 training examples; use `.*=full`"):
        warnings(*TINY, "trainer.batch_size=33")


@pytest.mark.parametrize("size", [5, 32, 33])
def test_a_batch_size_that_was_given_is_refused_where_it_is_too_large_whatever_the_default(
    warnings,  # type: ignore[no-untyped-def]
    size: int,
) -> None:
    with pytest.raises(UserError, match=rf"`trainer.batch_size={size}` is more than the 4 training examples; use"):
        warnings(*TINY, f"trainer.batch_size={size}")


@pytest.mark.parametrize("rule", ["lbfgs", "bfgs", "newton"])
def test_second_order_methods_want_the_full_batch(warnings, rule: str) -> None:  # type: ignore[no-untyped-def]
    assert warnings(*FULL, f"optimizer={rule}") == []
    (line,) = warnings(*BATCHES, f"optimizer={rule}")
    assert "which minibatches change: it works well in full batch, `trainer.batch_size=full`" in line
    assert warnings(*BATCHES, f"optimizer={rule}", "seed=1") == []  # said already


def test_second_order_methods_want_no_noise(warnings) -> None:  # type: ignore[no-untyped-def]
    (line,) = warnings(*FULL, "optimizer=lbfgs", "regularizer=[dropout]")
    assert line.startswith("warning: LBFGS is disturbed by noise in the network (dropout, DropConnect): switch it off")
    (line,) = warnings(*FULL, "optimizer=lbfgs", "data/augmentation=[gaussian_noise]")
    assert "disturbed by augmentation" in line


def test_so_do_those_of_torch(warnings) -> None:  # type: ignore[no-untyped-def]
    optimizer = ["optimizer._target_=torch.optim.LBFGS", "~optimizer.betas", "~optimizer.eps"]
    (line,) = warnings(*FULL, *optimizer, "regularizer=[dropconnect]")
    assert "LBFGS is disturbed by noise" in line


def test_first_order_methods_take_minibatches_and_noise(warnings) -> None:  # type: ignore[no-untyped-def]
    assert warnings(*BATCHES, "regularizer=[dropout]", "data/augmentation=[gaussian_noise]") == []


def test_a_warmup_should_end_before_the_run(warnings) -> None:  # type: ignore[no-untyped-def]
    assert warnings(*BATCHES, "scheduler.warmup=1") == []
    (line,) = warnings(*BATCHES, "scheduler.warmup=2")
    assert "the learning rate never reaches its value; shorten `scheduler.warmup` or train longer" in line


@pytest.mark.parametrize(
    ("key", "few", "more", "slip", "there"),
    [
        ("trainer.accumulate", 2, 3, 999, "the 2 minibatches of an epoch"),
        ("trainer.best_window", 2, 3, 999, "the 2 validations of the run"),
        ("scheduler.cycles", 4, 5, 999, "the 4 steps"),
    ],
)
def test_more_of_something_than_a_run_has_is_said_and_much_more_refused(
    warnings,  # type: ignore[no-untyped-def]
    key: str,
    few: int,
    more: int,
    slip: int,
    there: str,
) -> None:
    schedule = ["scheduler=cyclic"] if key.startswith("scheduler") else []
    assert warnings(*BATCHES, *schedule, f"{key}={few}") == []
    (line,) = warnings(*BATCHES, *schedule, f"{key}={more}")
    assert line.startswith(f"warning: `{key}={more}` is more than {there}: ")
    with pytest.raises(UserError, match=f"`{key}={slip}` is more than {there}$"):
        warnings(*BATCHES, *schedule, f"{key}={slip}")


def test_an_ensemble_that_does_not_fit_into_memory_is_refused() -> None:
    with pytest.raises(UserError, match=r"`regularizer.ensemble.members=1000000000`: .* GB are free"):
        nnlab.train(*FULL, "regularizer=[ensemble]", "regularizer.ensemble.members=1000000000")


def test_samples_want_an_inference_that_draws_them(warnings) -> None:  # type: ignore[no-untyped-def]
    chosen = [*FULL, "regularizer=[dropout]", "regularizer.dropout.samples=5"]
    assert warnings(*chosen, "regularizer.dropout.inference=monte_carlo") == []
    (line,) = warnings(*chosen)
    assert line == (
        "warning: `regularizer.dropout.samples` has no effect without `regularizer.dropout.inference=monte_carlo`"
    )


def test_a_run_without_a_validation_before_its_end_is_said(warnings) -> None:  # type: ignore[no-untyped-def]
    assert warnings(*BATCHES, "trainer.validate_every=2") == []
    (line,) = warnings(*BATCHES, "trainer.validate_every=3")
    assert line.startswith("warning: `trainer.validate_every=3`: the run ends before 3 epochs, so its only validation")
    (line,) = warnings(*BATCHES, "trainer.validate_every=5", "trainer.validate_unit=step")
    assert "ends before 5 steps" in line
    assert warnings(*BATCHES, "trainer.epochs=1", "trainer.validate_unit=step") == []


def pretrained(values: float = 1.0) -> nn.Module:
    """A network whose weights come from elsewhere."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        network[1].weight.copy_(values * torch.arange(8.0).reshape(4, 2))
    return network


def test_weights_that_a_network_brings_are_kept_or_it_is_said_that_they_are_not(  # type: ignore[no-untyped-def]
    warnings, tmp_path: Path
) -> None:
    own = [f"architecture={{_target_: {__name__}.pretrained}}", f"trust=[{__name__}]", "loss=binary_cross_entropy"]
    (line,) = warnings(*FOREIGN, *own)
    assert line.endswith(
        f"`{__name__}.pretrained` sets weights by itself, as of a network trained before, and the initialization "
        "draws them anew; `initialization=given` keeps them"
    )
    still = ["initialization=given", "optimizer=sgd", "optimizer.learning_rate=1e-9"]
    run = nnlab.train(*FOREIGN, *own, *still, f"output_dir={tmp_path}/given")
    weight = run.trainer.stack.member(0)[1].weight
    torch.testing.assert_close(weight, torch.arange(8.0).reshape(4, 2), atol=1e-6, rtol=0)
    assert warnings(*FOREIGN, *own, *still, "seed=1") == []


def test_a_foreign_network_that_brings_no_weights_is_not_spoken_of(warnings) -> None:  # type: ignore[no-untyped-def]
    layer = "architecture={_target_: torch.nn.Sequential, _args_: [{_target_: torch.nn.Linear, in_features: 2, "
    assert warnings(*FOREIGN, layer + "out_features: 1}]}", "loss=binary_cross_entropy") == []


@pytest.mark.parametrize(
    ("train", "test", "there"),
    [(4, 1, "is only 1 validation example and 1 test example"), (24, 9, "are only 9 test examples"), (24, 10, "")],
)
def test_a_handful_of_held_out_examples_is_said_to_say_little(
    warnings,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    train: int,
    test: int,
    there: str,
) -> None:
    numbers = np.random.default_rng(0).normal(size=(train + test, 2))
    parts = {"train": numbers[:train], "test": numbers[train:]}
    named = {f"x_{name}": each for name, each in parts.items()} | {
        f"y_{name}": each[:, 0] for name, each in parts.items()
    }
    np.savez(tmp_path / "few.npz", **named)
    held_out = ["data.validation=0.25" if train == 4 else "data.validation=0.5", "loss=squared_error"]
    lines = warnings("data=arrays", f"data.path={tmp_path}/few.npz", *FULL[1:], *held_out)
    assert lines == ([f"warning: there {there}: what is measured on so few says little about others"] if there else [])
