"""A loss or gradient that is not finite never reaches the weights, and the sentence says where it came from."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from twins import SMALL, base

from nnlab.cli import compose, main
from nnlab.config.build import build_trainer
from nnlab.training import Callback, Trainer
from nnlab.training.final import final_metrics


class Poison(Callback):
    """Makes one gradient entry of some members infinite, at one step; notes the weights before and after."""

    def __init__(self, step: int, members: tuple[int, ...] = (0,)) -> None:
        self.step, self.members = step, members

    def after_backward(self, trainer: Trainer) -> None:
        if trainer.step + 1 != self.step:
            return
        self.before = trainer.stack.theta.clone()
        self.state = {name: value.clone() for name, value in trainer.engine.state.items()}
        for member in self.members:
            last_weight(trainer, trainer.stack.gradient)[trainer.active.index(member), 0, 0] = float("inf")

    def step_end(self, trainer: Trainer) -> None:
        if trainer.step == self.step:
            self.after = trainer.stack.theta.clone()
            self.state_after = {name: value.clone() for name, value in trainer.engine.state.items()}


def last_weight(trainer: Trainer, rows: torch.Tensor) -> torch.Tensor:
    """The last layer's weights (M, out, in) within `rows`."""
    return list(trainer.stack.layout.weights(rows).values())[-1]


def poisoned(
    policy: str, poison: Callback, *overrides: str, deferred: bool = False, rates: tuple[float, ...] = ()
) -> Any:
    configs = [
        compose(*base("regularizer=[weight_decay]", f"trainer.on_nonfinite={policy}", *overrides), *own)
        for own in ([[f"optimizer.learning_rate={rate}"] for rate in rates] or [[]])
    ]
    trainer = build_trainer(configs)
    trainer.engine.guard.deferred = deferred
    trainer.callbacks.append(poison)
    return trainer.fit()


class Break(Callback):
    """Makes one weight of the last layer not a number, before the gradient of one step is computed."""

    def step_start(self, trainer: Trainer) -> None:
        if trainer.step == 4:
            last_weight(trainer, trainer.stack.theta)[0, 0, 0] = float("nan")


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("deferred", [False, True], ids=["at once", "when losses are fetched"])
def test_stop_keeps_good_weights_and_names_layer_and_step(deferred: bool, accumulate: int) -> None:
    trainer = poisoned("stop", Break(), f"trainer.accumulate={accumulate}", deferred=deferred)
    assert trainer.statuses == ["diverged"]
    sentence = "diverged at step 5: loss nan; first non-finite gradient: `linear1.weight`; that update was not made"
    assert trainer.outcomes[0].reason == sentence
    assert bool(torch.isfinite(trainer.best.theta).all())
    assert trainer.best.theta.shape[0] == 1


def test_an_infinite_gradient_alone_is_found() -> None:
    trainer = poisoned("stop", Poison(5))
    assert trainer.statuses == ["diverged"]
    assert [each.ended_at for each in trainer.outcomes] == [4]
    name = list(trainer.stack.layout.weights(trainer.best.theta))[-1]
    assert f"first non-finite gradient: `{name}`" in trainer.outcomes[0].reason


def test_clipping_does_not_hide_an_infinite_gradient() -> None:
    trainer = poisoned("stop", Poison(5), "trainer.clip_value=0.1", "trainer.clip_norm=1.0")
    assert trainer.statuses == ["diverged"]


@pytest.mark.parametrize("deferred", [False, True], ids=["at once", "on the device"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_skip_leaves_weights_and_state_of_that_member_alone(optimizer: str, deferred: bool) -> None:
    poison = Poison(5, members=(1,))
    decay = "regularizer.weight_decay.strength=0.1"
    options = (f"optimizer={optimizer}", decay)
    trainer = poisoned("skip", poison, *options, deferred=deferred, rates=(0.01, 0.02, 0.03))
    assert trainer.statuses == ["completed"] * 3
    assert torch.equal(poison.before[1], poison.after[1])
    assert not torch.equal(poison.before[0], poison.after[0])
    assert not torch.equal(poison.before[2], poison.after[2])
    for name, value in poison.state.items():
        assert torch.equal(value[1], poison.state_after[name][1])
        assert not torch.equal(value[0], poison.state_after[name][0])
    assert bool(torch.isfinite(trainer.stack.theta).all())
    assert trainer.outcomes[1].reason == "the loss or gradient of 1 step was not finite; that update was left out"
    assert [each.reason for each in trainer.outcomes][::2] == ["", ""]


def test_a_run_that_diverges_before_its_first_validation_keeps_weights_with_a_finite_loss() -> None:
    trainer = build_trainer([compose(*base("optimizer=sgd", "optimizer.learning_rate=1e30"))])
    initial = trainer.stack.theta.clone()
    trainer.fit()
    assert [each.ended_at for each in trainer.outcomes] == [
        1
    ]  # the weights after this update are finite, but their loss is not
    assert trainer.best.steps == [0]
    assert torch.equal(trainer.best.theta, initial)
    trainer = poisoned("stop", Poison(5))  # here it is finite
    assert trainer.best.steps == [4]
    assert not torch.equal(trainer.best.theta, initial)


def test_weights_whose_loss_is_not_finite_are_never_the_best() -> None:
    config = compose(*base("optimizer=sgd", "optimizer.learning_rate=1e30", "trainer.on_nonfinite=skip"))
    trainer = build_trainer([config]).fit()
    assert trainer.statuses == ["completed"]
    assert trainer.best.steps == [0]
    assert trainer.outcomes[0].reason == "the loss or gradient of 23 steps was not finite; those updates were left out"
    metrics, _ = final_metrics(trainer, [0])
    assert all(math.isfinite(value) for split in metrics.values() for value in split.values())


def test_restore_returns_to_the_best_weights_and_halves_the_rate_of_that_member() -> None:
    poison = Poison(13, members=(0,))
    trainer = poisoned("restore", poison, rates=(0.01, 0.02))
    assert [trainer.engine.learning_rate(member) for member in (0, 1)] == [0.005, 0.02]
    assert trainer.history.rates[11].tolist() == pytest.approx([0.01, 0.02])
    assert trainer.history.rates[13].tolist() == pytest.approx([0.005, 0.02])
    steps, losses = trainer.history.series("accuracy/validation", 0)
    assert steps[0] == 8
    assert losses
    assert trainer.statuses == ["completed"] * 2
    sentence = "the loss or gradient of 1 step was not finite; each time the best weights were restored and the rate"
    assert [each.reason for each in trainer.outcomes] == [f"{sentence} was halved, at last to 0.005", ""]


@pytest.mark.parametrize("policy", ["skip", "restore"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "bfgs", "newton"])
def test_second_order_rules_obey_the_policy(policy: str, optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose(*base(*SMALL, f"optimizer={optimizer}", f"trainer.on_nonfinite={policy}", "trainer.epochs=6"))
    trainer = build_trainer([config])
    step, seen = type(trainer.engine.rules.optimizer).step, []

    def failing(self: Any, theta: Any, closure: Any, state: Any, rate: float, k: int) -> Any:
        seen.append((trainer.stack.theta[0].clone(), rate))
        loss = step(self, theta, closure, state, rate, k)
        if k == 3:
            theta.fill_(torch.nan)
            for value in state.values():
                value.zero_()
        return loss

    monkeypatch.setattr(type(trainer.engine.rules.optimizer), "step", failing)
    trainer.fit()
    assert trainer.statuses == ["completed"]
    assert len(seen) == 6
    assert bool(torch.isfinite(trainer.stack.theta).all())
    if policy == "skip":
        assert torch.equal(seen[2][0], seen[3][0])
        assert seen[3][1] == seen[2][1]
    else:
        assert seen[3][1] == seen[2][1] / 2


def test_a_single_run_that_diverges_exits_with_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", *base("optimizer=sgd", "optimizer.learning_rate=1e30"), f"output_dir={tmp_path}"]
    assert main(command) == 3
    assert "diverged at step 2: loss nan; first non-finite gradient: `linear1.weight`" in capsys.readouterr().out
    [run] = (tmp_path / "train").iterdir()
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "diverged"
    assert result["steps"] == 1
