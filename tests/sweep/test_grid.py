"""Whole grids from the command line: a population gives each job what it would have had alone."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

from nnlab.cli import main
from nnlab.sweep.job import Job, Outcome

SMALL = [
    *("data.limit=200", "trainer.epochs=2", "trainer.precision=float64", "architecture.widths=[9]"),
    "callbacks=[tensorboard,statistics,progress,checkpoint]",
]

GRIDS = {
    "hyper-parameters": [
        *("optimizer.learning_rate=0.1,0.01", "seed=0,1", "regularizer=[weight_decay,dropout]"),
        *("regularizer.weight_decay.strength=0,1e-2", "regularizer.dropout.p=0.2", "trainer.clip_norm=0.5,null"),
        "sweep.zip=[optimizer.learning_rate,regularizer.weight_decay.strength,trainer.clip_norm]",
    ],
    "dropout, momentum and max-norm": [
        *("optimizer=momentum", "optimizer.momentum=0.5,0.9", "regularizer=[dropout,max_norm]"),
        *("regularizer.dropout.p=0,0.4", "regularizer.max_norm.max_norm=1,2"),
        "sweep.zip=[regularizer.dropout.p,regularizer.max_norm.max_norm]",
    ],
    "weights and schedules": [
        *("initialization=he,xavier", "scheduler=cosine,constant", "data.label_noise=0,0.3"),
        "sweep.zip=[scheduler,data.label_noise]",
    ],
    "regression": ["data=diabetes", "loss=squared_error", "seed=0,1,2"],
    "regression with variances": ["data=diabetes", "loss=gaussian_nll", "seed=0,1"],
    "Monte-Carlo dropout": [
        *("regularizer=[dropout]", "regularizer.dropout.inference=monte_carlo", "regularizer.dropout.samples=3"),
        "seed=0,1",
    ],
    "early stopping": ["regularizer=[early_stopping]", "regularizer.early_stopping.patience=1", "seed=0,1,2"],
    "divergence": ["optimizer=sgd", "optimizer.learning_rate=0.01,1e30", "scheduler=constant"],
    "ensembles": ["regularizer=[ensemble]", "regularizer.ensemble.members=2", "optimizer.learning_rate=0.01,0.1"],
}


@pytest.fixture(autouse=True)
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page about a study has tests of its own."""
    monkeypatch.setattr("nnlab.sweep.grid.Grid._write_studies", lambda self: None)


def sweep(folder: Path, *arguments: str) -> int:
    return main(["train", "-m", f"output_dir={folder}", "name=study", *SMALL, *arguments])


def runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "study").glob("*/result.json"))


def result(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "result.json").read_text())
    return content


def setting(run: Path, key: str) -> str:
    """What a run's overrides set a key to."""
    lines: list[str] = yaml.safe_load((run / "overrides.yaml").read_text())
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{key}="))


def numbers(run: Path) -> list[list[float]]:
    """history.csv, with NaN for empty cells."""
    rows = list(csv.reader((run / "history.csv").read_text().splitlines()))[1:]
    return [[float(cell) if cell else math.nan for cell in row] for row in rows]


def scalars(run: Path) -> list[tuple[int, str, float]]:
    [file] = run.glob("events.out.tfevents.*")
    found = []
    for event in LegacyEventFileLoader(str(file)).Load():
        values = [value for value in event.summary.value if value.HasField("simple_value")]
        found += [(event.step, value.tag, value.simple_value) for value in values]
    return found


def close(first: Any, second: Any) -> bool:
    """Whether two nested values of numbers agree to 1e-9."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(close(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(close, first, second))
    if isinstance(first, float) and math.isnan(first):
        return isinstance(second, float) and math.isnan(second)
    if isinstance(first, str) or first is None:
        return bool(first == second)
    return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_population_gives_each_job_what_it_has_alone(
    grid: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(tmp_path / "together", *grid, "hydra.launcher.stack=always") == 0
    assert "as one population" in capsys.readouterr().out
    assert sweep(tmp_path / "alone", *grid, "hydra.launcher.stack=never") == 0
    together, alone = runs(tmp_path / "together"), runs(tmp_path / "alone")
    assert [run.name for run in together] == [run.name for run in alone]
    assert len(together) > 1
    for one, other in zip(together, alone, strict=True):
        keys = ("status", "metrics", "best_step", "steps", "reason", "identity", "ensemble")
        assert close(*({key: result(run).get(key) for key in keys} for run in (one, other))), one.name
        assert close(numbers(one), numbers(other)), one.name
        first, second = scalars(one), scalars(other)
        assert [event[:2] for event in first] == [event[:2] for event in second]
        for (_, tag, value), (_, _, expected) in zip(first, second, strict=True):
            assert value == pytest.approx(expected, rel=1e-5, abs=1e-7, nan_ok=True), tag
        files = {path.relative_to(one).as_posix() for path in one.rglob("*") if "tfevents" not in path.name}
        assert files == {path.relative_to(other).as_posix() for path in other.rglob("*") if "tfevents" not in path.name}


def test_a_widened_grid_adds_only_its_new_points_and_a_changed_option_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "configs" / "optimizer"
    own.mkdir(parents=True)
    text = "# Mine.\n_target_: nnlab.optimizer.Momentum\nlearning_rate: 0.1\nmomentum: 0.9\n"
    (own / "mine.yaml").write_text(text)
    arguments = ["optimizer=mine", "--config-dir", str(tmp_path / "configs")]
    assert sweep(tmp_path, "seed=0,1", *arguments) == 0
    before = {run.name: (run / "result.json").stat().st_mtime_ns for run in runs(tmp_path)}
    capsys.readouterr()
    assert sweep(tmp_path, "seed=0,1,2", *arguments) == 0
    assert "3 jobs in" in capsys.readouterr().out.splitlines()[0]
    after = {run.name: (run / "result.json").stat().st_mtime_ns for run in runs(tmp_path)}
    assert {name: after[name] for name in before} == before
    assert len(after) == 3
    table = list(csv.DictReader((tmp_path / "study" / "summary.csv").read_text().splitlines()))
    assert sorted(row["seed"] for row in table) == ["0", "1", "2"]
    (own / "mine.yaml").write_text(text.replace("0.9", "0.5"))
    assert sweep(tmp_path, "seed=0,1,2", *arguments) == 2
    assert "holds a run with another config (`optimizer.momentum`: 0.9 -> 0.5)" in capsys.readouterr().err


def test_a_failed_job_gives_exit_code_1_and_the_same_command_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnlab.training import Trainer

    validate = Trainer.validate

    def broken(self: Trainer) -> None:
        if any(member.seed == 1 for member in self.members):
            raise RuntimeError("the disk is on fire")
        validate(self)

    monkeypatch.setattr(Trainer, "validate", broken)
    assert sweep(tmp_path, "seed=0,1,2") == 1
    text = capsys.readouterr().out
    assert "failed together (RuntimeError: the disk is on fire); going on one by one" in text
    assert "FAILED" in text
    assert {setting(run, "seed"): result(run)["status"] for run in runs(tmp_path)} == {
        **{"0": "completed", "1": "failed", "2": "completed"}
    }
    monkeypatch.undo()
    assert sweep(tmp_path, "seed=0,1,2") == 0
    assert [result(run)["status"] for run in runs(tmp_path)] == ["completed"] * 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["hydra.launcher.stack=3"], "`hydra.launcher.stack` must be text, got 3"),
        (["hydra.launcher.stack=x"], "`hydra.launcher.stack` has no option 'x'"),
        (["hydra/launcher=processes", "hydra.launcher.slots=x"], "`hydra.launcher.slots` must be a whole number or"),
        (["hydra/launcher=processes", "+hydra.launcher.slot=1"], "did you mean `hydra.launcher.slots`?"),
        (["hydra.sweeper.params=3"], "`hydra.sweeper.params` must be a mapping or null, got 3"),
        (["sweep.retries=5"], "`sweep.retries` has no effect without `sweep.on_failure=retry`"),
    ],
)
def test_settings_of_a_sweep_that_are_wrong_are_refused_before_the_first_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert sweep(tmp_path, "seed=0,1", *arguments) == 2
    assert sentence in capsys.readouterr().err
    assert runs(tmp_path) == []


def test_hydras_own_launcher_names_resumes_and_tabulates_the_same(tmp_path: Path) -> None:
    assert sweep(tmp_path / "a", "seed=0,1", "hydra/launcher=basic") == 0
    assert sweep(tmp_path / "b", "seed=0,1", "hydra.launcher.stack=never") == 0
    first, second = runs(tmp_path / "a"), runs(tmp_path / "b")
    assert [run.name for run in first] == [run.name for run in second]
    for one, other in zip(first, second, strict=True):
        assert (one / "history.csv").read_bytes() == (other / "history.csv").read_bytes()
        assert result(one)["metrics"] == result(other)["metrics"]
    times = [(run / "result.json").stat().st_mtime_ns for run in first]
    assert sweep(tmp_path / "a", "seed=0,1", "hydra/launcher=basic") == 0
    assert [(run / "result.json").stat().st_mtime_ns for run in runs(tmp_path / "a")] == times
    assert (tmp_path / "a/study/summary.csv").exists()


def test_a_zipped_grid_runs_its_pairs(tmp_path: Path) -> None:
    zipped = ["sweep.zip=[seed,optimizer.learning_rate]", "seed=0,1", "optimizer.learning_rate=0.1,0.01"]
    assert sweep(tmp_path, *zipped) == 0
    found = {(setting(run, "seed"), setting(run, "optimizer.learning_rate")) for run in runs(tmp_path)}
    assert found == {("0", "0.1"), ("1", "0.01")}


def test_a_word_in_the_place_of_the_section_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(tmp_path, "++sweep=str(1)") == 2
    assert "`sweep` is a section (`nnlab train --help` shows its keys), got '1'" in capsys.readouterr().err


def test_the_driver_costs_a_job_of_a_large_grid_milliseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(jobs: Sequence[Job]) -> list[Outcome]:
        results = [
            {"status": "completed", "metrics": {"test": {"loss": 1.0}}, "identity": job.identity} for job in jobs
        ]
        for job, content in zip(jobs, results, strict=True):
            (job.directory / "result.json").write_text(json.dumps(content))
        return [Outcome(content) for content in results]

    monkeypatch.setattr("nnlab.sweep.grid.train_here", nothing)
    started = time.process_time()
    grid = ["optimizer.learning_rate=0.1,0.2,0.3", "seed=range(100)", "hydra.launcher.stack=never"]
    assert sweep(tmp_path, *grid) == 0
    assert len(runs(tmp_path)) == 300
    assert (time.process_time() - started) / 300 < 0.02
