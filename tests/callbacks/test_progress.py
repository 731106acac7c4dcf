"""What `nnlab train` shows while it trains: two lines in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from nnlab.cli import main

ARGUMENTS = ["train", "data.limit=80", "architecture.widths=[8]", "trainer.epochs=3", "callbacks=[progress]"]
METRICS = r"epoch 3  train loss \d\.\d{4}  validation loss \d\.\d{4}  validation accuracy \d\.\d{4}"


def in_terminal(arguments: list[str], columns: int) -> str:
    """What a command writes to a terminal of so many columns, without colours."""
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "nnlab", *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(its)
    written = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(own, 1 << 16):
            written += data
    os.close(own)
    assert process.wait(60) == 0, written.decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode())


@pytest.mark.slow
def test_a_terminal_of_80_columns_has_room_for_the_bar_and_for_the_metrics(tmp_path: Path) -> None:
    text = in_terminal([*ARGUMENTS, f"output_dir={tmp_path}"], 80)
    assert re.search("training .*9/9 steps, 0:00:00 left", text)
    assert re.search(METRICS, text)
    assert "\u2026" not in text  # nothing is left out


def test_elsewhere_there_is_a_line_at_the_end_and_no_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, f"output_dir={tmp_path}"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert re.fullmatch(METRICS.replace("epoch 3", "epoch 3  step 9"), first)
    assert not any(line.startswith("epoch") for line in others)


def test_members_are_shown_from_the_lowest_value_to_the_highest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensemble = ["regularizer=[ensemble]", "regularizer.ensemble.members=3"]
    assert main([*ARGUMENTS, *ensemble, f"output_dir={tmp_path}"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    found = re.search(r"3 of 3 members  train loss (\S+)-(\S+)  validation loss (\S+)-(\S+)", first)
    assert found
    low, high, *_ = map(float, found.groups())
    assert low < high
    [log] = tmp_path.rglob("log.txt")
    assert found[0] in log.read_text()
