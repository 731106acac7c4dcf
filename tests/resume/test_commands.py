"""`resume=RUN`, the same command again, a longer run, and what is refused; `nnlab reproduce`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import SERVER
from twins import base, compare, result_of

from nnlab.cli import main
from nnlab.config.build import build_trainer
from nnlab.runs import launch
from nnlab.runs.reproducing import reproduce
from nnlab.storage.claim import claimed
from nnlab.training import Callback, Trainer


class Stop(Callback):
    def step_end(self, trainer: Trainer) -> None:
        if trainer.step == 11:
            trainer.stop_requested = "interrupted"


def train(folder: Path, *overrides: str) -> int:
    return main(["train", *base(*overrides), f"output_dir={folder}"])


def the_run(folder: Path) -> Path:
    [run] = (folder / "train").iterdir()
    return run


def interrupt(folder: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Path:
    def build(*arguments: Any) -> Trainer:
        trainer = build_trainer(*arguments)
        trainer.callbacks.insert(0, Stop())
        return trainer

    with monkeypatch.context() as patched:
        patched.setattr(launch, "build_trainer", build)
        assert train(folder, *overrides) == 1
    return the_run(folder)


def test_resume_continues_a_run_and_keeps_its_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupt(tmp_path / "stopped", monkeypatch, "seed=3")
    before = yaml.safe_load((run / "overrides.yaml").read_text())
    assert main(["train", f"resume={run}"]) == 0
    assert train(tmp_path / "twin", "seed=3") == 0
    assert compare(run, the_run(tmp_path / "twin")) == []
    assert yaml.safe_load((run / "overrides.yaml").read_text()) == before
    assert yaml.safe_load((run / "config.yaml").read_text())["resume"] is None


def test_the_same_command_continues_only_what_has_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupt(tmp_path, monkeypatch)
    assert train(tmp_path) == 0
    assert the_run(tmp_path) == run
    assert train(tmp_path) == 0
    assert len(list((tmp_path / "train").iterdir())) == 2


def test_another_command_leaves_an_unfinished_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupt(tmp_path, monkeypatch)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert train(tmp_path, "seed=1") == 0
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_a_folder_left_by_a_process_killed_at_its_start_is_used(tmp_path: Path) -> None:
    left = tmp_path / "train" / "2020-01-01_00-00-00"
    (left / "checkpoints").mkdir(parents=True)
    (left / ".claim").touch()
    (left / ".config.yaml.123.part").write_text("seed: ")
    assert train(tmp_path) == 0
    assert the_run(tmp_path) == left
    assert (left / "result.json").exists()
    assert not list(left.glob(".*.part"))


@pytest.mark.parametrize("whole", [True, False], ids=["after a whole run", "after an interruption"])
def test_a_longer_run_is_the_one_that_was_longer_from_the_start(
    whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "short"
    run = the_run(folder) if whole and train(folder) == 0 else interrupt(folder, monkeypatch)
    assert main(["train", f"resume={run}", "trainer.epochs=5"]) == 0
    assert train(tmp_path / "long", "trainer.epochs=5") == 0
    assert compare(run, the_run(tmp_path / "long")) == []
    assert result_of(run)["steps"] == 40


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["train", *arguments]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def test_a_longer_run_is_refused_where_the_schedule_depends_on_the_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "scheduler=cosine") == 0
    run = the_run(tmp_path)
    before = result_of(run)
    assert "its schedule `nnlab.scheduler.Cosine` depends" in refusal(capsys, f"resume={run}", "trainer.epochs=5")
    assert result_of(run) == before
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["epochs"] == 3


def test_another_config_and_a_shorter_run_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path) == 0
    run = the_run(tmp_path)
    said = refusal(capsys, f"resume={run}", "optimizer.learning_rate=0.5")
    assert "cannot continue with this one: `optimizer.learning_rate`: 0.001 -> 0.5" in said
    assert "has done 24 steps already, more than 8" in refusal(capsys, f"resume={run}", "trainer.epochs=1")
    with claimed(run):
        assert "is in use: another process is training this run" in refusal(capsys, f"resume={run}")


def test_a_run_that_has_ended_gives_its_result_again(tmp_path: Path) -> None:
    assert train(tmp_path) == 0
    run = the_run(tmp_path)
    before, history = result_of(run), (run / "history.csv").read_bytes()
    assert main(["train", f"resume={run}"]) == 0
    assert result_of(run) == before
    assert (run / "history.csv").read_bytes() == history


def test_a_finished_run_keeps_only_its_best_weights_where_asked_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "callbacks.checkpoint.keep=false") == 0
    run = the_run(tmp_path)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["best.ckpt"]
    assert main(["evaluate", str(run)]) == 0
    assert "has ended and kept no checkpoint" in refusal(capsys, f"resume={run}", "trainer.epochs=5")


def test_reproduce_finds_the_same_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path, "regularizer=[dropout]") == 0
    capsys.readouterr()
    assert main(["reproduce", str(the_run(tmp_path))]) == 0
    assert capsys.readouterr().out == "the same bits: 24 steps of history, and the metrics of all splits\n"


def test_reproduce_says_what_differs(tmp_path: Path) -> None:
    assert train(tmp_path) == 0
    run = the_run(tmp_path)
    lines = (run / "history.csv").read_text().splitlines()
    cells = lines[5].split(",")
    cells[3] = repr(float(cells[3]) * (1 + 1e-6))
    (run / "history.csv").write_text("\n".join([*lines[:5], ",".join(cells), *lines[6:]]) + "\n")
    for name, key, value in (("result.json", "best_step", 99), ("environment.json", "torch", "1.0")):
        content = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps({**content, key: value}))
    found = reproduce(run)
    assert [line.split(" was")[0] for line in found.differences] == [
        "history.csv: first at step 5, `loss/train`",
        "best_step:",
    ]
    assert "(relative 1.0e-06)" in found.differences[0]
    assert len(found.conditions) == 1
    assert found.conditions[0].startswith("torch: was 1.0, is 2.")


def test_reproduce_refuses_what_has_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = interrupt(tmp_path, monkeypatch)
    assert main(["reproduce", str(run)]) == 2
    assert "has not ended; continue it first" in capsys.readouterr().err
    alone = tmp_path / "elsewhere" / "nothing"
    alone.mkdir(parents=True)
    assert main(["reproduce", str(alone)]) == 2
    assert "is not the folder of a run; a run's folder holds a config.yaml" in capsys.readouterr().err


def kill(folder: Path, counts: Path) -> None:
    """In a process of its own: kill a run eight times, and write what was counted."""
    from kill_harness import run

    counts.write_text(json.dumps(run(8, 1, folder, "table, ensemble")))


@pytest.mark.slow
def test_killed_runs_continue_to_the_same_bits(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    process = SERVER.Process(target=kill, args=(tmp_path / "runs", file))
    process.start()
    process.join()
    assert process.exitcode == 0
    counts = json.loads(file.read_text())
    assert counts["kills"] == 8
    assert not {name for name in ("mismatches", "failures") if counts.get(name)}
