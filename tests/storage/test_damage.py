"""What others do to a run's folder while it trains or afterwards: it is said, and the rest is shown."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest

import nnlab
from nnlab.cli import main
from nnlab.errors import UserError
from nnlab.storage import files
from nnlab.storage.folder import read_result
from nnlab.storage.history import read_curves
from nnlab.training import Callback, Trainer

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import damaged_runs

SMALL = ("data.limit=80", "architecture.widths=[8]", "trainer.epochs=3", "callbacks=[checkpoint,tensorboard]")


@pytest.fixture(name="place", scope="module")
def damaged_place(tmp_path_factory: pytest.TempPathFactory) -> damaged_runs.Place:
    return damaged_runs.Place(tmp_path_factory.mktemp("damage"))


@pytest.mark.slow
def test_no_damage_of_a_run_leads_to_a_traceback(place: damaged_runs.Place) -> None:
    chosen = damaged_runs.cases(place)[3::19]  # 19 shares no factor with the 8 damages and the 8 commands
    wrong = {case: found for case in chosen if (found := damaged_runs.check(place, *case))}
    assert wrong == {}


@pytest.mark.parametrize("file", ["history.csv", "result.json", "config.yaml", "overrides.yaml"])
def test_a_damaged_run_does_not_hide_the_rest_of_its_study(place: damaged_runs.Place, file: str) -> None:
    with place.damaged(file, "last bytes missing") as copy:
        code, said = place.answer(["study", str(copy / "study")])
    assert code == 0
    assert "Traceback" not in said
    assert "validation accuracy" in said


@pytest.mark.parametrize("command", ["evaluate", "diagnose", "reproduce", "export"])
@pytest.mark.parametrize("section", ["architecture", "optimizer", "regularizer", "trainer", "seed"])
def test_a_config_that_is_cut_off_between_two_lines_is_named(
    place: damaged_runs.Place, monkeypatch: pytest.MonkeyPatch, command: str, section: str
) -> None:
    before = f"\n{section}:".encode()
    monkeypatch.setitem(damaged_runs.DAMAGES, "cut", lambda data: data[: data.index(before) + 1])
    with place.damaged("config.yaml", "cut") as copy:
        code, said = place.answer(place.commands(copy)[command])
    assert code == 2
    assert "config.yaml` is damaged: `" in said


class Remover(Callback):
    """Somebody removes files of the run in the middle of training."""

    def evaluated(self, trainer: Trainer) -> None:
        if trainer.step >= trainer.total_steps // 2:
            folder = trainer.runs[0].directory
            for path in [*folder.glob("*.csv"), *folder.glob("*.yaml"), *folder.glob("events*"), folder / "log.txt"]:
                path.unlink(missing_ok=True)


def test_files_that_are_removed_while_a_run_trains_are_written_again_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnlab.runs import launch

    twin = nnlab.train(*SMALL, f"output_dir={tmp_path / 'twin'}")
    build = launch.build_trainer

    def with_remover(*arguments: object, **named: object) -> Trainer:
        trainer = build(*arguments, **named)  # type: ignore[arg-type]
        trainer.callbacks.append(Remover())
        return trainer

    monkeypatch.setattr(launch, "build_trainer", with_remover)
    capsys.readouterr()
    result = nnlab.train(*SMALL, f"output_dir={tmp_path / 'own'}")
    said = capsys.readouterr().err
    for name in ("history.csv", "statistics.csv", "config.yaml", "overrides.yaml"):
        assert f"`{name}`" in said
        assert (result.directory / name).exists()
    assert "had been removed while it trained" in said
    mine, theirs = read_curves(result.directory), read_curves(twin.directory)
    assert mine.losses.tolist() == theirs.losses.tolist()
    assert len(list(result.directory.glob("events*"))) == 1


def test_an_edited_config_is_refused_with_the_difference(tmp_path: Path) -> None:
    run = nnlab.train(*SMALL, f"output_dir={tmp_path}").directory
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("\nseed: 0\n", "\nseed: 1\n"))
    for ask in (lambda: nnlab.evaluate(run), lambda: nnlab.load(run), lambda: nnlab.train(f"resume={run}")):
        with pytest.raises(
            UserError, match="was trained with another config and cannot continue with this one: `seed`"
        ):
            ask()


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    first = nnlab.train(*SMALL, f"output_dir={tmp_path}").directory
    second = nnlab.train(*SMALL, "seed=1", f"output_dir={tmp_path}").directory
    shutil.copy(second / "checkpoints" / "best.ckpt", first / "checkpoints" / "best.ckpt")
    with pytest.raises(UserError, match="was trained with another config"):
        nnlab.evaluate(first)


def test_a_study_that_takes_no_files_prints_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nnlab.sweep(*SMALL, "seed=0,1", f"output_dir={tmp_path}", "name=s")
    capsys.readouterr()

    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(files.os, "replace", read_only)
    assert main(["study", str(tmp_path / "s")]) == 0
    said = capsys.readouterr()
    assert "validation accuracy" in said.out
    assert "page:" not in said.out
    assert "no page was written: cannot write" in said.err
    assert "output_dir" not in said.err
    run = next(path.parent for path in (tmp_path / "s").glob("*/config.yaml"))
    assert main(["plot", str(run), "only=loss"]) == 2
    assert "the file system is read-only; choose another folder with `out=DIR`" in capsys.readouterr().err
    assert main(["export", str(run), "format=state_dict"]) == 2
    assert "the file system is read-only; choose another folder with `out=FOLDER`" in capsys.readouterr().err
    assert main(["data", "data=moons"]) == 0
    said = capsys.readouterr()
    assert "no page was written: cannot write" in said.err
    assert "train, " in said.out
    assert "page:" not in said.out


def test_temporary_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    old, fresh = tmp_path / ".study.json.1.part", tmp_path / ".study.html.2.part"
    for path in (old, fresh):
        path.write_text("")
    os.utime(old, (1, 1))
    files.remove_parts(tmp_path, seconds=60)
    assert not old.exists()
    assert fresh.exists()
    files.remove_parts(tmp_path)
    assert not fresh.exists()


def test_a_run_that_has_not_ended_has_no_result(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
