"""Predictions of finished runs: the same bits wherever a row stands, in the units of the data, without the data."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import nnlab
from nnlab.errors import UserError
from nnlab.runs.export import example_inputs
from nnlab.runs.prediction import Predictor, load
from nnlab.runs.result import Result
from nnlab.types import Dataset

RUNS = {
    "classes": ["data=digits"],
    "images": ["data=digits", "architecture=convnet", "data.limit=200"],
    "scores": ["data=breast_cancer", "loss=hinge"],
    "numbers": ["data=diabetes", "loss=squared_error"],
    "variances": ["data=diabetes", "loss=gaussian_nll"],
    "ensemble": ["data=digits", "regularizer=[ensemble,dropout]", "regularizer.ensemble.members=5"],
    "snapshots": ["data=diabetes", "loss=gaussian_nll", "scheduler=cyclic", "regularizer=[snapshot_ensemble]"],
    "one by one": [
        *("data=diabetes", "loss=squared_error", "optimizer=lbfgs", "trainer.batch_size=full"),
        *("regularizer=[ensemble]", "regularizer.ensemble.members=2"),
    ],
}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Predictor, Dataset]:
    folder = tmp_path_factory.mktemp("runs")
    result = nnlab.train(*RUNS[request.param], "trainer.epochs=2", "callbacks=[checkpoint]", f"output_dir={folder}")
    predictor = load(result.directory)
    return result, predictor, nnlab.config.build.load_dataset(dict(predictor.networks.config))


def test_a_row_gives_the_same_bits_wherever_it_stands(run: tuple[Result, Predictor, Dataset]) -> None:
    _, predictor, dataset = run
    inputs = dataset.test.inputs
    whole = predictor.combined(inputs)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
    assert torch.equal(predictor.combined(inputs[order]), whole[order])
    assert torch.equal(torch.cat([predictor.combined(inputs[i : i + 1]) for i in range(5)]), whole[:5])
    assert torch.equal(predictor.combined(inputs.repeat(8, *[1] * (inputs.ndim - 1)))[-len(inputs) :], whole)


def test_predictions_are_those_that_evaluate_measures(run: tuple[Result, Predictor, Dataset]) -> None:
    result, predictor, dataset = run
    measured = nnlab.evaluate(result.directory)
    assert torch.equal(measured.prediction, predictor.combined(dataset.test.inputs))
    assert measured.metrics == pytest.approx(result.metrics["test"], rel=1e-5)


def test_the_module_takes_raw_inputs_and_gives_the_same(run: tuple[Result, Predictor, Dataset]) -> None:
    _, predictor, _ = run
    shape = predictor.pipeline.rule.shape  # type: ignore[attr-defined]
    raw = torch.rand(7, *shape, generator=torch.Generator().manual_seed(0))
    found = predictor.of_raw(raw)
    expected = found.values if found.std is None else np.concatenate([found.values, found.std], 1)
    with torch.no_grad():
        given = predictor.module(raw)
    assert isinstance(predictor.module, torch.nn.Module)
    spread = 100.0 if predictor.classes_ is None else 1.0  # of the diabetes scores
    np.testing.assert_allclose(given.numpy() / spread, expected / spread, rtol=1e-6, atol=1e-6)


def test_a_moved_run_folder_is_used_without_its_data(
    run: tuple[Result, Predictor, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, predictor, dataset = run
    moved = tmp_path / "elsewhere"
    shutil.copytree(result.directory, moved)
    monkeypatch.setattr("nnlab.config.build.load_dataset", lambda _config: pytest.fail("the data were read"))
    again = load(moved)
    assert torch.equal(again.combined(dataset.test.inputs), predictor.combined(dataset.test.inputs))


def test_a_run_that_has_not_finished_is_used_with_a_word(
    run: tuple[Result, Predictor, Dataset], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unfinished = tmp_path / "unfinished"
    shutil.copytree(run[0].directory, unfinished)
    load(unfinished)
    assert "has not finished" not in caplog.text
    (unfinished / "result.json").unlink()
    load(unfinished)
    assert "has not finished: these are its best weights so far" in caplog.text
    assert f"nnlab train resume={unfinished}" in caplog.text


def test_predict_gives_names_and_numbers_in_the_units_of_the_data(run: tuple[Result, Predictor, Dataset]) -> None:
    _, predictor, dataset = run
    raw = example_inputs(predictor.networks)[0][:6]
    if predictor.classes_ is None:
        numbers = predictor.predict(raw)
        assert numbers.shape == (6,)
        assert 20 < np.median(numbers) < 350  # the diabetes scores
        if predictor.loss.probabilistic:
            assert (predictor.predict(raw, return_std=True)[1] > 1).all()
        else:
            with pytest.raises(UserError, match="predicts no standard deviations"):
                predictor.predict(raw, return_std=True)
        with pytest.raises(UserError, match="no class probabilities"):
            predictor.predict_proba(raw)
        return
    assert set(predictor.predict(raw)) <= set(dataset.target_names)
    if predictor.loss.probabilistic:
        np.testing.assert_allclose(predictor.predict_proba(raw).sum(1), 1, rtol=1e-5)
    else:
        with pytest.raises(UserError, match="no class probabilities"):
            predictor.predict_proba(raw)


def test_a_run_without_a_stored_pipeline_is_named(run: tuple[Result, Predictor, Dataset], tmp_path: Path) -> None:
    copied = tmp_path / "old"
    shutil.copytree(run[0].directory, copied)
    for path in copied.rglob("pipeline.json"):
        path.unlink()
    with pytest.raises(UserError, match="holds no fitted pipeline"):
        load(copied)
    for path in copied.rglob("pipeline.npz"):
        path.with_name("pipeline.json").write_text('{"version": 1}')
    with pytest.raises(UserError, match="the stored pipeline is damaged"):
        load(copied)
