"""A run calibrates itself on its validation examples, keeps that, and everything that predicts uses it."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

import nnlab
from nnlab.cli import main
from nnlab.errors import UserError
from nnlab.runs.calibration import calibrate, check_told, cover, uncalibrated
from nnlab.runs.export import export
from nnlab.runs.networks import load_networks
from nnlab.statistics.temperature import at_temperature, fit_temperature

ENSEMBLE = ["regularizer=[ensemble]", "regularizer.ensemble.members=3"]
QUICK = ["callbacks=[checkpoint]", "architecture.widths=[16]", "regularizer=[]"]


def trained(folder: Path, *overrides: str) -> Path:
    result = nnlab.train(*QUICK, *overrides, f"output_dir={folder}")
    return Path(result.directory)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("classes"), "data=digits", "trainer.epochs=15", "data.label_noise=0.2")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("numbers"), "data=diabetes", "loss=gaussian_nll", "trainer.epochs=5")


def examples(run: Path) -> np.ndarray:
    shape = load_networks(run).fitted.blank_dataset().input_shape
    return np.random.default_rng(0).random((30, *shape))


def rows_of(folder: Path, run: Path, *arguments: str) -> list[dict[str, str]]:
    np.save(folder / "new.npy", examples(run))
    assert main(["predict", str(run), str(folder / "new.npy"), f"out={folder / 'out.csv'}", *arguments]) == 0
    with open(folder / "out.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_temperature_that_makes_a_split_worse_is_said_to(
    classes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nnlab.runs.calibration.fit_temperature", lambda p, _: torch.full(p.shape[:-2], 9.0))
    assert main(["evaluate", str(classes), "calibrate=temperature"]) == 0
    assert "the temperature makes nll" in capsys.readouterr().out
    monkeypatch.undo()
    assert calibrate(classes, split="validation").worse == []
    calibrate(classes, "none")


def test_a_temperature_lowers_the_likelihood_where_it_was_fitted_and_leaves_the_decisions(classes: Path) -> None:
    found = calibrate(classes, split="validation")
    assert found.calibration is not None
    assert found.after.metrics["nll"] < found.before.metrics["nll"]
    assert found.after.metrics["accuracy"] == found.before.metrics["accuracy"]
    assert uncalibrated(classes, "validation").metrics == found.before.metrics  # type: ignore[union-attr]
    assert nnlab.evaluate(classes, "validation").metrics == found.after.metrics
    taken_back = calibrate(classes, "none", "validation")
    assert taken_back.calibration is None
    assert taken_back.after.metrics == found.before.metrics
    assert not found.path.exists()


def test_predictions_and_exports_are_at_the_temperature(classes: Path, tmp_path: Path) -> None:
    calibrate(classes, "none")
    before = rows_of(tmp_path, classes)
    temperature = calibrate(classes).calibration.temperature  # type: ignore[union-attr]
    after = rows_of(tmp_path, classes)
    names = [name for name in before[0] if name.startswith("probability")]
    raw, warm = (torch.tensor([[float(row[n]) for n in names] for row in rows]) for rows in (before, after))
    assert not torch.allclose(raw, warm, atol=1e-3)
    torch.testing.assert_close(warm, at_temperature(raw, temperature), atol=1e-5, rtol=1e-4)
    assert [row["prediction"] for row in before] == [row["prediction"] for row in after]
    exported = export(load_networks(classes, "cpu"), "pt2", tmp_path)
    assert exported.agrees
    assert f"Measured before the calibration (temperature {temperature:.3g})" in exported.card.read_text()


def test_validation_examples_that_are_all_right_tell_no_temperature() -> None:
    probabilities, targets = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]), torch.tensor([0, 1, 0])
    with pytest.raises(UserError, match="no temperature can be told from 3 validation examples, of which 3 are"):
        check_told(float(fit_temperature(probabilities, targets)), probabilities, targets)
    targets[2] = 1
    check_told(float(fit_temperature(probabilities, targets)), probabilities, targets)


def test_every_member_of_an_ensemble_has_a_temperature_of_its_own(tmp_path: Path) -> None:
    run = trained(
        tmp_path, "data=digits", "trainer.epochs=5", "regularizer=[ensemble]", "regularizer.ensemble.members=3"
    )
    found = calibrate(run, split="validation")
    assert found.calibration is not None
    assert len(set(found.calibration.members)) == 3
    alone = load_networks(run)
    for member, temperature in enumerate(found.calibration.members):
        measured = nnlab.evaluate(run, "validation", member)
        calibrate(run, "none")
        raw = nnlab.evaluate(run, "validation", member)
        calibrate(run)
        torch.testing.assert_close(measured.prediction, at_temperature(raw.prediction, temperature))
    assert len(alone) == 3


def test_sets_hold_the_class_as_often_as_stated_and_predict_writes_them(classes: Path, tmp_path: Path) -> None:
    covered = cover(classes, 0.9, "validation")
    place = np.ceil((covered.learned + 1) * 0.9)
    assert covered.measured >= place / covered.learned - 1e-9  # on its own examples it is exact, ties aside
    rows = rows_of(tmp_path, classes, "coverage=0.9")
    run = nnlab.load(classes)
    inputs = examples(classes)
    inside = run.predict_set(inputs, 0.9)
    names = run.classes_
    assert [row["set"] for row in rows] == ["; ".join(names[each]) for each in inside]
    assert run.predict_set(inputs, 0.95).sum() >= inside.sum()


def test_intervals_are_in_the_units_of_the_data(numbers: Path, tmp_path: Path) -> None:
    covered = cover(numbers, 0.8)
    assert 0.6 < covered.measured < 0.95
    assert 50 < covered.size[0] < 500  # the targets' standard deviation is 77
    rows = rows_of(tmp_path, numbers, "coverage=0.8")
    assert all(float(row["lower"]) < float(row["prediction"]) < float(row["upper"]) for row in rows)
    middle = [(float(row["lower"]) + float(row["upper"])) / 2 for row in rows]
    assert middle == pytest.approx([float(row["prediction"]) for row in rows], rel=1e-5)


def test_what_was_learned_with_other_weights_is_left_aside(classes: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = calibrate(classes).path
    kept = path.read_text()
    path.write_text(json.dumps({**json.loads(kept), "weights": "0" * 16}))
    with caplog.at_level(logging.WARNING):
        assert load_networks(classes).calibration is None
    assert "other weights" in caplog.text
    path.write_text(kept[: len(kept) // 2])
    with pytest.raises(UserError, match="damaged"):
        load_networks(classes)
    path.write_text('{"weights": "", "scores": 3}')
    with pytest.raises(UserError, match="damaged"):
        load_networks(classes)
    path.unlink()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["calibrate=temprature"], "has no value `temprature`; did you mean `temperature`?"),
        (["coverage=1.5"], "must be in (0, 1)"),
        (["coverage=high"], "`coverage` must be a number, got `high`"),
        (["coverage=0.9999"], "needs at least 9999 validation examples"),
        (["coverage=0.9", "member=0"], "`member` goes with neither"),
        (["calibrate=temperature", "split=tset"], "tset"),
    ],
)
def test_mistakes_are_answered(
    classes: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(classes), *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_a_regression_has_no_temperature_and_says_what_it_has(numbers: Path) -> None:
    with pytest.raises(UserError, match=r"needs class probabilities.*`coverage=0.9` works"):
        calibrate(numbers)


def test_predict_asks_for_the_scores_first(tmp_path: Path, classes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calibrate(classes, "none")
    (tmp_path / "any.csv").write_text("a\n1\n")
    assert main(["predict", str(classes), str(tmp_path / "any.csv"), "coverage=0.9"]) == 2
    assert f"`nnlab evaluate {classes} coverage=0.9` learns them" in capsys.readouterr().err
    assert main(["predict", str(classes), str(tmp_path / "any.csv"), "coverage=1.5"]) == 2
    assert "`coverage` must be in (0, 1), got 1.5" in capsys.readouterr().err


def test_the_command_says_what_was_found(classes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(classes), "calibrate=temperature", "coverage=0.9"]) == 0
    out = capsys.readouterr().out
    assert "fitted on 144 validation examples" in " ".join(out.split())
    assert "sets at coverage 0.9 (split conformal, 144 validation examples)" in out
    assert main(["evaluate", str(classes), "coverage=0.9", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["coverage"]["stated"] == 0.9
