"""What nnlab prints to paste works when it is pasted: with options of one's own, trust, quotes, dashes, odd names."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import nnlab.commands.board as board
from nnlab.cli import main
from nnlab.cli.grammar import parsed, quoted
from nnlab.config import trust
from nnlab.config.overrides import literal
from nnlab.storage.folder import read_config

SMALL = ["data.limit=80", "architecture.widths=[4]", "trainer.epochs=1"]
NO_PROBE = "callbacks.diagnosis.probe=false"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and `nnlab board` that only counts what it would show."""

    @contextlib.contextmanager
    def counted(paths: list[str], port: int | None, host: str) -> Iterator[str]:
        assert all(board.count_runs(Path(path)) == 1 for path in paths)
        raise SystemExit(0)
        yield

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(board, "board", counted)
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    return tmp_path


def printed(output: str) -> list[list[str]]:
    """The commands in what was printed."""
    return [shlex.split(match)[1:] for match in re.findall(r"nnlab [a-z]+ .*?(?=$|   \()", output, re.MULTILINE)]


def paste(words: list[str]) -> int:
    """The exit code of a command in a new process, which trusts nothing yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(trust.VARIABLE, "")
        try:
            return main(words)
        except SystemExit as end:
            return int(end.code or 0)


@pytest.mark.parametrize("name", ["-dash", "--json", "a 'b' \"c\"", "größe", "x=y", "~no one", "$HOME", "a,b", "(1)"])
def test_commands_about_runs_with_odd_names_can_be_pasted(
    here: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["train", *SMALL, "callbacks=[tensorboard,checkpoint]", f"output_dir={literal(name)}"]) == 0
    commands = printed(capsys.readouterr().out)
    assert [words[0] for words in commands] == ["board"]
    [run] = [file.parent for file in here.glob("*/*/*/config.yaml")]
    shown = str(run.relative_to(here))
    for words in [*commands, ["evaluate", shown], ["train", f"resume={shown}"], ["study", str(Path(shown).parent)]]:
        assert paste(words) == 0, words


def test_commands_keep_the_folder_of_options_and_the_trust(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options, stranger = here / "my options", here / "elsewhere"
    (options / "optimizer").mkdir(parents=True)
    stranger.mkdir()
    (stranger / "strange_rule.py").write_text("from nnlab.optimizer import SGD\n\n\nclass Rule(SGD):\n    pass\n")
    monkeypatch.syspath_prepend(str(stranger))
    monkeypatch.setattr(trust, "_working_directory", lambda: options.resolve())
    (options / "optimizer" / "rule.yaml").write_text("_target_: strange_rule.Rule\nlearning_rate: 50\n")
    words = [
        "--config-dir",
        "my options",
        "optimizer=rule",
        *SMALL,
        "trainer.epochs=6",
        "trainer.batch_size=8",
        NO_PROBE,
    ]
    assert main(["train", *words, "trust=[strange_rule]"]) in (0, 3)
    commands = printed(capsys.readouterr().out)
    assert {words[0] for words in commands} == {"board", "train", "diagnose"}
    for command in commands:
        assert ("trust=[strange_rule]" in command) == (command[0] != "board")
        assert ("--config-dir" in command) == (command[0] == "train")
        assert paste([each for each in command if each != "--probe"]) in (0, 3), command
    capsys.readouterr()
    assert main(["diagnose", *commands[0][1:]]) == 0
    again = [words for words in printed(capsys.readouterr().out) if words[0] == "train"]
    assert [paste(words) in (0, 3) for words in again] == [True]
    sys.modules.pop("strange_rule", None)


def test_a_study_proposes_its_next_grid_with_what_it_needs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "own" / "optimizer").mkdir(parents=True)
    (here / "own" / "optimizer" / "rule.yaml").write_text("_target_: nnlab.optimizer.SGD\nlearning_rate: 0.1\n")
    grid = ["optimizer=rule", "optimizer.learning_rate=0.1,0.01", "name='<a (b)>'", *SMALL]
    assert main(["train", "-m", "--config-dir", "own", *grid]) == 0
    [command] = [words for words in printed(capsys.readouterr().out) if "-m" in words]
    assert "--config-dir" in command
    assert main([*command, "sweep.dry_run=true"]) == 0


def test_the_function_continues_a_run_as_the_command_does(here: Path) -> None:
    import nnlab

    first = nnlab.train(*SMALL, "scheduler=constant", "output_dir=größe (1)", "callbacks=[checkpoint]")
    longer = nnlab.train(f"resume={first.directory}", "trainer.epochs=2")
    assert longer.directory == first.directory
    assert longer.steps == 2 * first.steps
    assert main(["train", f"resume={first.directory}", "trainer.epochs=3"]) == 0
    assert read_config(first.directory)["trainer"]["epochs"] == 3


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12))
@example("C:\\data\\x.csv")
@example("it's\\")
@example("\\${seed}")
@example("a\\'b")
def test_a_quoted_text_means_itself(text: str) -> None:
    [entry] = parsed([f"key={literal(text)}"])
    config = OmegaConf.create({})
    OmegaConf.update(config, "key", entry.value(), force_add=True)
    assert config.key == text


@pytest.mark.parametrize(
    ("written", "meant"), [("sales (1).csv", "sales (1).csv"), ("größe", "größe"), ("<b x>", "<b x>"), ("3", 3)]
)
def test_text_that_only_its_quotes_are_missing_of_is_taken_as_it_is(written: str, meant: object) -> None:
    [entry] = parsed([quoted(f"key={written}")])
    assert entry.value() == meant
