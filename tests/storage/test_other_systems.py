"""Runs are written without what only POSIX has: a program on Windows has no `fcntl`, no `os.pwrite`, no SIGUSR1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import os, signal, sys
sys.modules["fcntl"] = None
for name in ("pwrite", "O_CLOEXEC", "sched_getaffinity"):
    delattr(os, name)
for name in ("SIGUSR1", "SIGUSR2"):
    delattr(signal, name)
import nnlab
small = ["data.limit=80", "architecture.widths=[8]", f"output_dir={sys.argv[1]}"]
first = nnlab.train(*small, "trainer.epochs=1", "scheduler=constant")
second = nnlab.train(f"resume={first.directory}", "trainer.epochs=2")
print(first.status, second.status, second.steps == 2 * first.steps)
"""


def test_runs_train_and_continue_without_what_only_posix_has(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "completed completed True"
