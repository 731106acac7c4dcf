"""A run knows the data that it was trained on, and calls nothing a test split that is none."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

import nnlab
from nnlab.commands.plot import plot
from nnlab.commands.reproduce import reproduce
from nnlab.errors import UserError
from nnlab.runs import launch
from nnlab.runs.result import Result
from nnlab.storage.folder import read_config

CHANGES = {
    "a value": lambda inputs, targets: (np.where(np.arange(len(inputs))[:, None] == 3, inputs + 1, inputs), targets),
    "the order of rows": lambda inputs, targets: (inputs[::-1], targets[::-1]),
    "the order of columns": lambda inputs, targets: (inputs[:, ::-1], targets),
    "a row more": lambda inputs, targets: (np.append(inputs, inputs[:1], 0), np.append(targets, targets[:1])),
}


def write(path: Path, inputs: np.ndarray, targets: np.ndarray) -> None:
    np.savez(path, x=np.ascontiguousarray(inputs), y=np.ascontiguousarray(targets))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path, np.ndarray, np.ndarray]:
    folder = tmp_path_factory.mktemp("changed")
    random = np.random.default_rng(0)
    inputs = random.normal(size=(120, 3))
    targets = (inputs[:, 0] > 0).astype(np.int64)
    path = folder / "data.npz"
    write(path, inputs, targets)
    few = ("trainer.epochs=2", "callbacks=[checkpoint]", "scheduler=constant", f"output_dir={folder}/outputs")
    return nnlab.train("data=arrays", f"data.path={path}", "data.target=y", *few), path, inputs, targets


@pytest.mark.parametrize("change", CHANGES)
def test_evaluate_reproduce_resume_and_plot_notice_changed_data(
    trained: tuple[Result, Path, np.ndarray, np.ndarray],
    change: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nnlab.report.style.save", lambda figure, path: [path])  # which figures there are is asked
    result, path, inputs, targets = trained
    config = read_config(result.directory)
    longer = {**config, "trainer": {**config["trainer"], "epochs": 3}}
    try:
        write(path, *CHANGES[change](inputs, targets))
        nnlab.config.build._datasets.clear()
        for action in (
            lambda: nnlab.evaluate(result.directory),
            lambda: reproduce(result.directory),
            lambda: launch.train({**longer, "resume": str(result.directory)}),
        ):
            with pytest.raises(UserError, match="have changed since it was trained"):
                action()
        with caplog.at_level(logging.WARNING):
            drawn = plot([result.directory], tmp_path)
        assert drawn
        assert not any("confusion_matrix" in figure.name for figure in drawn)
        assert any("no figure `confusion_matrix`" in record.getMessage() for record in caplog.records)
    finally:
        write(path, inputs, targets)
        nnlab.config.build._datasets.clear()


def test_the_same_data_written_again_are_the_same(trained: tuple[Result, Path, np.ndarray, np.ndarray]) -> None:
    result, path, inputs, targets = trained
    write(path, inputs, targets)
    assert nnlab.evaluate(result.directory).metrics == pytest.approx(result.metrics["test"])
