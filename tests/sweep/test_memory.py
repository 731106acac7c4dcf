"""A grid that does not fit into memory: planned in parts, or halved when it runs out, with the same results."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nnlab.cli import main
from nnlab.storage.folder import read_result
from nnlab.training.chain import Chain

GRID = [
    *("trainer.engine=torch", "data.limit=200", "architecture.widths=[6]", "trainer.epochs=2", "seed=range(6)"),
    *("callbacks=[checkpoint]", "optimizer.learning_rate=0.01", "trainer.precision=float64"),
]


def losses(folder: Path) -> dict[str, list[float]]:
    """The losses of every run of a study that has completed, by the run's name."""
    found = {}
    for path in sorted(folder.glob("*/history.csv")):
        result = read_result(path.parent)
        assert result is not None
        assert result["status"] == "completed"
        found[path.parent.name] = [float(line.split(",")[3]) for line in path.read_text().splitlines()[1:]]
    return found


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    folder = tmp_path_factory.mktemp("whole")
    assert main(["train", "-m", f"output_dir={folder}", "name=study", *GRID]) == 0
    found = losses(folder / "study")
    assert len(found) == 6
    return found


def assert_same(folder: Path, reference: dict[str, list[float]]) -> None:
    found = losses(folder / "study")
    assert found.keys() == reference.keys()
    for name, expected in reference.items():
        assert found[name] == pytest.approx(expected, rel=1e-9)


def test_a_group_too_large_for_the_memory_is_trained_in_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reference: dict[str, list[float]]
) -> None:
    memory = ["hydra.launcher.memory=0.003"]  # gigabytes
    assert main(["train", "-m", f"output_dir={tmp_path}", "name=study", *memory, *GRID]) == 0
    text = capsys.readouterr().out
    assert "populations that fit into memory" in text
    assert_same(tmp_path, reference)


def test_a_memory_too_small_for_two_members_trains_them_one_by_one_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["sweep.dry_run=true", "hydra.launcher.memory=0.0001"]
    assert main(["train", "-m", f"output_dir={tmp_path}", "name=study", *options, *GRID]) == 0
    assert "6 jobs one by one: two of them do not fit into 0.0001 GB of memory" in capsys.readouterr().out


def test_running_out_of_memory_in_the_middle_of_training_halves_the_group_and_loses_nothing(
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    reference: dict[str, list[float]],
) -> None:
    backward = Chain.backward
    steps = 0

    def short_of_memory(self: Chain, inputs: Tensor, targets: Tensor) -> Tensor:
        nonlocal steps
        steps += len(self) > 2
        if len(self) > 2 and steps > 7:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return backward(self, inputs, targets)

    monkeypatch.setattr(Chain, "backward", short_of_memory)
    assert main(["train", "-m", f"output_dir={tmp_path}", "name=study", *GRID]) == 0
    text = capsys.readouterr().out
    assert "training starts again" not in text + caplog.text
    assert "out of memory with 6 jobs together; going on with 3 at a time" in text
    assert "out of memory with 3 jobs together; going on with 1 at a time" in text
    assert_same(tmp_path, reference)
