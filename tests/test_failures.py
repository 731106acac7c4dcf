"""What the system refuses a command is said in a sentence, and costs no training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnlab.cli import main
from nnlab.cli.failures import failure

SMALL = ["data.limit=80", "architecture.widths=[4]", "trainer.steps=3", "callbacks=[progress,checkpoint]"]
FULL = Path("/dev/full")
CODE = "import sys; from nnlab.cli import main; sys.exit(main(sys.argv[1:]))"

only_with_full_device = pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")


def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", CODE, *words]
    return subprocess.run(arguments, check=False, text=True, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


@only_with_full_device
@pytest.mark.slow
def test_a_full_disk_behind_the_output_costs_no_training(tmp_path: Path) -> None:
    with FULL.open("w") as full:
        done = run("train", *SMALL, stdout=full, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["nnlab train: the standard output cannot be written: No space left on device"]
    [result] = tmp_path.glob("outputs/train/*/result.json")
    assert json.loads(result.read_text())["status"] == "completed"


@only_with_full_device
def test_a_full_disk_behind_both_streams_ends_with_an_exit_code(tmp_path: Path) -> None:
    for words in (["list"], ["list", "--json"]):
        with FULL.open("w") as full:
            done = subprocess.run([sys.executable, "-c", CODE, *words], check=False, stdout=full, stderr=full)
        assert done.returncode == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the folder that a process is in")
def test_a_working_directory_that_was_removed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for words in (["train"], ["evaluate", "x"], ["train", "-m", "seed=0,1"], ["list"]):
        assert main(words) == 2
        assert capsys.readouterr().err.endswith("the working directory was removed; change to another one\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "output_dir={long}"], "the path of a run in `output_dir`/`name` has 3500 bytes at most, got "),
        (["evaluate", "{long}"], "is longer than a path may be"),
        (["train", "{long}/x.csv"], "is longer than a path may be"),
        (["train", "output_dir={part}"], "`output_dir`: a folder's name has 255 bytes at most, got 256"),
        (["train", "name={part}"], "`name`: a folder's name has 255 bytes at most, got 256"),
    ],
)
def test_a_path_that_no_system_takes_is_said(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {"long": "/".join(["a" * 200] * 25), "part": "a" * 256}
    assert main([word.format(**texts) for word in words]) == 2
    assert sentence in capsys.readouterr().err


def test_too_little_memory_is_said_and_a_fault_of_ours_is_not() -> None:
    unmapped = failure(ImportError("libtorch_cpu.so: failed to map segment from shared object"))
    assert unmapped is not None
    assert unmapped.sentence.startswith("there is not enough memory")
    assert failure(OSError(12, "Cannot allocate memory")) is not None
    assert failure(MemoryError()) is not None
    assert failure(RuntimeError("shapes do not fit")) is None
    assert failure(ImportError("no module named x")) is None
    assert failure(FileNotFoundError(2, "No such file", "x")) is None


def test_a_version_of_hydra_without_what_nnlab_needs_is_named_with_those_that_have_it() -> None:
    code = "import sys; sys.modules['hydra._internal.callbacks'] = None; " + CODE
    done = subprocess.run([sys.executable, "-c", code, "train"], check=False, text=True, capture_output=True)
    assert done.returncode == 1
    assert done.stderr.startswith("nnlab train: nnlab needs a part of Hydra that this version does not have (")
    assert done.stderr.endswith("install `hydra-core>=1.3.2,<1.5`\n")


def test_more_examples_than_the_training_split_has_are_said_with_the_splits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data.validation=0.999", "data.limit=100"]) == 2
    assert (
        "`data.limit=100` is more than the 1 training examples that are left beside 1437 for validation and 359 for "
        "testing" in capsys.readouterr().err
    )
