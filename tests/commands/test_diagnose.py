"""From a run's folder: the callback writes what it finds, and `nnlab diagnose` finds the same again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from nnlab.cli import compose
from nnlab.commands.diagnose import main
from nnlab.commands.train import main as train_command
from nnlab.errors import UserError
from nnlab.runs.diagnosing import diagnose_run
from nnlab.runs.launch import train

COMMON = (
    "data=moons",
    "architecture.widths=[8,8]",
    "trainer.epochs=6",
    "callbacks=[statistics,diagnosis,checkpoint]",
)


def run(folder: Path, *overrides: str) -> Path:
    return train(compose(*COMMON, f"output_dir={folder}", *overrides)).directory


@pytest.fixture(scope="module")
def symmetric(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("symmetric"), "initialization=constant")


def test_result_json_holds_the_findings(symmetric: Path) -> None:
    found = json.loads((symmetric / "result.json").read_text())["diagnosis"]
    assert found[0]["name"] == "symmetric_units"
    assert found[0]["override"] == "initialization=he"
    assert found[0]["layer"] == "linear1.weight"


def test_a_certain_finding_is_in_the_log_before_the_end_and_once(symmetric: Path) -> None:
    lines = [line for line in (symmetric / "log.txt").read_text().splitlines() if "symmetric units" in line]
    assert len(lines) == 1
    assert lines[0].startswith("diagnosis at step 23:")


def test_notes_are_not_printed_while_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        directory = run(tmp_path, "data.validation=0.02", "initialization=constant")
    assert "noisy validation" in (directory / "log.txt").read_text()
    assert "symmetric units" in caplog.text
    assert "noisy validation" not in caplog.text


def test_the_command_finds_in_the_folder_what_the_callback_found(symmetric: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    before = {path: path.read_bytes() for path in symmetric.rglob("*") if path.is_file()}
    assert main([str(symmetric)]) == 0
    assert "symmetric units (layer linear1.weight, step 1)" in capsys.readouterr().out
    written = json.loads((symmetric / "result.json").read_text())["diagnosis"]
    assert [f.name for f in diagnose_run(symmetric)[0]] == [f["name"] for f in written]
    assert before == {path: path.read_bytes() for path in symmetric.rglob("*") if path.is_file()}


def test_a_diverged_run_is_diagnosed_from_its_folder(tmp_path: Path) -> None:
    directory = run(tmp_path, "optimizer=sgd", "optimizer.learning_rate=1000", "loss=squared_error")
    first = diagnose_run(directory)[0][0]
    assert first.name == "learning_rate_too_high"
    assert "loss_exploded" in {symptom.name for symptom in first.symptoms}


def test_a_sound_run_says_so(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    directory = run(tmp_path, "data.noise=0.1", "trainer.epochs=40", "optimizer.learning_rate=0.01")
    assert main([str(directory)]) == 0
    assert capsys.readouterr().out.strip().splitlines()[-1] == "nothing looks wrong"


def test_every_member_of_an_ensemble_is_diagnosed_and_what_all_have_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ("regularizer=[weight_decay,ensemble]", "regularizer.ensemble.members=2", "initialization=constant")
    directory = run(tmp_path, *overrides)
    assert [findings[0].name for findings in diagnose_run(directory)] == ["symmetric_units"] * 2
    capsys.readouterr()
    assert main([str(directory)]) == 0
    assert capsys.readouterr().out.count("symmetric units (layer linear1.weight") == 1


def test_a_folder_that_is_no_run_is_refused(symmetric: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"but holds some; name one, such as `.*{symmetric.name}`"):
        diagnose_run(symmetric.parent)
    with pytest.raises(UserError, match="is not the folder of a run"):
        main([str(tmp_path)])


def test_a_broken_run_ends_with_the_cause_and_a_command_that_mends_it(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    overrides = [*COMMON, f"output_dir={tmp_path}", "initialization=gaussian", "initialization.std=0"]
    broken = train_command(compose(*overrides), overrides)
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("diagnosis: ")).startswith("diagnosis: symmetric units")
    nnlab, train_, *suggested = shlex.split(next(line for line in lines if line.startswith("try: ")).split(None, 1)[1])
    assert (nnlab, train_) == ("nnlab", "train")
    assert broken.metrics["validation"]["accuracy"] < 0.6
    mended = train_command(compose(*suggested, "trainer.epochs=30"), suggested)
    assert mended.metrics["validation"]["accuracy"] > 0.8
    assert not [finding for finding in mended.diagnosis if finding["name"] == "symmetric_units"]


def test_a_sound_run_ends_without_a_word_about_it(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    overrides = [*COMMON, f"output_dir={tmp_path}", "data.noise=0.1", "trainer.epochs=40"]
    overrides += ["optimizer.learning_rate=0.01"]
    result = train_command(compose(*overrides), overrides)
    assert list(result.diagnosis) == []
    assert "diagnosis" not in capsys.readouterr().out


def test_a_run_is_diagnosed_unless_told_otherwise() -> None:
    assert "diagnosis" in compose()["callbacks"]
