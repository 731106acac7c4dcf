"""`nnlab data` says of every column what it is and what is done with it, on the terminal, in a page, and as JSON."""

import json
import re

import numpy as np
import pytest

from nnlab.cli import main
from nnlab.data import summary

RNG = np.random.default_rng(0)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{i + 1},{'' if i % 9 == 0 else i % 50 + 0.5},{('north', 'south', '')[i % 3]},<b>{i % 2}</b>,{i % 4}"
        for i in range(120)
    ]
    (tmp_path / "sales.csv").write_text("\n".join(["id,price,region,<i>tag</i>,y", *rows]) + "\n")
    return tmp_path


def test_every_column_is_shown_with_its_kind_gaps_and_rule(file, capsys):
    assert main(["data", "sales.csv", "target=y"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split("  ")[0].strip(): re.sub(r"\s+", " ", line) for line in lines}
    assert "identifier 120 1 ... 120" in shown["id"]
    assert "left out: counts the rows" in shown["id"]
    assert re.search(r"number 14 \d+ 0.5 ... 49.5", shown["price"])
    assert "the median" in shown["price"]
    assert re.search(r"category 40 2 north", shown["region"])
    assert "missing: a level of its own" in shown["region"]
    assert "the target, 4 classes" in shown["y"]
    assert any("inputs; multiclass" in line for line in lines)


def test_the_page_shows_all_columns_and_escapes_their_names(file, capsys):
    assert main(["data", "sales.csv", "target=y", "out=pages/sales.html"]) == 0
    page = (file / "pages" / "sales.html").read_text()
    assert "<i>tag</i>" not in page
    assert "&lt;i&gt;tag&lt;/i&gt;" in page
    assert "<b>0</b>" not in page.replace("<div><b>", "")
    assert page.count("<svg") == 5
    assert "nnlab train sales.csv target=y" in page
    assert "http" not in page


def test_programs_get_json(file, capsys):
    assert main(["data", "sales.csv", "target=y", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [column["kind"] for column in content["columns"]] == ["identifier", "number", "category", "category"]
    assert content["rows"] == {"train": 86, "validation": 10, "test": 24}


@pytest.mark.parametrize("words", [["data=digits"], ["data=diabetes", "loss=squared_error"], ["data=moons"]])
def test_data_sets_of_any_kind_are_described(file, capsys, words):
    assert main(["data", *words]) == 0
    assert "page: outputs/data/" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "most"), [("breast_cancer", 1800), ("digits", 1 << 26)])
def test_data_on_disk_are_described_as_those_in_memory(file, capsys, monkeypatch, name, most):
    assert main(["data", f"data={name}", "--json", "data.resident=true"]) == 0
    resident = capsys.readouterr().out
    monkeypatch.setattr(summary, "MOST", most)  # numbers that are taken at a time: a few columns of vectors
    assert main(["data", f"data={name}", "--json", "data.resident=false"]) == 0
    assert capsys.readouterr().out == resident


def test_a_column_that_gives_the_target_away_is_a_fault(file, capsys):
    a, b = RNG.standard_normal((2, 300))
    rows = [f"{x:.4f},{y:.4f},{'up' if y > 0 else 'down'}" for x, y in zip(a, b, strict=True)]
    (file / "today.csv").write_text("\n".join(["lag,today,direction", *rows]))
    assert main(["data", "today.csv", "target=direction"]) == 0
    assert "fault: target among inputs: `today`" in capsys.readouterr().out


def test_mistakes_are_sentences(file, capsys):
    for words, message in [
        (["nothing.csv"], "nnlab data: nothing.csv does not exist"),
        (["sales.csv", "target=z"], "has no column `z` (`data.target`)"),
        (["sales.csv", "data.drp=[id]"], "did you mean `data.drop`"),
    ]:
        assert main(["data", *words]) == 2
        assert message in capsys.readouterr().err


def test_a_number_that_stands_for_none_is_named_once_with_all_of_its_digits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draws = np.random.default_rng(0).normal(1000, 100, 120)
    rows = [f"{9999.9 if i % 10 == 0 else draw:.1f},{'ab'[i % 2]}" for i, draw in enumerate(draws)]
    (tmp_path / "gauge.csv").write_text("\n".join(["press,y", *rows]))
    assert main(["data", "gauge.csv", "target=y"]) == 0
    out, err = capsys.readouterr()
    assert "data.missing={press: 9999.9}" in err + out
    assert "... 9999.9 " in out
    assert "10000" not in out
    assert "placeholders" not in out
