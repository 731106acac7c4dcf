"""Studies whose driver or jobs are killed, and two drivers on one study: nothing is lost, nothing is done twice."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from forked import SERVER

pytestmark = pytest.mark.slow


JOBS = 8
STEPS = 40

# A callback that notes every run that begins and ends, slows the steps down, and now and then kills its process.
SABOTAGE = """
import os, random, signal, time
from nnlab.training import Callback

class Sabotage(Callback):
    def __init__(self, log: str, pause: float = 0.0, crash: float = 0.0, kill: bool = False) -> None:
        self.log, self.pause, self.crash, self.kill = log, pause, crash, kill
    def note(self, trainer, what):
        with open(self.log, "a") as file:
            for run in trainer.runs:
                file.write(f"{what} {run.config['seed']} {trainer.step} {os.getpid()}\\n")
    def fit_start(self, trainer):
        self.note(trainer, "start")
    def step_end(self, trainer):
        time.sleep(self.pause)
        if random.SystemRandom().random() < self.crash:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("sabotage")
    def fit_end(self, trainer):
        self.note(trainer, "end")
"""

SMALL = [
    *("data.limit=100", f"trainer.steps={STEPS}", "trainer.epochs=null", "trainer.batch_size=8"),
    *("trainer.validate_unit=step", "trainer.validate_every=10", "architecture.widths=[8]"),
    *("callbacks=[checkpoint,tensorboard,sabotage]", "callbacks.checkpoint.seconds=0"),
]


def prepare(folder: Path) -> Path:
    """Put the saboteur and its config into a folder."""
    (folder / "saboteur.py").write_text(SABOTAGE)
    options = folder / "configs" / "callbacks"
    options.mkdir(parents=True)
    text = "# @package callbacks.sabotage\n# A saboteur.\n_target_: saboteur.Sabotage\n"
    (options / "sabotage.yaml").write_text(text + f"log: {folder / 'log'}\npause: 0.0\ncrash: 0.0\nkill: false\n")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the saboteur and its config."""
    return prepare(tmp_path)


def drive(place: Path, arguments: list[str], output: Path) -> None:
    """In a process of its own: run a study, and leave with its exit code."""
    sys.path.insert(0, str(place))
    os.chdir(place)
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from nnlab.cli import main
    from nnlab.sweep.grid import Grid

    Grid._write_studies = lambda self: None  # type: ignore[method-assign]  # it has tests of its own
    code = main(["train", "-m", "--config-dir", str(place / "configs"), *arguments])
    sys.stdout.flush()
    os._exit(code)


class Driver:
    """A running study."""

    def __init__(self, place: Path, *arguments: str, study: str = "study") -> None:
        self.output = place / f"output{len(list(place.glob('output*')))}"
        self.output.touch()
        words = [f"output_dir={place}", f"name={study}", f"seed=range({JOBS})", *SMALL, *arguments]
        self.process = SERVER.Process(target=drive, args=(place, words, self.output))
        self.process.start()

    def finish(self) -> tuple[int | None, str]:
        """Wait; exit code (negative: the signal that killed it) and all that it printed."""
        self.process.join(600)
        return self.process.exitcode, self.output.read_text()


def study_of(place: Path, study: str = "study") -> dict[str, Path]:
    """Run directories by seed."""
    runs = {}
    for file in (place / study).glob("*/result.json"):
        config = (file.parent / "overrides.yaml").read_text()
        seed = next(line.partition("seed=")[2] for line in config.splitlines() if "seed=" in line)
        runs[seed] = file.parent
    return runs


def result(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "result.json").read_text())
    return content


def notes(place: Path, what: str) -> list[tuple[str, str]]:
    """Seeds and steps of what the saboteur noted."""
    log = place / "log"
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [(words[1], words[2]) for words in lines if words[0] == what]


def check_complete(place: Path, study: str = "study") -> dict[str, Path]:
    """Every job has completed with all its steps in its files, each once, and the table says so."""
    runs = study_of(place, study)
    assert len(runs) == JOBS
    for run in runs.values():
        assert result(run)["status"] == "completed"
        steps = [int(row["step"]) for row in csv.DictReader((run / "history.csv").read_text().splitlines())]
        assert steps == list(range(1, STEPS + 1))
        assert len(list(run.glob("events.out.tfevents.*"))) == 1
    table = list(csv.DictReader((place / study / "summary.csv").read_text().splitlines()))
    assert [row["status"] for row in table] == ["completed"] * JOBS
    return runs


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, Any]]:
    """History and metrics by seed of a study that nobody disturbs, its jobs one by one."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, text = Driver(prepare(folder), "hydra.launcher.stack=never").finish()
    assert code == 0, text
    return {
        seed: ((run / "history.csv").read_bytes(), result(run)["metrics"])
        for seed, run in check_complete(folder).items()
    }


def kill_until_done(place: Path, kills: int, *arguments: str) -> int:
    """Start the study, kill its driver at a random moment after it has begun to train, and again, until it is done."""
    chance = random.Random(3)
    for attempt in range(kills + 1):
        already = len(notes(place, "start"))
        driver = Driver(place, *arguments)
        while driver.process.is_alive() and len(notes(place, "start")) == already:
            time.sleep(0.01)
        if attempt < kills:
            time.sleep(chance.uniform(0.0, 0.3))
            driver.process.kill()
        code, _ = driver.finish()
        if code == 0:
            return attempt
        assert code == -signal.SIGKILL
    raise AssertionError("never done")


def test_a_driver_killed_at_random_moments_loses_nothing_bit_for_bit(
    place: Path, undisturbed: dict[str, tuple[bytes, Any]]
) -> None:
    assert kill_until_done(place, 4, "hydra.launcher.stack=never", "callbacks.sabotage.pause=0.002") > 1
    for seed, run in check_complete(place).items():
        assert (run / "history.csv").read_bytes() == undisturbed[seed][0]
        assert result(run)["metrics"] == undisturbed[seed][1]
    ends = [seed for seed, _ in notes(place, "end")]
    assert len(ends) - len(set(ends)) <= 1  # killed between the last step and the result: nothing is trained again


def test_a_population_killed_at_random_moments_completes(
    place: Path, undisturbed: dict[str, tuple[bytes, Any]]
) -> None:
    assert kill_until_done(place, 3, "callbacks.sabotage.pause=0.01") > 0
    for seed, run in check_complete(place).items():
        accuracy = result(run)["metrics"]["test"]["loss"]
        assert accuracy == pytest.approx(undisturbed[seed][1]["test"]["loss"], rel=1e-3)


def test_jobs_that_crash_at_random_complete_with_retry(place: Path, undisturbed: dict[str, tuple[bytes, Any]]) -> None:
    arguments = ["hydra.launcher.stack=never", "sweep.on_failure=retry", "sweep.retries=100"]
    code, text = Driver(place, *arguments, "callbacks.sabotage.crash=0.02").finish()
    assert code == 0, text
    assert "RuntimeError: sabotage" in text
    for seed, run in check_complete(place).items():
        assert (run / "history.csv").read_bytes() == undisturbed[seed][0]
        assert result(run)["metrics"] == undisturbed[seed][1]


def test_two_drivers_at_once_share_the_jobs(place: Path, undisturbed: dict[str, tuple[bytes, Any]]) -> None:
    arguments = ["hydra.launcher.stack=never", "callbacks.sabotage.pause=0.002"]
    drivers = [Driver(place, *arguments) for _ in range(2)]
    for driver in drivers:
        code, text = driver.finish()
        assert code == 0, text
        assert f"{JOBS} jobs: {JOBS} completed" in text
    for seed, run in check_complete(place).items():
        assert (run / "history.csv").read_bytes() == undisturbed[seed][0]
    assert sorted(notes(place, "end")) == sorted((str(seed), str(STEPS)) for seed in range(JOBS))
    assert len(notes(place, "start")) == JOBS
