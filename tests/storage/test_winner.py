"""A recipe's folder stands for the run that won."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import nnlab
from nnlab.cli import main
from nnlab.errors import UserError
from nnlab.storage.directories import find_runs, run_at


def recipe_folder(folder: Path, *steps: dict[str, Any], status: str = "running") -> Path:
    """A recipe's folder with these steps."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("seed: 0\n")
    (folder / "recipe.json").write_text(json.dumps({"status": status, "steps": list(steps)}))
    return folder


def final(*directories: str) -> dict[str, Any]:
    """Step 8 with runs at these places, of which the first diverged where there are several."""
    runs = [{"directory": each, "metrics": {"test": {"loss": 1.0}}} for each in directories]
    if len(runs) > 1:
        runs[0]["metrics"] = {}
    return {"number": 8, "numbers": {"runs": runs}}


def begun(folder: Path) -> Path:
    """A run's folder."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 0\n")
    return folder


def test_a_recipe_that_moved_stands_for_its_winner(tmp_path: Path) -> None:
    folder = recipe_folder(tmp_path / "here", final("/elsewhere/recipe/x/given/seed=3"))
    won = begun(folder / "given" / "seed=3")
    assert run_at(folder) == won
    assert find_runs([folder]) == [won]
    assert run_at(won) == won


def test_a_run_that_diverged_before_its_first_validation_is_no_winner(tmp_path: Path) -> None:
    folder = recipe_folder(tmp_path / "x", final("x/final/seed=0", "x/final/seed=1"))
    won = begun(folder / "final" / "seed=1")
    assert run_at(folder) == won


@pytest.mark.parametrize("steps", [[], [{"number": 1, "numbers": {}}], [final()]], ids=["none", "first", "last"])
def test_a_recipe_without_final_networks_is_said_to_be_one(tmp_path: Path, steps: list[dict[str, Any]]) -> None:
    folder = recipe_folder(tmp_path / "x", *steps)
    for take in (run_at, nnlab.load, lambda run: find_runs([run])):
        with pytest.raises(UserError, match="is a recipe that has not trained its final networks"):
            take(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"steps": 1}', '{"steps": [{"number": 8, "numbers": {}}]}'])
def test_a_damaged_recipe_is_said_to_be_damaged(tmp_path: Path, text: str) -> None:
    folder = recipe_folder(tmp_path / "x")
    (folder / "recipe.json").write_text(text)
    with pytest.raises(UserError, match=r"recipe\.json` (is damaged|cannot be read)"):
        run_at(folder)


def test_a_final_run_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"final run .*seed=0` is not there"):
        run_at(recipe_folder(tmp_path / "x", final("x/final/seed=0")))


def test_every_command_about_a_run_takes_a_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nnlab.train("data=blobs", "trainer.epochs=1", "name=one", "callbacks=[checkpoint]")
    [run] = Path("outputs/one").iterdir()
    folder = recipe_folder(tmp_path / "moved", final("outputs/recipe/x/final/seed=0"))
    shutil.copytree(run, folder / "final" / "seed=0")
    for words in (["evaluate", str(folder)], ["diagnose", str(folder)], ["plot", str(folder), "only=loss"]):
        capsys.readouterr()
        assert main(words) == 0, words
    assert nnlab.load(folder).predict([[0.0, 0.0]]).shape == (1,)
