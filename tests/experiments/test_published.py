"""Published numbers beside ours: bands, rows that are kept, and the page that is written from the results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import published
from experiments.published import Found, Row, evidence, measure, page

ROOT = Path(__file__).parents[2]
SETTING = ["data=digits", "data.limit=200", "architecture.widths=[8]", "trainer.epochs=2"]


def test_an_error_is_met_within_the_band_and_missed_outside_of_it() -> None:
    rows = [Row("near", 1.5, "a=1"), Row("far", 1.5), Row("own", None)]
    found = {name: Found([mean - 0.02, mean + 0.02], {}, [], 1.0) for name, mean in
             (("near", 1.59), ("far", 1.61), ("own", 3.0))}  # fmt: skip
    result = evidence(rows, found, {"more": True}, "title", compared=True)
    assert result.claims == {
        "more": True,
        "near: 1.5 %, within 0.1 points": True,
        "far: 1.5 %, within 0.1 points": False,
    }
    assert [row["within"] for row in result.results["rows"]] == [True, False, None]
    assert result.table[1] == ["near", "1.5", "1.59 ± 0.03", "+0.09", "yes"]
    assert evidence(rows, found, {"more": True}, "title", compared=False).claims == {"more": True}


def test_finished_rows_are_kept_and_changed_ones_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained = []
    real = published._trained
    monkeypatch.setattr(published, "_trained", lambda *given: (trained.append(given), real(*given))[1])
    rows = [Row("one", 1.0, "optimizer.learning_rate=0.01"), Row("two", 1.0, "optimizer.learning_rate=0.02")]
    first = measure("paper", rows[:1], SETTING, range(2))
    again = measure("paper", rows, SETTING, range(2))
    assert again["one"] == first["one"]
    assert [given[0][-1] for given in trained] == ["optimizer.learning_rate=0.01", "optimizer.learning_rate=0.02"]
    measure("paper", rows, SETTING, range(1))
    assert len(trained) == 4


def test_what_else_was_asked_of_trained_networks_is_kept_with_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = []
    row = Row("one", None, "optimizer.learning_rate=0.01")
    for _ in range(2):
        found = measure("paper", [row], SETTING, range(2), lambda grid: asked.append(grid) or {"seeds": grid.seeds})
        assert found["one"].more == {"seeds": [0, 1]}
    assert len(asked) == 1, "the kept row was trained again"


def test_all_examples_but_the_test_split_are_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnlab.cli import compose
    from nnlab.config.build import load_dataset

    dataset = load_dataset(compose(*SETTING))
    all_of_them = published.whole(dataset)
    assert len(all_of_them.train) == len(dataset.train) + len(dataset.validation)
    assert all_of_them.test is dataset.test


def test_a_network_that_diverged_counts_as_guessing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = Row("wild", None, "optimizer=sgd", "optimizer.learning_rate=1e6", "loss=squared_error")
    found = measure("paper", [row], SETTING, range(2))["wild"]
    assert found.errors == [90.0, 90.0]
    assert found.by_size == {}


def test_the_page_holds_what_was_recorded() -> None:
    text = (ROOT / "docs" / "reproduction.md").read_text()
    assert page(ROOT) in text, "run `python -m experiments.published`"
    recorded = [json.loads(file.read_text()) for file in ROOT.glob("experiments/*/results.json")]
    papers = [each for each in recorded if "rows" in each["results"]]
    assert papers
    assert all(f"`{each['command']}`" in text for each in papers)
