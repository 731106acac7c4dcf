"""A single run that ends worse than it should is followed by experiments; a healthy one, or one of many, is not."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nnlab
from nnlab.cli import main
from nnlab.diagnosis.facts import levels
from nnlab.probe import after_training, run

QUICK = ["data=digits", "trainer.epochs=4", "callbacks=[statistics,diagnosis,checkpoint]"]
BAD = [*QUICK, "optimizer=sgd", "trainer.clip_norm=1e-6"]


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No experiments, or the test fails."""

    def asked(*arguments: object) -> Any:
        raise AssertionError("experiments were begun")

    monkeypatch.setattr(after_training, "follow_up", asked)


def findings(folder: Path) -> list[dict[str, Any]]:
    [result] = folder.rglob("result.json")
    found: list[dict[str, Any]] = json.loads(result.read_text())["diagnosis"]
    return found


def test_a_bad_run_ends_with_its_cause_and_the_remedy_that_was_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *BAD, f"output_dir={tmp_path}"]) == 0
    first = findings(tmp_path)[0]
    assert (first["name"], first["override"]) == ("setting_at_fault", "trainer.clip_norm=null")
    shown = capsys.readouterr().out
    assert "diagnosis: setting at fault" in shown
    assert "trainer.clip_norm=null" in shown.partition("try:  nnlab train")[2]
    assert "--probe" not in shown
    [run] = (tmp_path / "train").iterdir()
    assert main(["diagnose", str(run)]) == 0  # what was tried is told again, without being tried again
    again = capsys.readouterr().out
    assert "setting at fault: `trainer.clip_norm=null` instead of `trainer.clip_norm=1e-06` takes" in again


def test_a_regularizer_whose_values_are_unusual_can_be_the_cause_as_a_whole(tmp_path: Path) -> None:
    more = ("regularizer=[weight_decay,dropout]", "regularizer.dropout.input_p=0.9", "regularizer.dropout.p=0.95")
    nnlab.train(*QUICK, *more, f"output_dir={tmp_path}")
    first = findings(tmp_path)[0]
    assert "Tried" in first["explanation"]
    assert first["override"] == "'regularizer=[weight_decay]'"


def test_a_fact_about_the_data_that_is_the_cause_is_told_once(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(600, 2))
    rows = "".join(f"{5000 + 900 * a:.1f},{700 * b:.1f},{'yes' if a > b else 'no'}\n" for a, b in x)
    (tmp_path / "table.csv").write_text("a,b,y\n" + rows)
    more = ("data/preprocessing=none", "optimizer=sgd", "optimizer.learning_rate=0.01", "regularizer=[weight_decay]")
    nnlab.train(f"{tmp_path}/table.csv", "target=y", "trainer.epochs=8", *more, f"output_dir={tmp_path}")
    names = [finding["name"] for finding in findings(tmp_path)]
    assert "inputs_not_standardized" in names
    assert len(names) == len(set(names))


def test_what_is_written_is_a_function_of_the_run(tmp_path: Path) -> None:
    for name in ("first", "second"):
        nnlab.train(*BAD, f"output_dir={tmp_path / name}")
    assert findings(tmp_path / "first") == findings(tmp_path / "second")


def test_a_healthy_run_is_not_probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "probe", lambda *_: pytest.fail("experiments were begun"))
    assert nnlab.train("data=digits", "trainer.epochs=8", f"output_dir={tmp_path}").status == "completed"


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize(
    "more", [["callbacks.diagnosis.probe=false"], ["regularizer=[ensemble]", "regularizer.ensemble.members=2"]], ids=str
)
def test_experiments_can_be_turned_off_and_are_for_single_networks(tmp_path: Path, more: list[str]) -> None:
    nnlab.train(*BAD, *more, f"output_dir={tmp_path}")
    assert "setting_at_fault" not in [finding["name"] for finding in findings(tmp_path)]


@pytest.mark.usefixtures("unasked")
def test_runs_of_a_sweep_are_not_probed(tmp_path: Path) -> None:
    assert len(nnlab.sweep(*BAD, "seed=0,1", f"output_dir={tmp_path}")) == 2


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()], ids=["failed", "interrupted"])
def test_experiments_that_fail_cost_the_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fails(*arguments: object) -> Any:
        raise error

    monkeypatch.setattr(after_training, "follow_up", fails)
    result = nnlab.train(*BAD, f"output_dir={tmp_path}")
    assert result.status == "completed"
    assert findings(tmp_path) == list(result.diagnosis) != []
    [written] = tmp_path.rglob("result.json")
    assert json.loads(written.read_text()).get("probe_pending", False) == isinstance(error, KeyboardInterrupt)


def test_large_images_from_disk_are_not_experimented_on_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unasked: None, caplog: pytest.LogCaptureFixture
) -> None:
    generator = np.random.default_rng(0)
    for position in range(40):
        folder = tmp_path / "images" / "ab"[position % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{position}.png")
    data = ["data=image_folder", f"data.path={tmp_path / 'images'}", "data.resident=false", "architecture.widths=[4]"]
    monkeypatch.setattr(levels, "LARGE", 100)
    monkeypatch.setattr(after_training, "worse_than_it_should", lambda *arguments: True)
    with caplog.at_level(logging.INFO, logger="nnlab.probe.after_training"):
        result = nnlab.train(*data, "trainer.epochs=1", "callbacks=[diagnosis]", f"output_dir={tmp_path}")
    assert not result.probe_pending
    assert f"`nnlab diagnose {result.directory} --probe`" in caplog.text


class Killed(BaseException):
    """Ends a command where SIGKILL would, but for what is on the disk."""


def test_a_kill_during_the_experiments_is_noted_said_and_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def killed(*arguments: object) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(after_training, "follow_up", killed)
        with pytest.raises(Killed):
            nnlab.train(*BAD, f"output_dir={tmp_path}/killed")
    [folder] = (tmp_path / "killed" / "train").iterdir()
    kept = json.loads((folder / "result.json").read_text())
    assert (kept["status"], kept["probe_pending"]) == ("completed", True)
    assert main(["diagnose", str(folder)]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("the experiments after training have not ended")
    assert f"`nnlab diagnose {folder} --probe`" in said
    assert f"`nnlab train resume={folder}`" in said

    assert main(["train", f"resume={folder}"]) == 0
    nnlab.train(*BAD, f"output_dir={tmp_path}/whole")
    assert findings(tmp_path / "killed") == findings(tmp_path / "whole")
    again = json.loads((folder / "result.json").read_text())
    assert "probe_pending" not in again
    assert again["metrics"] == kept["metrics"]
    capsys.readouterr()
    assert main(["diagnose", str(folder)]) == 0
    assert "have not ended" not in capsys.readouterr().out


def rows(tmp_path: Path, x: np.ndarray, y: np.ndarray) -> list[str]:
    """Overrides of a data set from arrays."""
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    return [f"data.path={tmp_path / 'rows.npz'}"]


def classes() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    centers = draw.normal(size=(4, 8))
    y = draw.integers(0, 4, 900)
    return 2 * centers[y] + draw.normal(size=(900, 8)), y


def first_finding(tmp_path: Path, *overrides: str) -> dict[str, Any]:
    nnlab.train("data=arrays", "data.validation=0.25", *QUICK[1:], *overrides, f"output_dir={tmp_path}")
    return findings(tmp_path)[0]


def test_wrong_labels_are_said_with_their_share(tmp_path: Path) -> None:
    x, y = classes()
    draw = np.random.default_rng(1)
    y = np.where(draw.random(900) < 0.5, draw.integers(0, 4, 900), y)
    first = first_finding(tmp_path, *rows(tmp_path, x, y), "trainer.epochs=60", "scheduler=constant")
    assert first["name"] == "labels_wrong"
    assert abs(first["evidence"]["share"] - 0.375) < 0.08


def test_a_batch_size_of_an_experiment_file_may_be_more_than_the_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x, y = classes()
    few = [*rows(tmp_path, x[:200], y[:200]), "experiment=realmlp", "architecture=mlp", "trainer.epochs=40"]
    first = first_finding(tmp_path, *few, "optimizer.learning_rate=1e-7")
    assert (first["name"], first["override"]) == ("learning_rate_too_low", "optimizer.learning_rate=0.001")
    assert first["tried"]
    assert "could not be looked for" not in caplog.text


def test_targets_of_the_next_row_are_recognized(tmp_path: Path) -> None:
    x, y = classes()
    first = first_finding(tmp_path, *rows(tmp_path, x, np.roll(y, 1)))
    assert first["name"] == "targets_shifted"
    assert "next row" in first["explanation"]


def test_experiments_that_find_no_cause_end_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "data=diabetes", "loss=gaussian_nll", "optimizer=lbfgs", "trainer.batch_size=full"]
    assert main([*words, f"output_dir={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    assert "looking for the cause" in shown
    assert "no cause was found: usual settings come no further, but for chance" in shown
    assert "diagnosis:" not in shown
