"""Every command that reports answers programs with `--json`: one document, the same numbers as in its text."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnlab.cli import main
from nnlab.cli.arguments import print_json
from nnlab.cli.dispatch import COMMANDS

NO_PROBE = "callbacks.diagnosis.probe=false"
SMALL = [
    *("data.limit=120", "architecture.widths=[8]", "trainer.epochs=2"),
    *("callbacks=[checkpoint,statistics,diagnosis]", NO_PROBE),
]
# What each command is asked; RUN, SICK and STUDY are folders of finished runs, FILE is a table, MODEL a run on it.
TABLE = [
    ["train", *SMALL, "regularizer=[ensemble]", "regularizer.ensemble.members=2"],
    ["train", "-m", *SMALL, "seed=0,1"],
    ["recipe", "recipe.steps=[1]", "data.limit=200", "data.validation=0.2"],
    ["data", "FILE", "target=y"],
    ["evaluate", "RUN"],
    ["evaluate", "RUN", "train"],
    ["evaluate", "MODEL"],
    ["predict", "MODEL", "FILE"],
    ["predict", "MODEL", "FILE", "out=predictions.csv"],
    ["export", "MODEL", "format=state_dict"],
    ["diagnose", "SICK", "RUN"],
    ["study", "STUDY"],
    ["reproduce", "RUN"],
    ["plot", "RUN", "only=[loss]"],
    ["schema", "optimizer"],
    ["list", "optimizer"],
    ["graph", "y=exp(w*x); L=sum((y-t)**2)/2", "w=0.3", "x=[1,2]", "t=[1,0]", "--check"],
    ["graph", "logistic_least_squares", "--step"],
    ["graph", "--list"],
    ["experiment", "list"],
    pytest.param(["experiment", "learning_rate", "--quick"], marks=pytest.mark.slow),
]
NO_REPORT = {"board", "play"}  # they serve a page until they are interrupted


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("answers")
    draw = np.random.default_rng(0)
    rows = [f"{a:.3f},{b},{a + 0.1 * e:.3f}" for a, b, e in zip(*draw.normal(size=(3, 120)), strict=True)]
    table = folder / "table.csv"
    table.write_text("\n".join(["a,b,y", *rows]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", *SMALL, "name=run"]) == 0
        assert main(["train", *SMALL, "initialization=constant", "name=sick"]) == 0
        model = ["trainer.epochs=2", "data.references=[]", NO_PROBE, "name=model"]
        assert main(["train", str(table), "target=y", *model]) == 0
        study = ["optimizer.learning_rate=0.01,0.001", "seed=0,1", "name=study"]
        assert main(["train", "-m", *SMALL, *study]) == 0
        runs = {name.upper(): str(next((folder / "outputs" / name).iterdir())) for name in ("run", "sick", "model")}
        yield {**runs, "STUDY": str(folder / "outputs" / "study"), "FILE": str(table)}


def numbers(text: str) -> list[str]:
    """The decimal fractions in a text, without times, which are others each time, and parts of names and addresses."""
    return re.findall(r"(?<![\w./=])\d+\.\d+(?:e[-+]\d+)?(?![\w./]| s\b)", text)


def says(content: str, number: str) -> bool:
    """Whether an answer has a number that is `number` when it is rounded as that was."""
    mantissa, _, exponent = number.partition("e")
    half = 0.501 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    known = re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", content)
    return any(math.isclose(float(number), abs(float(each)), rel_tol=0, abs_tol=half) for each in known)


@pytest.mark.parametrize("words", TABLE, ids=" ".join)
def test_the_answer_is_one_document_with_the_numbers_of_the_text(
    words: list[str], places: dict[str, str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = [places.get(word, word) for word in words]
    trains = words[0] in ("train", "recipe")  # in a folder of its own each time, so that both train
    code = main([*arguments, *([f"output_dir={tmp_path}/text"] if trains else [])])
    text = capfd.readouterr().out
    assert main([*arguments, *([f"output_dir={tmp_path}/json"] if trains else []), "--json"]) == code
    answer = capfd.readouterr().out
    content = json.loads(answer, parse_constant=pytest.fail)
    assert content
    if "-m" in words:
        return  # the text of a sweep is that of its study
    assert [number for number in numbers(text) if not says(answer, number)] == []


def test_every_command_that_reports_is_in_the_table() -> None:
    assert {words[0] for words in TABLE if isinstance(words, list)} == set(COMMANDS) - NO_REPORT


def test_what_others_print_goes_to_the_standard_error() -> None:
    code = (
        "import os; from nnlab import console\n"
        "with console.kept_output():\n"
        "    print('said'); os.system('echo of a process'); console.answer('{}')\n"
        "print('after')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{}\nafter\n"
    assert sorted(done.stderr.split("\n")) == ["", "of a process", "said"]


def test_numbers_that_json_does_not_have_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    odd: dict[str, Any] = {
        "nan": math.nan,
        "inf": [math.inf, np.float64("-inf"), np.float32("nan")],
        "array": np.array([1.5, math.nan]),
        "tensor": torch.tensor(2),
        "path": Path("a"),
    }
    print_json(odd)
    assert json.loads(capsys.readouterr().out) == {
        "nan": None,
        "inf": [None, None, None],
        "array": [1.5, None],
        "tensor": 2,
        "path": "a",
    }


def test_a_run_that_diverged_has_null_where_a_number_overflowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ["optimizer=sgd", "optimizer.learning_rate=1e30", "loss=squared_error", "data=diabetes", "trainer.epochs=2"]
    assert main(["train", "--json", *wild, f"output_dir={tmp_path}"]) == 3
    run = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert run["status"] == "diverged"
    assert main(["diagnose", run["directory"], "--json"]) == 0
    [[[first, *_]]] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail).values()
    assert None in first["evidence"].values()
    assert not {"nan", "inf", "-inf"} & set(map(str, first["evidence"].values()))


@pytest.mark.parametrize("words", [["evaluate", "nowhere"], ["train", "optimiser=adam"], ["graph", "y=(1"]])
def test_a_mistake_leaves_the_standard_output_empty(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--json"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"nnlab {words[0]}: ")


def test_a_config_is_a_document_too(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--cfg", "job", "--json", "optimizer.learning_rate=1e-6"]) == 0
    assert json.loads(capfd.readouterr().out)["optimizer"]["learning_rate"] == 1e-6
