"""The commands of docs/using.md do what they say, one after another."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from nnlab.cli.dispatch import main

PAGE = Path(__file__).parents[2] / "docs" / "using.md"


def write_people(path: Path, rows: int, target: bool) -> None:
    random = np.random.default_rng(rows)
    lines = ["id,age,city,member" + (",buys" if target else "")]
    for number in range(rows):
        age, city = random.normal(40, 12), random.choice(["Rome", "Oslo", "Lima"])
        buys = "yes" if (age > 40) ^ (city == "Oslo") else "no"
        lines.append(f"p{number},{age:.1f},{city},{random.random() < 0.5}" + (f",{buys}" if target else ""))
    path.write_text("\n".join(lines) + "\n")


def test_the_page_takes_a_table_to_predictions_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_people(tmp_path / "people.csv", 300, target=True)
    write_people(tmp_path / "new_people.csv", 50, target=False)
    block = re.search(r"```sh\n(.*?)```", PAGE.read_text(), re.S)
    assert block is not None
    commands = block.group(1).splitlines()
    assert len(commands) == 4
    for command in commands:
        words = [word for each in shlex.split(command) for word in (sorted(map(str, Path().glob(each))) or [each])]
        assert main(words[1:]) == 0, command
    shown = capsys.readouterr().out
    assert "test, trees" in shown
    assert "50 rows: predictions.csv" in shown
    assert "compared on 256 examples of its data" in shown
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 51
    assert (tmp_path / "predictions.csv").read_text().startswith("id,prediction,probability no,probability yes\np0,")
