"""What a recipe's report says: no value is an empty cell, code is code, and commands are at the end."""

from __future__ import annotations

import math
from typing import Any

from nnlab.recipe.candidate import Candidate
from nnlab.recipe.numbers import FinalNumbers, SampleNumbers, plain
from nnlab.recipe.report import StepReport, Table
from nnlab.report.recipe_page import cell, headline, html, markdown


def content(report: StepReport[FinalNumbers]) -> dict[str, Any]:
    about = {"data": "table", "architecture": "mlp", "loss": "squared_error", "optimizer": "adamw", "machine": "cpu"}
    examples = {"train": 8, "validation": 1, "test": 1}
    return {**about, "command": "nnlab recipe", "examples": examples, "steps": [report.to_dict()]}


def report_of(*rows: list[Any], conclusion: str = "done") -> StepReport[FinalNumbers]:
    table = Table("Test split", ["", "loss", "rmse"], rows)
    return StepReport(
        8, "Train", FinalNumbers("rmse"), conclusion, tables=[table, Table("The configuration", [""], [])]
    )


def test_a_missing_value_is_an_empty_cell_and_a_diverged_one_is_inf() -> None:
    rows = report_of(["the constant", math.nan, 2.5], ["diverged", math.inf, None]).to_dict()["tables"][0]["rows"]
    assert [[cell(value) for value in row] for row in rows] == [["the constant", "", "2.5"], ["diverged", "inf", ""]]


def test_neither_page_says_inf_of_what_was_not_measured() -> None:
    said = content(report_of(["the constant", math.nan, 2.5]))
    assert "<td>the constant</td><td></td><td>2.5</td>" in html(said, {8: []})
    assert "inf" not in markdown(said).split("Test split")[1]


def test_a_loss_that_was_not_measured_stays_so_when_the_recipe_continues() -> None:
    before = Candidate({"rate": 1.0}, [math.inf, 1.0], [math.nan, 0.5], [math.nan, math.nan], [0.0, 1.0])
    after = Candidate.from_dict(plain(before))
    assert after.scores == [math.inf, 1.0]
    assert all(map(math.isnan, after.fits))
    assert math.isnan(after.metrics[0])


def test_what_stands_between_backticks_is_code_on_the_page_and_nothing_in_it_is_html() -> None:
    page = html(content(report_of(conclusion="which `experiment=best` runs, not `<img src=x>`")), {8: []})
    assert "`" not in page
    assert page.count("<code>experiment=best</code>") == 3  # the sentence on top, the list of steps, the step
    assert "<code>&lt;img src=x&gt;</code>" in page
    assert "<img" not in page


def test_a_step_that_there_was_no_time_to_judge_has_not_passed() -> None:
    last = report_of(conclusion="test rmse 2.5")
    without_time = StepReport(2, "Overfit", SampleNumbers(64), "there was no time", judged=False)
    said = content(last) | {"steps": [without_time.to_dict(), last.to_dict()]}
    assert headline(said) == "No step failed, but step 2 could not be judged: test rmse 2.5."
    three = [{**without_time.to_dict(), "number": number} for number in (2, 3, 7)]
    several = headline(said | {"steps": [*three, last.to_dict()]})
    assert several == "No step failed, but steps 2, 3 and 7 could not be judged: test rmse 2.5."
    assert "## 2 Overfit: not judged" in markdown(said)
    page = html(said, {2: [], 8: []})
    assert page.count(">not judged<") == page.count(">passed<") == 2  # the list of steps, the step
    assert StepReport.from_dict(without_time.to_dict()).verdict == "not judged"
