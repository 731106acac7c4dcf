"""Files of many runs wait for the disk together, and each is written as alone."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from nnlab.storage import files
from nnlab.storage.files import TOGETHER, WriteError, side_by_side, write_whole


@pytest.mark.parametrize("count", [0, 1, 2, TOGETHER, 3 * TOGETHER + 1])
def test_every_file_is_written(tmp_path: Path, count: int) -> None:
    side_by_side(lambda i: write_whole(tmp_path / str(i), f"number {i}", sync=True), range(count))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {str(i): f"number {i}" for i in range(count)}


def test_several_files_wait_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Barrier(TOGETHER, timeout=300)
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: waiting.wait())
    monkeypatch.setattr(files, "_sync_folder", lambda folder: None)
    side_by_side(lambda i: write_whole(tmp_path / str(i), "", sync=True), range(TOGETHER))
    assert len(list(tmp_path.iterdir())) == TOGETHER


def test_what_one_file_meets_is_said_and_the_others_are_written(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    with pytest.raises(WriteError, match="cannot write"):
        side_by_side(lambda i: write_whole(tmp_path / str(i), "content"), range(6))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["0", "1", "2", "4", "5"]


def test_a_failure_gives_nothing_up_that_is_behind_it(tmp_path: Path) -> None:
    tried = []

    def write(i: int) -> None:
        tried.append(i)
        if i == 0:
            raise WriteError("cannot write")
        time.sleep(0.01)

    with pytest.raises(WriteError, match="cannot write"):
        side_by_side(write, range(3 * TOGETHER))
    assert sorted(tried) == list(range(3 * TOGETHER))


def test_what_is_waited_for_is_not_all_in_memory_at_once(tmp_path: Path) -> None:
    made, done, most = 0, 0, 0

    def write(_: int) -> None:
        nonlocal done, most
        most, done = max(most, made - done), done + 1

    def items() -> object:
        nonlocal made
        for i in range(5 * TOGETHER):
            made += 1
            yield i

    side_by_side(write, items())  # type: ignore[arg-type]
    assert done == 5 * TOGETHER
    assert most <= TOGETHER
