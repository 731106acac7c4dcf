"""`nnlab plot`: figures of a run and of several."""

from __future__ import annotations

from pathlib import Path

import pytest

import nnlab
from nnlab.errors import UserError
from nnlab.plot import main
from nnlab.report import figures

SMALL = ("architecture.widths=[8]", "trainer.epochs=2", "data.limit=200", "callbacks=[statistics,checkpoint]")


def test_a_run_is_drawn_as_png_and_svg(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = nnlab.train(*SMALL, f"output_dir={tmp_path}").directory
    capsys.readouterr()
    assert main([str(run)]) == 0
    names = {"calibration", "confusion_matrix", "gradient_flow", "learning_rate", "loss", "train_validation"}
    drawn = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert names <= {path.stem for path in drawn}
    assert {path.suffix for path in drawn} == {".png", ".svg"}
    assert all(path.read_bytes()[1:4] == b"PNG" for path in drawn if path.suffix == ".png")


def test_runs_that_differ_in_the_seed_share_a_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = []
    overlay = figures.overlay
    monkeypatch.setattr(figures, "overlay", lambda curves, **names: groups.append(curves) or overlay(curves, **names))
    runs = [str(nnlab.train(*SMALL, f"output_dir={tmp_path}", f"seed={seed}").directory) for seed in (0, 1)]
    assert main([*runs, "--out", str(tmp_path / "drawn")]) == 0
    assert {"loss.png", "validation_accuracy.svg"} <= {path.name for path in (tmp_path / "drawn").iterdir()}
    assert groups
    assert all(len(curves) == 2 for group in groups for curves in group.values())


def test_a_path_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no run at"):
        main([str(tmp_path)])
