"""Names that come from data or from the command line are no formulas, and no HTML."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from nnlab.cli import main
from nnlab.report import figures
from nnlab.report.recipe_page import html, markdown

NAMES = (
    "<img src=x onerror=alert(1)>",
    "'\"><script>alert(2)</script>",
    "=cmd|' /C calc'!A0",
    "]]>--><svg onload=alert(3)>",
    "$\\frac{$",
    "@a&lt;b|c",
)


class Page(HTMLParser):
    """What a browser would make of a page: its elements, handlers of events, texts, and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: dict[str, int] = {}
        self.handlers: list[str] = []
        self.text = ""
        self.scripts = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.elements[tag] = self.elements.get(tag, 0) + 1
        self.handlers += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts += data
        else:
            self.text += data


def check_page(text: str, *, scripts: int = 0) -> Page:
    """A page in which no name became an element, a handler or a script."""
    page = Page(text)
    assert page.handlers == []
    assert "img" not in page.elements
    assert page.elements.get("script", 0) == scripts
    assert "alert(" not in page.scripts
    return page


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table whose columns, cells and classes have hostile names."""
    monkeypatch.chdir(tmp_path)
    numbers = torch.randn(90, 2, generator=torch.Generator().manual_seed(0)).tolist()
    with open("<b onclick=x>.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*NAMES[:3], "kind"])
        writer.writerows([a, b, NAMES[i % 6], NAMES[i % 3]] for i, (a, b) in enumerate(numbers))
    return "<b onclick=x>.csv"


def test_a_class_with_dollars_is_drawn_as_it_is_called() -> None:
    names = ["$\\frac{$", "$0-$50"]
    figure = figures.confusion_matrix(torch.tensor([[3, 1], [0, 2]]), names)
    svg = figures.to_svg(figure)
    assert figures.to_png(figure)[:4] == b"\x89PNG"
    drawn = {text.get_text(): text.get_parse_math() for axis in figure.axes for text in axis.get_xticklabels()}
    assert drawn == dict.fromkeys(names, False)
    assert svg.startswith("<?xml")


def test_figures_hold_hostile_names_as_text() -> None:
    svg = figures.to_svg(figures.confusion_matrix(torch.eye(4).int(), NAMES[:4]))
    page = Page(svg[svg.index("<svg") :])
    assert page.handlers == []
    assert page.elements["svg"] == 1
    assert not {"img", "script"}.intersection(page.elements)


def test_the_page_of_a_table_holds_hostile_names_as_text(table: str) -> None:
    assert main(["data", table, "target=kind", "out=page.html"]) == 0
    page = check_page(Path("page.html").read_text())
    assert all(name in page.text for name in (*NAMES[:3], table))


def test_the_page_and_the_tables_of_a_study_hold_hostile_names_as_text(table: str) -> None:
    own = [table, "target=kind", "trainer.steps=2", "architecture.widths=[4]", "callbacks=[checkpoint]"]
    study = "<script>alert(4)<_script>"
    assert main(["train", "-m", *own, "seed=0,1", f"name={study}", "optimizer=sgd,adam"]) == 0
    folder = Path("outputs") / study
    page = check_page((folder / "study.html").read_text(), scripts=1)
    assert study in page.text
    assert table in page.text
    for name in ("study.csv", "summary.csv"):
        for row in csv.reader((folder / name).read_text().splitlines()):
            assert not any(cell.startswith(("=", "+", "@")) for cell in row)


def test_values_of_a_study_are_no_formulas_in_its_tables(tmp_path: Path) -> None:
    from nnlab.study.read import read_study
    from nnlab.study.tables import csv_text

    for value, accuracy in (("=1+1", 0.5), ("-0.5", 0.6), ("@SUM(A1)", 0.7), ("<b>|", 0.8)):
        run = tmp_path / f"run{accuracy}"
        run.mkdir()
        (run / "overrides.yaml").write_text(json.dumps([f"+x={value}"]))
        (run / "config.yaml").write_text("seed: 0\n")
        metrics = {split: {"loss": 1 - accuracy, "accuracy": accuracy} for split in ("train", "validation", "test")}
        result = {"status": "completed", "metrics": metrics, "best_step": 1, "steps": 1, "seconds": 1.0, "reason": ""}
        (run / "result.json").write_text(json.dumps(result))
    study = read_study(tmp_path)
    cells = {row["x"] for row in csv.DictReader(csv_text(study).splitlines())}
    assert cells == {"'=1+1", "-0.5", "'@SUM(A1)", "<b>|"}


def test_the_report_of_a_recipe_holds_hostile_names_as_text(table: str) -> None:
    words = [table, "target=kind", "recipe.steps=[1,2]", "recipe.keep_going=true", "recipe.time_limit=6"]
    main(["recipe", *words, "name=<b onclick=x>"])
    [folder] = [file.parent for file in Path("outputs").glob("*/*/recipe.json")]
    page = check_page((folder / "report.html").read_text())
    assert table in page.text
    content = json.loads((folder / "recipe.json").read_text())
    hostile = hostile_in(content)
    assert "<i onclick=x>" in check_page(html(hostile)).text
    tables = [line for line in markdown(hostile).splitlines() if line.startswith("| ")]
    assert tables
    assert not any("<" in line for line in tables)


def hostile_in(node: object) -> object:
    """Plain content whose texts all end in markup."""
    if isinstance(node, dict):
        kept = ("status", "severity", "title", "kind", "name")
        return {key: value if key in kept else hostile_in(value) for key, value in node.items()}
    if isinstance(node, list):
        return [hostile_in(each) for each in node]
    return f"{node[:9]}<i onclick=x>" if isinstance(node, str) else node
