"""A disk that fails costs one sentence; nothing good is lost, and the same command continues."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fault_injection as faults
import pytest
import torch
from disk import Disk
from twins import compare

from nnlab.cli import main
from nnlab.errors import UserError
from nnlab.runs import launch
from nnlab.runs.evaluation import evaluate
from nnlab.storage import checkpoint
from nnlab.storage.files import GrowingFile, WriteError, write_whole


@pytest.fixture(scope="module", name="subject")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> faults.Subject:
    return faults.Subject(tmp_path_factory.mktemp("faults"))


def test_every_failed_write_ends_with_one_sentence_and_the_same_command_continues(subject: faults.Subject) -> None:
    numbers = sorted(random.Random(0).sample(range(1, subject.operations + 1), 12))
    for number, kind in zip(numbers, 4 * list(faults.ERRORS), strict=True):
        assert faults.fail_at(subject, number, kind) == [], (number, kind)


@pytest.mark.parametrize("file", faults.FILES)
def test_a_truncated_file_changes_no_result_silently(subject: faults.Subject, file: str) -> None:
    assert faults.truncate(subject, file, 0.6, 5) == []


@pytest.mark.parametrize("file", ["result.json", "checkpoints/last.ckpt"])
def test_a_truncated_file_of_a_finished_run_changes_no_result_silently(subject: faults.Subject, file: str) -> None:
    assert faults.truncate(subject, file, 0.5, None) == []


@pytest.mark.parametrize("file", ["checkpoints/last.ckpt", "checkpoints/best.ckpt"])
def test_a_flipped_bit_changes_no_result_silently(subject: faults.Subject, file: str) -> None:
    assert faults.flip(subject, file, random.Random(1)) == []


def test_a_damaged_last_checkpoint_falls_back_to_the_previous_one_with_a_warning(
    subject: faults.Subject, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = subject.interrupted("fallback", 5)
    step = checkpoint.load(directory / "checkpoints" / "previous.ckpt")["step"]
    (directory / "checkpoints" / "last.ckpt").write_bytes(b"nnlab checkpoint 1 0\nrubbish")
    found = checkpoint.load_newest(directory / "checkpoints")
    assert found is not None
    assert found["step"] == step
    warning = "last.ckpt` is damaged: its checksum does not match; `previous.ckpt` is used instead"
    assert warning in capsys.readouterr().err
    assert compare(subject.train("fallback").directory, subject.twin) == []
    assert (directory / "checkpoints" / "last.damaged").exists()


def damage_all(directory: Path) -> None:
    for path in (directory / "checkpoints").glob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:-1])


def test_where_both_checkpoints_are_damaged_training_says_that_it_begins_again(subject: faults.Subject) -> None:
    damage_all(subject.interrupted("hopeless", 5))
    result = subject.train("hopeless")
    assert "has no checkpoint that can be read; training starts again from step 0" in subject.said.getvalue()
    assert compare(result.directory, subject.twin) == []


def test_a_run_that_has_ended_is_not_trained_again_over_its_result(subject: faults.Subject) -> None:
    directory = subject.train("ended").directory
    damage_all(directory)
    before = (directory / "result.json").read_bytes()
    with pytest.raises(UserError, match="has ended and kept no checkpoint that can be read; start a new run"):
        launch.train({**subject.config, "resume": str(directory)})
    assert (directory / "result.json").read_bytes() == before


def test_the_best_weights_alone_are_enough_to_evaluate(subject: faults.Subject) -> None:
    directory = subject.train("slim").directory
    expected = faults.result_of(directory)
    for name in ("last.ckpt", "previous.ckpt"):
        (directory / "checkpoints" / name).unlink()
    assert evaluate(directory, "test").metrics == expected["metrics"]["test"]
    (directory / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(UserError, match="has no checkpoint that can be read"):
        evaluate(directory)


def test_a_checkpoint_of_a_newer_format_is_refused_and_kept(subject: faults.Subject) -> None:
    directory = subject.interrupted("newer", 5)
    path = directory / "checkpoints" / "last.ckpt"
    newer = path.read_bytes().replace(b"nnlab checkpoint 1 ", b"nnlab checkpoint 2 ", 1)
    path.write_bytes(newer)
    with pytest.raises(UserError, match="format 2; this nnlab reads formats up to 1: a newer nnlab can read it"):
        subject.train("newer")
    assert path.read_bytes() == newer


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.system, (f"touch '{self.trace}'",)


def test_no_code_runs_from_a_checkpoint_file(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(checkpoint.encode({"step": 1, "evil": Evil(tmp_path / "was-here")}))
    with pytest.raises(UserError, match="something else than numbers and text, and is not opened"):
        checkpoint.load(tmp_path / "last.ckpt")
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize("failing", range(1, 5))
def test_a_file_is_replaced_whole_or_not_at_all(failing: int, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with Disk(tmp_path, failing=failing).installed(), pytest.raises(WriteError, match="the disk is full; free some"):
        write_whole(path, "new and longer", sync=True)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_growing_file_is_cut_back_to_what_was_whole(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "history.csv")
    file.write(b"step\n1\n")
    file.flush()
    with Disk(tmp_path, failing=1, error=errno.EIO).installed():
        file.write(b"2\n3\n")
        with pytest.raises(WriteError, match="input/output error"):
            file.flush()
    file.write(b"4\n")
    file.close()
    assert (tmp_path / "history.csv").read_bytes() == b"step\n1\n"


def state(step: int) -> dict[str, Any]:
    """A state with the keys of every checkpoint."""
    rest = {"identity": "", "config": {}, "seconds": 0.0, "files": {}}
    return {"step": step, "members": [{"best": torch.zeros(9)}], **rest}


def test_the_best_weights_in_the_place_of_a_whole_state_are_refused(tmp_path: Path) -> None:
    checkpoint.save_best(tmp_path, state(1))
    (tmp_path / "best.ckpt").rename(tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="is another kind of checkpoint, without `seconds`"):
        checkpoint.load(tmp_path / "last.ckpt")


def test_checkpoints_keep_the_older_one_until_the_newer_is_on_the_disk(tmp_path: Path) -> None:
    for step in range(3):
        checkpoint.rotate_and_save(tmp_path, state(step))
    with Disk(tmp_path).installed() as counting:
        checkpoint.rotate_and_save(tmp_path, state(3))
    for failing in range(1, counting.count + 1):
        with Disk(tmp_path, failing=failing).installed(), pytest.raises(WriteError):
            checkpoint.rotate_and_save(tmp_path, state(4))
        found = checkpoint.load_newest(tmp_path)
        assert found is not None
        assert found["step"] >= 3
        checkpoint.rotate_and_save(tmp_path, state(3))


@pytest.fixture(name="tmpfs")
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 300 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(options, capture_output=True).returncode:
        pytest.skip("mounting a file system needs privileges that this process does not have")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_training_on_a_real_disk_that_fills_up_continues_after_space_is_made(
    tmpfs: Path, subject: faults.Subject, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmpfs / "ballast").write_bytes(bytes(250_000))
    command = ["train", *faults.OVERRIDES, "callbacks.checkpoint.seconds=0", f"output_dir={tmpfs}/runs"]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "the disk is full; free some space and run the same command again" in said
    assert len(said.splitlines()) == 1
    (tmpfs / "ballast").unlink()
    assert main(command) == 0
    [run] = (tmpfs / "runs" / "train").iterdir()
    assert compare(run, subject.twin) == []


def test_counts_of_the_slow_script_are_those_of_what_it_did(subject: faults.Subject) -> None:
    counts: Counter[str] = Counter()
    assert faults.check_writes(subject, [3], counts) == []
    assert counts == {"faults at a write": 3}
