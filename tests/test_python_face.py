"""The functions of the package do what the commands do: with values in place of text, and a log in place of print."""

from __future__ import annotations

import importlib
import inspect
import logging
from pathlib import Path

import pytest

import nnlab
from nnlab.backprop import read
from nnlab.runs.result import Result

SMALL = ("data.limit=80", "architecture.widths=[8]", "trainer.epochs=2", "callbacks=[checkpoint]")


@pytest.mark.parametrize("name", ["recipe", "study", "sweep"])
def test_a_room_with_the_name_of_a_function_can_be_called(name: str) -> None:
    room = importlib.import_module(f"nnlab.{name}")
    face = getattr(nnlab, name)
    assert face is room
    assert callable(face)
    assert "Raises:" in (inspect.getdoc(face) or "")
    assert "/" not in str(inspect.signature(face))


@pytest.mark.parametrize("name", nnlab.__all__)
def test_the_face_is_documented(name: str) -> None:
    text = inspect.getdoc(getattr(nnlab, name)) or ""
    assert len(text) > 60
    if name != "UserError":
        for word in ("Args:", "Returns:", "Raises:"):
            assert word in text, word


def test_a_sweep_and_its_study_are_values(tmp_path: Path) -> None:
    results = nnlab.sweep(*SMALL, "seed=0,1", "optimizer.learning_rate=0.01,0.1", f"output_dir={tmp_path}", "name=s")
    assert [result.status for result in results] == ["completed"] * 4
    assert all(result.directory.parent == tmp_path / "s" for result in results)
    report = nnlab.study(tmp_path / "s")
    assert len(report.study.runs) == 4
    assert report.page == tmp_path / "s" / "study.html"
    again = nnlab.sweep(*SMALL, "seed=0,1", "optimizer.learning_rate=0.01,0.1", f"output_dir={tmp_path}", "name=s")
    assert [result.metrics for result in again] == [result.metrics for result in results]


def test_a_run_is_continued_as_on_the_command_line(tmp_path: Path) -> None:
    first = nnlab.train(*SMALL, "scheduler=constant", f"output_dir={tmp_path}")
    longer = nnlab.train(f"resume={first.directory}", "trainer.epochs=3")
    assert longer.directory == first.directory
    assert longer.steps * 2 == first.steps * 3
    assert nnlab.evaluate(longer.directory).metrics == longer.metrics["test"]
    with pytest.raises(nnlab.UserError, match="`resume=nowhere` is not the folder of a run"):
        nnlab.train("resume=nowhere")


def test_figures_are_drawn_where_one_asks_for_them(tmp_path: Path) -> None:
    run = nnlab.train(*SMALL, f"output_dir={tmp_path}").directory
    assert [path.name for path in nnlab.plot(run, out=tmp_path / "figures", only=["loss"])] == ["loss.png", "loss.svg"]


def test_a_mistake_is_shown_without_frames() -> None:
    error = nnlab.UserError("`momentum` must be in [0, 1), got 1.2")
    assert error._render_traceback_(type(error), error, None) == [
        "UserError: `momentum` must be in [0, 1), got 1.2"
    ]  # the method that IPython asks for lines


def test_a_result_is_a_table_in_a_notebook() -> None:
    metrics = {"train": {"loss": 0.5}, "test": {"loss": 0.25}}
    finding = {"severity": "fault", "where": "layer <1>", "explanation": "all units are dead"}
    shown = Result(Path("outputs/a&b"), "completed", metrics, steps=9, diagnosis=[finding])._repr_html_()
    assert "<tr><td>test</td><td>0.25</td></tr>" in shown
    assert "layer &lt;1&gt;: all units are dead" in shown
    assert "outputs/a&amp;b" in shown


def test_news_go_to_the_log_which_can_be_caught_and_silenced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    first = nnlab.train(*SMALL, "scheduler=constant", f"output_dir={tmp_path}")
    caplog.clear()
    with caplog.at_level(logging.INFO, "nnlab"):
        nnlab.train(f"resume={first.directory}", "trainer.epochs=3")
    assert f"continuing {first.directory}" in [record.getMessage() for record in caplog.records]
    assert f"continuing {first.directory}" in capfd.readouterr().out
    with caplog.at_level(logging.ERROR, "nnlab"):
        nnlab.train(f"resume={first.directory}", "trainer.epochs=4")
    assert capfd.readouterr() == ("", "")


def test_every_result_shows_itself_in_a_notebook_and_escapes_what_it_shows(tmp_path: Path) -> None:
    wild = [
        "data=xor",
        "loss=binary_cross_entropy",
        "architecture.widths=[4]",
        "trainer.epochs=2",
        f"output_dir={tmp_path}",
    ]
    run = nnlab.train(*wild, "name=<b>")
    shown = run._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown
    assert 'src="data:image/png;base64,' in shown
    assert "true \\ predicted" in nnlab.evaluate(run.directory)._repr_html_()
    nnlab.sweep(*wild, "seed=0,1", "optimizer.learning_rate=0.1,0.01", "name=s")
    study = nnlab.study(tmp_path / "s")._repr_html_()
    assert "<table>" in study
    assert "<svg" in study
    assert "nnlab train -m name=s" in study
    steps = nnlab.recipe("recipe.steps=[1]", "initialization=constant", f"output_dir={tmp_path}")
    assert "<td>not passed</td>" in steps._repr_html_()
    assert "initialization=he" in steps.reports[1].faults[0]._repr_html_()
    graph = read("y = w * x", "w = 3", "x = 2")
    graph.backward()
    assert "<td>w * x</td><td>6</td><td>1</td>" in graph._repr_html_()
