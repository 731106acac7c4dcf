"""Simple models and their comparison with networks, against scikit-learn and closed forms."""

from __future__ import annotations

import dataclasses
import math
import statistics

import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, root_mean_squared_error

from nnlab.cli import compose
from nnlab.config.build import build_loss, load_dataset
from nnlab.diagnosis.facts.simple import _draws, advantage, metrics_of, simple_models
from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.metric_names import HIGHER_IS_BETTER
from nnlab.streaming import Streamed
from nnlab.types import Dataset, Split


def data(*overrides: str) -> tuple[Dataset, Loss]:
    config = compose(*overrides)
    dataset = load_dataset(config)
    return dataset, build_loss(config, dataset)


def test_the_constant_is_the_most_frequent_class_and_the_mean() -> None:
    dataset, loss = data("data=breast_cancer", "loss=binary_cross_entropy")
    [constant] = simple_models(dataset, loss, ["constant"])
    dummy = DummyClassifier().fit(dataset.train.inputs, dataset.train.targets)
    expected = accuracy_score(dataset.test.targets, dummy.predict(dataset.test.inputs))
    assert constant.metrics["test"]["accuracy"] == pytest.approx(expected)
    dataset, loss = data("data=diabetes", "loss=squared_error")
    [constant] = simple_models(dataset, loss, ["constant"])
    assert constant.predictions["test"].unique() == pytest.approx(float(dataset.train.targets.mean()), abs=1e-6)


@pytest.mark.parametrize(
    "overrides",
    [
        ("data=breast_cancer", "loss=binary_cross_entropy"),
        ("data=moons", "loss=hinge"),
        ("data=digits",),
        ("data=diabetes", "loss=gaussian_nll"),
    ],
)
def test_all_three_beat_or_equal_the_constant_where_there_is_something_to_learn(overrides: tuple[str, ...]) -> None:
    dataset, loss = data(*overrides)
    found = {each.name: each.metrics["test"] for each in simple_models(dataset, loss, seconds=2.0)}
    metric = "rmse" if dataset.train.targets.is_floating_point() else "accuracy"
    sign = -1 if metric == "rmse" else 1
    assert "constant" in found
    assert ("trees" in found) == (len(dataset.input_shape) == 1)
    for name in found.keys() - {"constant"}:
        assert sign * found[name][metric] > sign * found["constant"][metric]


def test_trees_answer_to_all_examples_and_take_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, loss = data("data=breast_cancer", "loss=binary_cross_entropy")
    taken = []

    def noted(rows: torch.Tensor) -> torch.Tensor:
        taken.append(len(rows))
        return rows

    def on_disk(split: Split) -> Split:
        inputs = split.inputs
        rows = Streamed(inputs, torch.arange(len(inputs)), tuple(inputs.shape[1:]), noted)
        return Split(rows, split.targets)  # type: ignore[arg-type]

    parts = {name: on_disk(getattr(dataset, name)) for name in ("train", "validation", "test")}
    monkeypatch.setattr("nnlab.diagnosis.facts.simple.EXAMPLES", 100)
    [resident] = simple_models(dataset, loss, ["trees"], seconds=60.0)
    [streamed] = simple_models(dataclasses.replace(dataset, **parts), loss, ["trees"], seconds=60.0)
    assert max(taken) == 100
    for name, prediction in resident.predictions.items():
        assert len(prediction) == len(getattr(dataset, name)) > 0
        assert torch.equal(streamed.predictions[name], prediction)


def test_metrics_are_in_the_units_of_the_targets() -> None:
    dataset, loss = data("data=diabetes", "loss=squared_error")
    [linear] = simple_models(dataset, loss, ["linear"])
    assert dataset.units is not None
    own = [dataset.units.restored(each) for each in (linear.predictions["test"], dataset.test.targets)]
    assert linear.metrics["test"]["rmse"] == pytest.approx(root_mean_squared_error(own[1], own[0]), rel=1e-5)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    dataset, loss = data("data=moons", "loss=binary_cross_entropy")
    with pytest.raises(UserError, match="trees"):
        simple_models(dataset, loss, ["forest"])


def test_the_advantage_and_its_error_are_those_of_paired_examples() -> None:
    dataset, _ = data("data=digits")
    targets = dataset.test.targets
    draw = torch.Generator().manual_seed(1)
    first = torch.nn.functional.one_hot(targets, 10).float()
    wrong = torch.rand(len(targets), generator=draw) < 0.2
    second = first.clone()
    second[wrong] = second[wrong].roll(1, 1)
    gain, error = advantage("accuracy", [first], second, dataset, "test")
    assert gain == pytest.approx(float(wrong.double().mean()), abs=1e-6)
    assert error == pytest.approx(float(wrong.double().std()) / math.sqrt(len(targets)), rel=0.15)
    assert advantage("accuracy", [second], first, dataset, "test")[0] == pytest.approx(-gain)
    assert advantage("accuracy", [first, first], first, dataset, "test") == (0.0, 0.0)


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_the_advantage_does_not_depend_on_how_many_rows_are_drawn_at_once(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, _ = data("data=digits")
    first, second = torch.rand(2, len(dataset.test), 10, generator=torch.Generator().manual_seed(0)).softmax(2)
    found = advantage(metric, [first], second, dataset, "test")
    monkeypatch.setattr("nnlab.diagnosis.facts.simple.MOST", 7 * first.numel())
    asked = []
    monkeypatch.setattr("nnlab.diagnosis.facts.simple._draws", lambda n, k: asked.append(k) or _draws(n, k))
    assert advantage(metric, [first], second, dataset, "test") == pytest.approx(found, rel=1e-12)
    assert asked == [7, 7]


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        *((each, ["data=digits"]) for each in ("accuracy", "nll", "brier", "ece", "auroc", "f1")),
        *((each, ["data=diabetes", "loss=squared_error"]) for each in ("rmse", "mae", "r2")),
    ],
)
def test_the_error_of_an_advantage_is_that_of_metrics_measured_draw_by_draw(metric: str, options: list[str]) -> None:
    dataset, loss = data(*options)
    models = simple_models(dataset, loss, ["constant", "linear"])
    first, second = (model.predictions["test"] for model in models)
    gain, error = advantage(metric, [first], second, dataset, "test")
    targets = dataset.test.targets
    rows = torch.randint(len(targets), (200, len(targets)), generator=torch.Generator().manual_seed(0))

    def apart(row: torch.Tensor) -> float:
        drawn = dataclasses.replace(dataset, test=Split(dataset.test.inputs[row], targets[row]))
        own, other = (metrics_of(each[row], drawn, "test")[metric] for each in (first, second))
        return (own - other) * (1 if metric in HIGHER_IS_BETTER else -1)

    assert gain == pytest.approx(apart(torch.arange(len(targets))), rel=1e-5, abs=1e-6)
    assert error == pytest.approx(statistics.stdev(apart(row) for row in rows), rel=1e-4)


def test_a_lower_rmse_is_an_advantage() -> None:
    dataset, _ = data("data=diabetes", "loss=squared_error")
    targets = dataset.test.targets
    gain, error = advantage("rmse", [targets + 0.1], targets + 0.3, dataset, "test")
    assert gain == pytest.approx(0.2 * float(dataset.units.std.mean()), rel=1e-4)  # type: ignore[union-attr]
    assert error < 1e-3
    assert metrics_of(targets, dataset, "test")["rmse"] == 0
