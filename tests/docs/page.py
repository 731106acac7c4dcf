"""The blocks of a page of the documentation, and a session in which they run one after another, in this process.

`sh` holds commands, `console` commands after a dollar sign with lines of what they print, `python` code, `yaml` a file
that its first line names, `text` what is only shown. A comment `<!-- not run: REASON -->` stands above what cannot run.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import nnlab
from nnlab.cli import main
from nnlab.commands import board, play
from nnlab.report.recipe_drawing import Drawing

NO_PROBE = "callbacks.diagnosis.probe=false"
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
FILE = re.compile(r"# ((?:[\w.-]+/)*[\w.-]+\.(?:py|yaml))\n")  # the first line of a block that is a file
STAMP = re.compile(r"(?<=/)(?:RUN|\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)$")


class Block(NamedTuple):
    """A fenced block, with the reason why it does not run, if it does not."""

    language: str
    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """All blocks of a page."""
    return [Block(found["language"], found["text"], found["reason"]) for found in FENCE.finditer(page.read_text())]


class Session:
    """Where the blocks of a page run: in the working directory, with the names that earlier blocks left."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, Any] = {}
        self.patch = patch
        # In the dictionary: given as an attribute, the package `sweep` would take what it replaces for its function.
        patch.setitem(vars(nnlab), "train", functools.partial(quickly, nnlab.train))
        patch.setitem(vars(nnlab), "sweep", functools.partial(quickly, nnlab.sweep, "-m"))
        patch.setattr(Drawing, "start", lambda self: None)  # a process for figures, which has tests of its own

    def run(self, block: Block) -> None:
        """Run a block; a failure of it is raised."""
        file = FILE.match(block.text)
        if block.language in ("python", "yaml") and file:
            self._write(Path(file[1]), block.text[file.end() :])
        elif block.language == "python":
            text = re.sub(r"outputs/\w+/\d{4}-[\d_-]+", lambda found: str(made(Path(found[0]).parent)), block.text)
            exec(compile(text, "block", "exec", dont_inherit=True), self.names)
        elif block.language == "sh":
            for line in lines(block.text):
                self.command(line)
        elif block.language == "console":
            for command, shown in conversations(block.text):
                self._expect(command, shown)  # as it stands
        else:
            assert block.language == "text", f"a block of {block.language or 'no language'}: {block.text}"

    def command(self, line: str, *, shown: bool = False) -> str:
        """Run a line of a shell; returns what it printed. Where that is `shown`, it runs as it stands and may fail."""
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            for part in line.split(" && "):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z]+=.*", words[0]):
                    name, _, value = words.pop(0).partition("=")
                    self.patch.setenv(name, value)
                    self.patch.syspath_prepend(value)
                if words[:1] == ["cd"]:
                    self.patch.chdir(words[1])
                elif words[:1] == ["pip"]:
                    assert words[1] == "install", part
                elif words:
                    code = self._nnlab(words, shown)
                    assert shown or code == 0, f"{part}: exit code {code}\n{said(out)}"
        return said(out)

    def _nnlab(self, words: list[str], as_it_stands: bool) -> int:
        assert words[0] == "nnlab", f"no command of nnlab: {words}"
        command, *rest = [each for word in words[1:] for each in places(word)]
        if command == "board":
            return sum(board.count_runs(Path(each)) == 0 for each in rest)
        if command == "play":  # what follows is checked as `play` does before it serves
            found = play.GRAMMAR.read(rest)
            assert found is not None
            return main(["train", "--cfg", "job", *(f"{k}={v}" for k, v in play._overrides(found.words).items())])
        return main([command, *(rest if as_it_stands else quick(command, rest))])

    def _expect(self, command: str, shown: list[str]) -> None:
        printed = self.command(command, shown=bool(shown))
        rest = re.sub(r"\s+", " ", printed)
        for line in shown:
            before, found, rest = rest.partition(re.sub(r"\s+", " ", line.strip()))
            assert found, f"`{command}` does not print {line!r} here, but:\n{before}\n(in all)\n{printed}"

    def _write(self, path: Path, text: str) -> None:
        """A file of the page; the blocks of one file follow one another."""
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() + "\n\n" if path.exists() else ""
        path.write_text(before + text)


def quickly(train: Callable[..., Any], *words: str, **named: Any) -> Any:
    """`nnlab.train` or `nnlab.sweep` with what `quick` makes of a command's words."""
    return train(*(word for word in quick("train", [*words]) if word != "-m"), **named)


def said(out: io.TextIOWrapper) -> str:
    """What was printed into a stream of its own."""
    buffer = out.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def lines(text: str) -> Iterator[str]:
    """The commands of a block, without empty lines and comments; a backslash continues a line."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def conversations(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every command after a dollar sign with the lines that it prints, of which `...` leaves some out."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line.strip() and line.strip() != "..."]


def places(word: str) -> list[str]:
    """A word as the shell, and a reader who puts the own names in, would give it."""
    key, equals, value = word.rpartition("=") if word.startswith("resume=") else ("", "", word)
    own = {"FILE": "penguins.csv", "target=NAME": "target=species"}
    if word == "RUN":
        return [str(newest(Path("outputs")))]
    if STAMP.search(value):
        return [f"{key}{equals}{made(Path(value).parent)}"]
    if "*" in word and "=" not in word:
        return sorted(map(str, Path().glob(word))) or [word]
    return [own.get(word, word)]


def made(folder: Path) -> Path:
    """A run in a folder, the last one; of recipes one that has come to its end."""
    runs = sorted(file.parent for file in folder.glob("*/config.yaml"))
    return next((each for each in runs if (each / "experiment").exists()), runs[-1])


def newest(folder: Path) -> Path:
    """The newest run in a folder, or in those within it."""
    return max((file.parent for file in folder.rglob("config.yaml")), key=lambda each: each.stat().st_mtime_ns)


def few(epochs: re.Match[str]) -> str:
    """A number of epochs, five at most."""
    return str(min(5, int(epochs[0])))


def quick(command: str, words: list[str]) -> list[str]:
    """The words with small data and short limits, so that a page runs in seconds."""
    small = {
        "data=mnist": "data=digits",
        "data=cifar10": "data=digits",
        "hydra.sweeper.n_trials=40": "hydra.sweeper.n_trials=2",
        "seed=range(8)": "seed=range(2)",
        "seed=range(4)": "seed=range(2)",
        "seed=0,1,2": "seed=0,1",
        "format=onnx": "format=safetensors",  # tests/runs writes and reads all formats
    }
    words = [small.get(word, word) for word in words]
    if command == "plot" and not any(word.startswith(("only=", "--surface")) for word in words):
        return [*words, "only=loss,learning_rate"]  # tests/commands draws all
    if command == "diagnose" and "--probe" in words:
        return [*(word for word in words if not word.startswith("budget=")), "budget=1"]
    if command not in ("train", "recipe") or any(word.startswith("resume=") for word in words):
        return words
    words = [re.sub(r"\d+", few, word) if word.startswith("trainer.epochs=") else word for word in words]
    if any(word.startswith("trainer.processes=") for word in words):
        return [*words, "--cfg", "job"]  # processes are started elsewhere; here the config is checked
    if not any(word.startswith("data.limit=") for word in words):
        words.append("data.limit=200")
    if any(word.endswith(".csv") for word in words):
        words.append("data.references=[]")  # boosted trees and others, which take seconds
    if command == "train" and not any("trainer.epochs=" in word or "trainer.steps=" in word for word in words):
        words += ["trainer.epochs=5"] if "-m" in words or not any(word.endswith(".csv") for word in words) else []
    if command == "train" and not any(word == "-m" or word.startswith("callbacks") for word in words):
        words.append(NO_PROBE)  # experiments take as long as the run, or longer
    if "hydra/launcher=processes" in words:
        words.append("sweep.dry_run=true")
    if command == "recipe" and not any(word.startswith("recipe.steps=") for word in words):
        words.append("recipe.steps=[1]")  # tests/recipe walks them all
    if command == "recipe":
        words += ["recipe.seeds=2", "recipe.coarse_epochs=1", "recipe.refine_epochs=3"]
    return words
