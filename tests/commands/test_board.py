"""`nnlab board` finds the runs, names them, and leads to the right page."""

from __future__ import annotations

import json
import socket
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from nnlab.callbacks.tensorboard import EventFile
from nnlab.cli import main
from nnlab.commands.board import MANY, board, count_runs, free_port, page
from nnlab.errors import UserError
from nnlab.training import Run


def some_run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    run = Run(folder, [0])
    EventFile(run).scalars(1, {"loss/train": 1.0})
    run.close()
    return folder


def test_few_runs_open_on_the_charts_and_many_with_the_first_ones_pinned() -> None:
    assert page(MANY) == "#custom_scalars&_smoothingWeight=0"
    address = urllib.parse.urlsplit("http://localhost/" + page(MANY + 1))
    [cards] = urllib.parse.parse_qs(address.query)["pinnedCards"]
    assert json.loads(cards)[0] == {"plugin": "scalars", "tag": "loss/validation"}
    assert address.fragment == "timeseries"


def test_a_study_opens_on_its_curves_over_seeds(tmp_path: Path) -> None:
    assert "&regexInput=%5Emean%2F" in page(MANY, seeds=True)
    assert "&runFilter=%5Emean%2F#timeseries" in page(MANY + 1, seeds=True)
    some_run(tmp_path / "study" / "seed=0")
    some_run(tmp_path / "study" / "mean" / "rate=0.1")
    with board([tmp_path / "study"]) as address:
        assert address.endswith("&regexInput=%5Emean%2F")
    with board([tmp_path]) as address:
        assert "mean" not in address


def test_runs_are_counted_wherever_they_are(tmp_path: Path) -> None:
    for name in ("a", "study/b", "study/c"):
        some_run(tmp_path / name)
    assert count_runs(tmp_path) == 3
    assert count_runs(tmp_path / "a") == 1


def test_a_run_is_shown_under_its_own_name(tmp_path: Path) -> None:
    paths = [some_run(tmp_path / name / "seed=0,rate=0.1") for name in ("first", "second")]
    with board(paths) as address:
        base = address.partition("#")[0]
        runs: list[str] = []
        for _ in range(200):
            runs = json.load(urllib.request.urlopen(f"{base}data/runs", timeout=30))
            if len(runs) == 2:
                break
        assert sorted(runs) == ["seed=0,rate=0.1", "seed=0,rate=0.1 (2)"]


def test_another_port_is_taken_where_one_is_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        assert free_port("localhost") != taken.getsockname()[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "there is no folder `nowhere`"),
        (["."], "there is no run with TensorBoard's events in `.`"),
        (["--prot"], "unrecognized arguments: --prot; did you mean `--port`?"),
        (["--port", "x"], "`port` must be a whole number, got `x`"),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    assert main(["board", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_why_tensorboard_did_not_start_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        with (
            pytest.raises(UserError, match="TensorBoard did not start"),
            board([some_run(tmp_path / "a")], taken.getsockname()[1]),
        ):
            pass
