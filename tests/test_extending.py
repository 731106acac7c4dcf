"""What docs/extending.md says works: its files, put where it says, train with its commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from forked import Program

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
COMMANDS = re.findall(r"^PYTHONPATH=\. nnlab (.+)$", PAGE, re.M)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for name, content in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, re.S):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(content)
    return folder / "lab"


def run(lab: Path, words: list[str]) -> tuple[int | None, str, str]:
    """The exit code of a command in a process of its own, its output and its errors."""
    process = Program(words, lab)
    output, errors = process.communicate(timeout=600)
    return process.returncode, output, errors


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page_train(lab: Path, command: str) -> None:
    code, output, errors = run(lab, [*shlex.split(command), "trainer.epochs=2"])
    assert code == 0, errors
    assert "completed" in output


def test_what_a_callback_of_the_page_records_is_in_the_files_and_in_tensorboard(lab: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    code, _, errors = run(lab, [*shlex.split(COMMANDS[1]), "trainer.epochs=2", "name=seen"])
    assert code == 0, errors
    [folder] = lab.glob("outputs/seen/*/")
    rows = [row.split(",") for row in (folder / "statistics.csv").read_text().splitlines()]
    written = [(int(step), float(value)) for step, tag, value in rows[1:] if tag == "weight_norm"]
    assert len(written) == 2
    shown = EventAccumulator(str(folder)).Reload().Scalars("weight_norm")
    assert [(each.step, pytest.approx(each.value)) for each in shown] == written


def test_a_slip_in_an_option_of_ones_own_is_answered_with_one_sentence(lab: Path) -> None:
    words = ["train", "--config-dir", "configs", "optimizer=lion"]
    code, _, errors = run(lab, [*words, "optimizer.beta=1.5"])
    assert code == 2
    assert "`optimizer.beta` must be in [0, 1), got 1.5" in errors
    code, _, errors = run(lab, [*words, "optimizer.betta=0.5"])
    assert code == 2
    assert "did you mean `optimizer.beta`?" in errors


def test_a_population_of_an_optimizer_of_ones_own_gives_each_run_what_it_has_alone(lab: Path) -> None:
    common = ["train", "--config-dir", "configs", "optimizer=lion", "trainer.epochs=2", "trainer.precision=float64"]
    assert run(lab, [*common, "-m", "optimizer.beta=0.8,0.95", "name=both"])[0] == 0
    assert run(lab, [*common, "optimizer.beta=0.95", "name=alone"])[0] == 0
    [alone] = lab.glob("outputs/alone/*/history.csv")
    [together] = lab.glob("outputs/both/*0.95*/history.csv")
    rows = [path.read_text().splitlines()[-1] for path in (alone, together)]
    values = [[float(cell) for cell in row.split(",") if cell] for row in rows]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
