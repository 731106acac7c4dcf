"""One grammar for all commands: words, KEY=VALUE, and the same as flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnlab.cli import main
from nnlab.cli.arguments import Grammar, Key, listed, truth, whole
from nnlab.cli.dispatch import COMMANDS
from nnlab.errors import UserError

GRAMMAR = Grammar(
    "plot",
    "Draw.",
    "RUN ...",
    [
        Key("out", "folder"),
        Key("only", "figures", listed),
        Key("surface", "plane", bare="principal", valid=("principal", "random")),
        Key("curves", "curves", truth, bare="true", default=True),
        Key("port", "port", whole, default=6006),
    ],
    reports=True,
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["r", "out=x"], {"out": "x"}),
        (["r", "--out", "x"], {"out": "x"}),
        (["--out=x", "r"], {"out": "x"}),
        (["r", "only=[a,b]"], {"only": ["a", "b"]}),
        (["r", "--surface"], {"surface": "principal"}),
        (["--surface", "r"], {"surface": "principal"}),
        (["r", "--surface", "random"], {"surface": "random"}),
        (["r", "--no-curves"], {"curves": False}),
        (["r", "curves=false"], {"curves": False}),
        (["r", "--port", "7"], {"port": 7}),
    ],
)
def test_keys_and_flags_mean_the_same(arguments: list[str], expected: dict[str, object]) -> None:
    usual = {"out": None, "only": None, "surface": None, "curves": True, "port": 6006}
    given = GRAMMAR.read(arguments)
    assert given is not None
    assert (given.words, dict(given.values), given.json) == (["r"], {**usual, **expected}, False)


def test_the_folder_of_a_run_is_a_word_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seed=1").mkdir()
    given = GRAMMAR.read(["seed=1", "outputs/train/optimizer=adam,seed=1", "--json"])
    assert given is not None
    assert given.words == ["seed=1", "outputs/train/optimizer=adam,seed=1"]
    assert given.json


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the following arguments are required: RUN; `nnlab plot --help` shows what there is"),
        (["r", "ot=x"], "there is no key `ot` in `ot=x`; did you mean `out`?"),
        (["r", "--colour"], "unrecognized arguments: --colour; `nnlab plot --help` shows what there is"),
        (["r", "--out"], "`--out` needs a value"),
        (["r", "port=x"], "`port` must be a whole number, got `x`"),
        (["r", "curves=maybe"], "`curves` must be true or false, got `maybe`"),
        (["r", "surface=randm"], "`surface` has no value `randm`; did you mean `random`?"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        GRAMMAR.read(arguments)
    assert sentence in str(error.value)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_explains_itself(command: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, flag]) == 0
    shown = capsys.readouterr()
    assert f"nnlab {command}" in shown.out
    assert shown.err == ""
