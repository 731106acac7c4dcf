"""Every block of README.md and docs/ runs, page by page and from top to bottom; so do the commands within sentences."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from page import FILE, PAGES, ROOT, Session, blocks

from nnlab import console
from nnlab.cli import main
from nnlab.cli.dispatch import COMMANDS

# What cannot run here, by page; the page says why above each block.
NOT_RUN = {
    "README.md": 1,
    "docs/extending.md": 1,
    "docs/gpu.md": 1,
    "docs/large-data.md": 1,
    "docs/loggers.md": 2,
    "docs/notebooks.md": 1,
    "docs/ray.md": 2,
    "docs/several-devices.md": 2,
    "docs/slurm.md": 2,
    "docs/trust.md": 1,
}
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def penguins(folder: Path) -> None:
    """The table that README.md and docs/tables.md speak of, rows without the answer, and the same under other names."""
    draw = np.random.default_rng(0)
    header = "island,bill_length_mm,body_mass_g,sex,year,species"
    rows = []
    for kind in draw.integers(0, 3, 300):
        length, mass = 38 + 5 * kind + 2 * draw.standard_normal(), 3500 + 700 * kind + 300 * draw.standard_normal()
        sex = ("male", "female", "NA")[draw.integers(0, 3)]
        rows.append(f"Dream,{length:.1f},{mass:.0f},{sex},2007,{('Adelie', 'Chinstrap', 'Gentoo')[kind]}")
    (folder / "penguins.csv").write_text("\n".join([header, *rows]) + "\n")
    (folder / "new.csv").write_text("\n".join(line.rpartition(",")[0] for line in [header, *rows[:20]]) + "\n")


def people(folder: Path) -> None:
    """The tables of docs/using.md."""
    draw = np.random.default_rng(1)
    lines = ["id,age,city,member,buys"]
    for number in range(300):
        age, city = draw.normal(40, 12), draw.choice(["Rome", "Oslo", "Lima"])
        lines.append(
            f"p{number},{age:.1f},{city},{draw.random() < 0.5},{'yes' if (age > 40) ^ (city == 'Oslo') else 'no'}"
        )
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    for name in ("new_people.csv", "new.csv"):
        (folder / name).write_text("\n".join(line.rpartition(",")[0] for line in lines[:51]) + "\n")


def a_run(folder: Path) -> None:
    """A finished run, where a page speaks of RUN or of a downloaded one."""
    assert main(["train", "data.limit=200", "trainer.epochs=2"]) == 0
    [run] = (folder / "outputs" / "train").iterdir()
    shutil.copytree(run, folder / "downloaded" / "run")


def a_recipe(folder: Path) -> None:
    """A finished recipe."""
    short = ["recipe.time_limit=3", "recipe.final_seeds=1", "recipe.keep_going=true", "recipe.rounds=0"]
    main(["recipe", "data=moons", "loss=binary_cross_entropy", *short])
    assert list(folder.glob("outputs/recipe/*/experiment/best.yaml"))


@pytest.fixture(autouse=True)
def news() -> Iterator[None]:
    """What a page does to the messages of nnlab ends with it."""
    before = console.LOGGER.level, list(console.LOGGER.handlers)
    yield
    console.LOGGER.setLevel(before[0])
    console.LOGGER.handlers[:] = before[1]


def a_run_and_penguins(folder: Path) -> None:
    """A finished run, and a table."""
    a_run(folder)
    penguins(folder)


SETUP: dict[str, Callable[[Path], None]] = {
    "README.md": penguins,
    "docs/tables.md": penguins,
    "docs/using.md": people,
    "docs/diagnosis.md": a_run,
    "docs/play.md": a_run_and_penguins,
    "docs/python.md": a_run,
    "docs/recipe.md": a_recipe,
    "docs/trust.md": a_run,
}


def penguins_are_predicted(folder: Path) -> None:
    """Most of the new rows, which are the first of the table, get their species."""
    species = [line.rpartition(",")[2] for line in (folder / "penguins.csv").read_text().splitlines()[1:21]]
    header, *rows = (folder / "predictions.csv").read_text().splitlines()
    assert header.startswith("prediction,probability Adelie")
    assert sum(row.split(",")[0] == kind for row, kind in zip(rows, species, strict=True)) >= 16


def people_are_predicted(folder: Path) -> None:
    """All of the new rows have a line."""
    lines = (folder / "predictions.csv").read_text().splitlines()
    assert lines[0] == "id,prediction,probability no,probability yes"
    assert [line.partition(",")[0] for line in lines[1:]] == [f"p{number}" for number in range(50)]


# What must be there after a page.
RESULT: dict[str, Callable[[Path], None]] = {"README.md": penguins_are_predicted, "docs/using.md": people_are_predicted}
# Names that a page uses as its reader's own.
OWN = {
    "docs/diagnosis.md": "import nnlab; trainer = nnlab.train('data.limit=200', 'trainer.epochs=2').trainer",
    "docs/python.md": "import nnlab; result = nnlab.train('data.limit=200', 'trainer.epochs=2')",
    "docs/using.md": (
        "import numpy as np; frame = {'age': [30.0, 50.0], 'city': ['Rome', 'Oslo'], 'member': [True, False]}\n"
        "X = np.random.default_rng(0).normal(size=(90, 3)); y = (X[:, 0] > 0).astype(int)"
    ),
}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "loggers"):  # modules that pages write
        monkeypatch.delitem(sys.modules, name, raising=False)
    return Session(monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_blocks_of_a_page_run(name: str, session: Session, tmp_path: Path) -> None:
    SETUP.get(name, lambda folder: None)(tmp_path)
    exec(OWN.get(name, ""), session.names)
    found = blocks(ROOT / name)
    for block in sorted(found, key=lambda each: not FILE.match(each.text)):  # files first
        if block.reason is None:
            session.run(block)
    RESULT.get(name, lambda folder: None)(tmp_path)


def test_what_does_not_run_is_known_and_says_why() -> None:
    reasons = {name: [block.reason for block in blocks(ROOT / name) if block.reason is not None] for name in NAMES}
    assert {name: len(each) for name, each in reasons.items() if each} == NOT_RUN
    assert all(len(reason) > 10 for each in reasons.values() for reason in each)


@pytest.mark.parametrize("name", NAMES)
def test_every_fence_is_a_block_with_a_language(name: str) -> None:
    text = (ROOT / name).read_text()
    assert len(re.findall(r"^ *```", text, re.M)) == 2 * len(blocks(ROOT / name))
    assert {block.language for block in blocks(ROOT / name)} <= {"sh", "console", "python", "yaml", "text"}


@pytest.mark.parametrize("name", NAMES)
def test_commands_within_sentences_are_commands(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those with all words written out are checked as far as without running: configs are composed, graphs computed."""
    prose = re.sub(r"^```.*?^```$", "", (ROOT / name).read_text(), flags=re.M | re.S)
    for inline in re.findall(r"`(nnlab [^`]+)`", prose):
        words = shlex.split(re.sub(r"\s+", " ", inline))[1:]
        assert words[0] in {*COMMANDS, "COMMAND"}, inline
        own = any(
            re.search(r"\b[A-Z]{3,}\b|\.\.\.|<|--config-dir|outputs/", word) for word in words
        )  # the reader's own
        if words[0] in ("train", "recipe") and not own:
            flags = ("-m", "--cfg", "job", "--json", "--help")
            words = [words[0], *(word for word in words[1:] if word not in flags and "interval(" not in word)]
            swept = [re.sub(r"=(\[?[^\[\]=,]+)(,[^\[\]]+)$|=range\(\d+\)$", r"=\1", word) for word in words]
            assert main([*swept, "--cfg", "job"]) == 0, (inline, capsys.readouterr().err)
        elif words[0] == "graph" and not own:
            assert main(words) == 0, inline


class Recorder(types.ModuleType):
    """A stand-in for a logger's package: it keeps what it is given."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.said: list[tuple[str, tuple[object, ...], dict[str, object]]] = []
        self.info, self.run_id, self.experiment_id = self, "1", "0"

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)

        def called(*arguments: object, **keys: object) -> Recorder:
            self.said.append((name, arguments, keys))
            return self

        return called


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_the_loggers_of_the_page_get_every_validation(
    package: str, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(package)
    monkeypatch.setitem(sys.modules, package, recorder)
    for block in blocks(ROOT / "docs" / "loggers.md"):
        if FILE.match(block.text):
            session.run(block)
    session.command("cd lab")
    small = "data.limit=100 trainer.epochs=3 architecture.widths=[4]"
    session.command(f"PYTHONPATH=. nnlab train --config-dir configs 'callbacks=[checkpoint,{package}]' {small}")
    [history] = (tmp_path / "lab" / "outputs" / "train").glob("*/history.csv")
    written = [float(row.split(",")[4]) for row in history.read_text().splitlines()[1:] if row.split(",")[4]]
    if package == "wandb":
        logged = [arguments[0]["loss/validation"] for name, arguments, _ in recorder.said if name == "log"]
        assert recorder.said[-1][0] == "finish"
    else:
        logged = [
            arguments[2]
            for name, arguments, _ in recorder.said
            if name == "log_metric" and arguments[1] == "loss/validation"
        ]
        assert recorder.said[-1][0] == "set_terminated"
    assert logged == pytest.approx(written)
    assert len(logged) == 3
