"""Runs are written without what only POSIX has: a program on Windows has no `fcntl`, no `os.pwrite`, no SIGUSR1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from forked import SERVER
from like_windows import mistake

CODE = """
import os, signal, sys
sys.modules["fcntl"] = None
for name in ("pwrite", "O_CLOEXEC", "sched_getaffinity"):
    delattr(os, name)
for name in ("SIGUSR1", "SIGUSR2"):
    delattr(signal, name)
import nnlab
small = ["data.limit=80", "architecture.widths=[8]", "callbacks.diagnosis.probe=false", f"output_dir={sys.argv[1]}"]
first = nnlab.train(*small, "trainer.epochs=1", "scheduler=constant")
second = nnlab.train(f"resume={first.directory}", "trainer.epochs=2")
print(first.status, second.status, second.steps == 2 * first.steps)
"""


def test_runs_train_and_continue_without_what_only_posix_has(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "completed completed True"


def test_the_rules_of_windows_are_those_of_its_manual() -> None:
    sound = ("train/seed=1,data.limit=80/config.yaml", "a-b_c/2026-11-29_18-50-56/x.part", "console/auxiliary.csv")
    assert [mistake(path) for path in sound] == [None] * 3
    for path in ("a:b", "x/a?", "con", "x/NUL.txt", "a.", "a /b", 'a"b', "a<b", "a|b", "a*", "a\\b", "x" * 241):
        assert mistake(path), path


def write_like_windows(folder: Path) -> None:
    """In a process of its own: a study, a run with all that callbacks write, and its figures, below `folder`."""
    import like_windows

    from nnlab.cli import main

    like_windows.install(str(folder.parent))
    small = ["data.limit=80", "trainer.epochs=1", f"output_dir={folder}/out"]
    grid = ["data/preprocessing=none,standardize", "architecture.widths=[4]", "seed=0", "name=study"]
    assert main(["train", "-m", *small, *grid, "hydra.launcher.stack=never"]) == 0
    assert main(["train", *small, "callbacks=[tensorboard,statistics,histograms,images,projector,checkpoint]"]) == 0
    assert main(["plot", f"{folder}/out/train"]) == 0
    with pytest.raises(OSError, match="a:b"):
        (folder / "a:b").open("w")


@pytest.mark.slow
def test_runs_sweeps_and_pages_have_names_that_windows_takes(tmp_path: Path) -> None:
    process = SERVER.Process(target=write_like_windows, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    names = {path.parent.name for path in tmp_path.glob("out/*/*/config.yaml")}
    assert len(names) == 3
    assert list(tmp_path.glob("out/study/*.html"))
