"""A process of nnlab ends without taking apart what it has loaded, and loses nothing by that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import atexit, sys, threading, time
from nnlab import process

def main():
    global kept
    kept = open("kept.txt", "w")
    kept.write("written")
    threading.Thread(target=lambda: (time.sleep(0.1), print("the thread"))).start()
    atexit.register(lambda: print("at the end"))
    print("the command", end=" ")
    {ending}

sys.exit(process.run(main))
"""


def ended(folder: Path, ending: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.replace("{ending}", ending)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_files_threads_and_handlers_come_to_their_end_before_the_process(tmp_path: Path) -> None:
    found = ended(tmp_path, "return 3")
    assert found.returncode == 3, found.stderr
    assert found.stdout.split() == "the command the thread at the end".split()
    assert (tmp_path / "kept.txt").read_text() == "written"


def test_an_error_ends_the_process_as_usual(tmp_path: Path) -> None:
    found = ended(tmp_path, "raise ValueError('a bug')")
    assert found.returncode == 1
    assert "ValueError: a bug" in found.stderr
    assert (tmp_path / "kept.txt").read_text() == "written"


def test_garbage_is_looked_for_as_usual_once_all_is_loaded(tmp_path: Path) -> None:
    lines = """
import gc, sys
from nnlab import process
usual = gc.get_threshold()
def main():
    seldom = gc.get_threshold()
    process.loaded()
    process.loaded()
    return 10 * (seldom > usual) + (gc.get_threshold() == usual)
sys.exit(process.run(main))
"""
    found = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, timeout=60, check=False)
    assert found.returncode == 11
