"""Logarithms of targets: learned as such, and told, predicted, exported and bounded in the units of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest
import torch
from sklearn.metrics import r2_score, root_mean_squared_error

import nnlab
from nnlab.data.pipeline import Pipeline
from nnlab.data.rules import TargetRule
from nnlab.diagnosis.facts.data import data_facts
from nnlab.errors import UserError
from nnlab.loss import SquaredError
from nnlab.runs.calibration import cover
from nnlab.runs.evaluation import evaluate

FEW = ["data.references=[]", "callbacks=[checkpoint]", "trainer.epochs=20", "optimizer.learning_rate=0.02"]


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prices from a thousandth to a hundred thousand, which are powers of two inputs."""
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 400))
    price = np.exp(3 * a + b + 0.1 * random.standard_normal(400) + 1)
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    polars.DataFrame({"a": a, "b": b, "price": price}).write_csv(path)
    return path


@pytest.fixture(scope="module")
def run(prices: Path) -> Path:
    lines = ["data=table", f"data.path={prices}", "data.target=price", "loss=squared_error", "regularizer=[]"]
    return nnlab.train(*lines, "data.target_transform=log", f"output_dir={prices.parent}/out", *FEW).directory


def test_what_a_run_predicts_and_is_measured_by_is_in_the_units_of_the_data(run: Path, prices: Path) -> None:
    frame = polars.read_csv(prices)
    known, predicted = frame["price"].to_numpy(), nnlab.load(run).predict(frame)
    assert r2_score(np.log(known), np.log(predicted)) > 0.9
    found = evaluate(run, data=prices, split="test")
    truth = [nnlab.load(run).in_units(each)[0] for each in (found.targets, found.prediction)]
    assert np.isin(truth[0].round(3), known.round(3)).mean() > 0.9
    assert found.metrics["rmse"] == pytest.approx(root_mean_squared_error(*truth), rel=1e-4)
    assert found.metrics["r2"] == pytest.approx(r2_score(*truth), abs=1e-4)


def test_a_module_of_such_a_run_gives_the_same_numbers(run: Path, prices: Path) -> None:
    frame, predictor = polars.read_csv(prices), nnlab.load(run)
    raw = torch.from_numpy(frame.select("a", "b").to_numpy())
    assert torch.allclose(
        predictor.module(raw)[:, 0], torch.from_numpy(predictor.predict(frame)).double(), rtol=1e-4, atol=0
    )


def test_intervals_are_above_zero_and_hold_their_share(run: Path, prices: Path) -> None:
    assert cover(run, 0.9).measured > 0.75
    frame = polars.read_csv(prices)
    lower, upper = nnlab.load(run).predict_interval(frame, 0.9)
    assert lower.min() > 0
    assert np.allclose(upper / lower, upper[0] / lower[0])  # a share of the prediction
    known = frame["price"].to_numpy()
    assert 0.8 < ((lower <= known) & (known <= upper)).mean() <= 1


def test_a_stored_rule_takes_targets_as_training_did(run: Path) -> None:
    target = nnlab.load(run).pipeline.target
    assert target.transform == "log"
    older = {**target.to_json(), "logarithm": True}
    del older["transform"]
    assert TargetRule.from_json(older) == target
    assert Pipeline.from_stored(nnlab.load(run).pipeline.to_json(), nnlab.load(run).pipeline.arrays()).target == target
    units = target.units(torch.float64)
    assert units is not None
    assert units.restored(target.encode([0.5, 2000.0]).double()).flatten().tolist() == pytest.approx([0.5, 2000.0])
    with pytest.raises(UserError, match="a target is -1, but this run learned logarithms of targets above 0"):
        target.encode([2.0, -1.0])


def test_counts_with_zeros_are_learned_as_logarithms_of_one_more(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    a = random.standard_normal(400)
    count = random.poisson(np.exp(2 * a + 1))
    frame = polars.DataFrame({"a": a, "count": count})
    frame.write_csv(tmp_path / "t.csv")
    lines = ["data=table", f"data.path={tmp_path}/t.csv", "data.target=count", "loss=squared_error", "regularizer=[]"]
    with pytest.raises(UserError, match=r"needs targets above 0, but \d+ of the 400 values .* `log1p` takes 0, too$"):
        nnlab.train(*lines, "data.target_transform=log", f"output_dir={tmp_path}")
    run = nnlab.train(*lines, "data.target_transform=log1p", f"output_dir={tmp_path}/out", *FEW).directory
    predictor = nnlab.load(run)
    predicted = predictor.predict(frame)
    assert predicted.min() >= 0
    assert r2_score(np.log1p(count), np.log1p(predicted)) > 0.8
    found = evaluate(run)
    truth = [predictor.in_units(each)[0] for each in (found.targets, found.prediction)]
    assert np.isin(truth[0].round(3), count).all()
    assert found.metrics["rmse"] == pytest.approx(root_mean_squared_error(*truth), rel=1e-4)
    deployed = predictor.module(torch.from_numpy(a).reshape(-1, 1))[:, 0].detach()
    np.testing.assert_allclose(deployed, predicted, rtol=1e-4, atol=1e-6)
    cover(run, 0.9)
    lower, upper = nnlab.load(run).predict_interval(frame, 0.9)
    assert lower.min() == 0
    assert 0.8 < ((lower <= count) & (count <= upper)).mean() <= 1
    with pytest.raises(
        UserError,
        match="a target is -1, but this run learned logarithms of targets 0 or above",
    ):
        predictor.pipeline.target.encode([0.0, -1.0])


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["data=digits"], "needs numbers as targets, but those of digits are classes"),
        (["data=heteroscedastic", "loss=squared_error"], "needs targets above 0, but 444 of the 1000 values of `y`"),
        (["data=heteroscedastic", "loss=squared_error"], r"the smallest is .*; leave out `data\.target_transform`$"),
        (["data=diabetes", "loss=gaussian_nll"], "loss `gaussian_nll` predicts variances of the logarithms"),
    ],
)
def test_targets_that_have_no_logarithm_are_refused(lines: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        nnlab.train(*lines, "data.target_transform=log", f"output_dir={tmp_path}")


def test_no_transform_is_null_too() -> None:
    assert nnlab.data.diabetes.Diabetes(target_transform=None).target_transform == "none"


def test_an_estimator_learns_logarithms_too() -> None:
    random = np.random.default_rng(0)
    inputs = random.standard_normal((300, 2))
    targets = np.exp(3 * inputs[:, 0] + 1)
    model = nnlab.Regressor(data__target_transform="log", trainer__epochs=10, optimizer__learning_rate=0.02)
    assert r2_score(np.log(targets), np.log(model.fit(inputs, targets).predict(inputs))) > 0.9


@pytest.mark.parametrize(("low", "advice"), [(0.0, "log1p"), (0.01, "log"), (-1.0, "")])
def test_the_transform_that_is_advised_is_one_that_the_targets_have(tmp_path: Path, low: float, advice: str) -> None:
    from nnlab.cli import compose
    from nnlab.config.build import load_dataset

    random = np.random.default_rng(0)
    y = np.exp(3 * random.standard_normal(200))
    y[::9] = low
    polars.DataFrame({"a": random.standard_normal(200), "y": y}).write_csv(tmp_path / "t.csv")
    dataset = load_dataset(compose("data=table", f"data.path={tmp_path}/t.csv", "data.target=y", "loss=squared_error"))
    assert data_facts(dataset, SquaredError()).targets.transform == advice


def test_the_advice_is_given_for_targets_above_zero_that_are_not_logarithms_yet(prices: Path) -> None:
    from nnlab.cli import compose
    from nnlab.config.build import load_dataset
    from nnlab.diagnosis.rules.data import data_findings

    lines = ["data=table", f"data.path={prices}", "data.target=price", "loss=squared_error"]
    found = {}
    for transform in ("none", "log"):
        dataset = load_dataset(compose(*lines, f"data.target_transform={transform}"))
        facts = data_facts(dataset, SquaredError())
        assert facts.skewed  # in the units of the data, by which runs are compared
        found[transform] = [each.overrides for each in data_findings(facts) if each.name == "target_outliers"]
    assert found == {"none": [("data.target_transform=log",)], "log": []}
