"""The best weights: by a single validation, or by the mean of several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nnlab
from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.errors import UserError
from nnlab.training import Trainer
from nnlab.training.best import Best
from nnlab.training.checkpoint import load_member_state, member_state

ACCURACIES = [0.5, 0.9, 0.6, 0.8, 0.8, 0.7]


def trainer_of(window: int) -> Trainer:
    small = ["callbacks=[]", "data.limit=40", "trainer.device=cpu", "seed=0"]
    return build_trainer([compose(*small, f"trainer.best_window={window}")])


def offer_all(best: Best, trainer: Trainer, accuracies: list[float], first: int = 0) -> None:
    for step, accuracy in enumerate(accuracies, first):
        best.offer(trainer.stack, 0, 0, step, {"accuracy": accuracy, "loss": 1 - accuracy}, "accuracy")


@pytest.mark.parametrize(("window", "step"), [(1, 1), (2, 4), (3, 3)])
def test_the_mean_of_the_last_validations_decides(window: int, step: int) -> None:
    trainer = trainer_of(window)
    offer_all(trainer.best, trainer, ACCURACIES)
    assert trainer.best.steps == [step]
    assert trainer.best.metrics[0]["accuracy"] == ACCURACIES[step]


def test_a_single_loss_that_is_not_finite_is_never_in_the_best_mean() -> None:
    trainer = trainer_of(2)
    values = [{"accuracy": 0.5, "loss": 1.0}, {"accuracy": 1.0, "loss": float("nan")}, {"accuracy": 1.0, "loss": 0.1}]
    kept = [trainer.best.offer(trainer.stack, 0, 0, step, each, "accuracy") for step, each in enumerate(values)]
    assert kept == [True, False, False]


def test_a_resumed_run_remembers_its_last_validations() -> None:
    first = trainer_of(3)
    offer_all(first.best, first, ACCURACIES[:3])
    second = trainer_of(3)
    load_member_state(second, 0, member_state(first, 0))
    offer_all(second.best, second, ACCURACIES[3:], first=3)
    whole = trainer_of(3)
    offer_all(whole.best, whole, ACCURACIES)
    assert second.best.steps == whole.best.steps == [3]


@pytest.mark.parametrize("metric", ["loss", "auroc", "f1", "average_precision"])
def test_the_metric_of_the_settings_decides_the_best_weights(metric: str, tmp_path: Path) -> None:
    overrides = ("data=moons", "trainer.epochs=4", f"trainer.metric={metric}", "callbacks=[]", f"output_dir={tmp_path}")
    result = nnlab.train(*overrides)
    assert result.trainer is not None
    steps, values = result.trainer.history.series(f"{metric}/validation", 0)
    _, losses = result.trainer.history.series("loss/validation", 0)
    sign = 1 if metric == "loss" else -1
    assert result.best_step == min(zip((sign * v for v in values), losses, steps, strict=True))[2]
    assert json.loads((result.directory / "result.json").read_text())["metric"] == metric
    assert f"{metric}/validation" in (result.directory / "history.csv").read_text().splitlines()[0]


def test_a_metric_that_cannot_decide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`trainer\.metric` has no option 'auc'"):
        nnlab.train("trainer.metric=auc", f"output_dir={tmp_path}")
    with pytest.raises(UserError, match=r"auroc. is not measured .* valid: loss, rmse, mae, r2"):
        nnlab.train("data=diabetes", "loss=squared_error", "trainer.metric=auroc", f"output_dir={tmp_path}")
