"""Processes of their own find what this one finds, and nothing that lies in the present folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nnlab import interpreter


def output_of(module: str, folder: Path) -> str:
    """What a module prints that runs in a process of its own, started in `folder`."""
    done = subprocess.run(
        interpreter.running(module),
        cwd=folder,
        env=interpreter.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_modules_of_the_present_folder_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "part.py").write_text("import colorsys\nprint(hasattr(colorsys, 'rgb_to_hsv'))\n")
    (tmp_path / "colorsys.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    assert output_of("part", tmp_path) == "True"


def test_folders_that_this_process_looks_into_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "part.py").write_text("print('found')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    assert output_of("part", Path("/")) == "found"
