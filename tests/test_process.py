"""A process of nnlab ends without taking apart what it has loaded, and loses nothing by that."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


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
    found = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, timeout=600, check=False)
    assert found.returncode == 11


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from nnlab import process
from nnlab.interruption import leaving_at_once

Path("extension.py").write_text("import os, signal; os.kill(os.getpid(), signal.NUMBER); print('still there')")
sys.path.insert(0, os.getcwd())

def main():
    with leaving_at_once():
        print("begun")
        WHERE
    return 0

sys.exit(process.run(main))
"""


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGUSR1", 75)])
def test_a_signal_during_an_import_ends_the_process_without_an_exception_in_it(
    number: str, code: int, tmp_path: Path
) -> None:
    if not hasattr(signal, number):
        pytest.skip("this system has no such signal")
    # An import that cannot be broken off by an exception, as that of an extension that would abort.
    importing = "try:\n            import extension\n        except BaseException: os.abort()"
    program = INTERRUPTED.replace("NUMBER", number).replace("WHERE", importing)
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (code, "begun\n", "")


def test_a_signal_outside_of_imports_lets_whoever_is_at_work_clean_up(tmp_path: Path) -> None:
    working = "try:\n            os.kill(os.getpid(), signal.SIGTERM)\n        finally: print('cleaned')"
    program = INTERRUPTED.replace("WHERE", working)
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (143, "begun\ncleaned\n", "")
