"""Figures that a process of its own draws while a recipe goes on are the same, and never missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnlab.cli import compose
from nnlab.recipe.run import recipe
from nnlab.report.recipe_drawing import Drawing, drawn
from nnlab.report.recipe_page import html


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = [
        "data=blobs", "architecture.widths=[8]", "recipe.steps=[1,2]", "callbacks=[]",
        f"output_dir={tmp_path_factory.mktemp('recipe')}",
    ]  # fmt: skip
    return recipe(compose(*words, config_name="recipe"), words).directory / "recipe.json"


def test_a_process_draws_the_figures_that_would_be_drawn_here(file: Path) -> None:
    content = json.loads(file.read_text())
    drawing = Drawing(file)
    for number in (1, 2):
        drawing.add(number)
    found = drawing.finished()
    assert found == {step["number"]: drawn(step) for step in content["steps"]}
    assert [len(figures) for figures in found.values()] == [1, 1]
    assert (file.parent / "report.html").read_text() == html(content)


def test_what_a_process_does_not_draw_is_drawn_for_the_page(file: Path, tmp_path: Path) -> None:
    drawing = Drawing(tmp_path / "nowhere.json")
    for number in (1, 2):
        drawing.add(number)
    assert drawing.finished() == {}
    assert html(json.loads(file.read_text()), {}).count("<svg") == 2


def test_a_single_step_starts_no_process(file: Path) -> None:
    drawing = Drawing(file)
    drawing.add(1)
    assert drawing.finished() == {}


def test_a_step_that_has_no_figure_is_not_drawn_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnlab.report.recipe_page.drawn", lambda step: pytest.fail("it was drawn"))
    assert html(json.loads(file.read_text()), {1: [], 2: []}).count("<svg") == 0


def test_a_process_that_nobody_waits_for_ends(file: Path) -> None:
    drawing = Drawing(file)
    drawing.start()
    process = drawing._process
    assert process is not None
    drawing.close()
    assert process.returncode is not None
    assert drawing.finished() == {}
