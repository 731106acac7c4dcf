"""A run that was stopped anywhere continues to the same bits as one that never was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twins import cases, compare

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.runs import launch
from nnlab.training import Callback, Trainer

CASES = cases()
# (step, how): stopped as by a signal, or ended by an error between two checkpoints; 8 is the end of an epoch.
DISTURBANCES = [(2, "stop"), (8, "stop"), (13, "crash")]


class Crash(Exception):
    """An error in the middle of training."""


class Disturb(Callback):
    def __init__(self, step: int, how: str) -> None:
        self.step, self.how = step, how

    def step_end(self, trainer: Trainer) -> None:
        if trainer.step == self.step:
            if self.how == "crash":
                raise Crash
            trainer.stop_requested = "interrupted"


def train(
    monkeypatch: pytest.MonkeyPatch,
    configs: list[dict[str, Any]],
    directories: list[Path],
    disturbance: tuple[int, str] | None = None,
) -> list[launch.Result]:
    def build(*arguments: Any, **more: Any) -> Trainer:
        trainer = build_trainer(*arguments, **more)
        if disturbance:
            trainer.callbacks.append(Disturb(*disturbance))
        return trainer

    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(launch, "build_trainer", build)
    return launch.train_runs(configs, directories, [[] for _ in configs])


def train_disturbed(
    monkeypatch: pytest.MonkeyPatch, configs: list[dict[str, Any]], directories: list[Path]
) -> list[launch.Result]:
    for disturbance in DISTURBANCES:
        try:
            results = train(monkeypatch, configs, directories, disturbance)
        except Crash:
            continue
        if all(result.status != "interrupted" for result in results):
            return results
    return train(monkeypatch, configs, directories)


def check_case(name: str, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose(*CASES[name], f"callbacks.checkpoint.seconds={seconds}")
    [twin] = train(monkeypatch, [config], [tmp_path / "twin"])
    [disturbed] = train_disturbed(monkeypatch, [config], [tmp_path / "disturbed"])
    assert disturbed.status == twin.status != "interrupted"
    assert compare(tmp_path / "disturbed", tmp_path / "twin") == []


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_was_stopped_and_crashed_continues_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_case(name, 0.0, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["optimizer=adam", "torch.optim.LBFGS", "ensemble that stops early"])
def test_a_run_that_crashed_long_after_its_last_checkpoint_continues_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_case(name, 1e6, tmp_path, monkeypatch)


POPULATIONS = {
    "rates": [["optimizer.learning_rate=0.01"], ["optimizer.learning_rate=0.1"], ["optimizer.learning_rate=1.0"]],
    "seeds": [["seed=0"], ["seed=1"], ["seed=2"]],
    "one diverges": [["optimizer=sgd", f"optimizer.learning_rate={rate}"] for rate in ("0.1", "1e30", "0.01")],
    "schedules": [["optimizer=momentum", f"scheduler.warmup={length}"] for length in (0, 1, 2)],
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_a_population_that_was_stopped_and_crashed_continues_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ["callbacks.checkpoint.seconds=0", "regularizer=[dropout]"]
    configs = [compose(*CASES["optimizer=adam"], *common, *own) for own in POPULATIONS[name]]
    folders = {kind: [tmp_path / kind / str(i) for i in range(len(configs))] for kind in ("twin", "disturbed")}
    train(monkeypatch, configs, folders["twin"])
    train_disturbed(monkeypatch, configs, folders["disturbed"])
    for disturbed, twin in zip(folders["disturbed"], folders["twin"], strict=True):
        assert compare(disturbed, twin) == []
