"""A file of the source that a run was trained on is read as the training file was, however few rows it has."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from nnlab.data import Table
from nnlab.data.pipeline import Pipeline
from nnlab.data.table.delimited import TextOptions
from nnlab.data.table.reading import read_table
from nnlab.runs.examples import pieces

NAMES = ["price", "sum", "share", "count", "size", "day", "kind", "y"]


def row(i: int, comma: bool) -> list[str]:
    """A row of amounts, with a decimal comma or point; every tenth shows no sign."""
    whole = i % 10 == 0
    price = f"{1 + i % 8}.{250 + i} €" if whole else f"{i % 300 + 1}.{100 + i},{i % 90 + 10} €"
    total = f"{1 + i % 7}.{345 + i}"
    share = f"{i % 100} %" if whole else f"{i % 100},{i % 9 + 1} %"
    cells = [price, total, share, str(i % 50), str(i % 3) if whole else f"{i % 3},{i % 7 + 1}"]
    if not comma:
        cells = [cell.translate(str.maketrans(".,", ",.")) for cell in cells]
    return [*cells, f"{i % 12 + 1:02d}/{i % 28 + 1:02d}/2024", "ab"[i % 2], str(i % 5)]


def pipeline_of(path: Path) -> Pipeline:
    """What a run stores of a table, as it is read from its folder."""
    fitted = Table(path=str(path), target="y").load(0, Path("nowhere")).pipeline
    assert fitted is not None
    return Pipeline.from_stored(json.loads(json.dumps(fitted.to_json())), fitted.arrays())


@pytest.fixture(scope="module", params=[True, False], ids=["comma", "point"])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Pipeline, list[list[str]], Any]:
    """A pipeline that was fitted to 200 rows, the rows, and their inputs."""
    rows = [row(i, request.param) for i in range(200)]
    path = tmp_path_factory.mktemp("source") / "train.csv"
    write(path, NAMES, rows)
    pipeline = pipeline_of(path)
    return pipeline, rows, inputs_of(pipeline, path)[0]


def write(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]], separator: str = ";") -> None:
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in each] for each in (names, *rows)]
    path.write_text("\n".join(separator.join(each) for each in quoted) + "\n")


def inputs_of(pipeline: Pipeline, path: Path, **text: Any) -> tuple[Any, tuple[str, ...]]:
    """The inputs of a file, and what was said about reading it."""
    found = list(pieces(path, pipeline, {}, text))
    assert not any(pipeline.encode(piece.inputs).unseen for piece in found)
    return np.concatenate([pipeline.encode(piece.inputs).inputs for piece in found]), found[0].notes


CHOICES: dict[str, Callable[[int], bool]] = {
    "one that shows no sign": lambda i: i == 30,
    "one": lambda i: i == 31,
    "two that show no sign": lambda i: i in (10, 20),
    "few": lambda i: 5 <= i < 12,
    "all that show no sign": lambda i: i % 10 == 0,
}


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
@pytest.mark.parametrize("choice", CHOICES)
def test_some_rows_are_read_as_among_all(trained: Any, tmp_path: Path, choice: str, separator: str) -> None:
    pipeline, rows, expected = trained
    chosen = [i for i in range(len(rows)) if CHOICES[choice](i)]
    order = [NAMES.index(name) for name in reversed(NAMES[:-1])]
    for names, taken in [
        (NAMES, [rows[i] for i in chosen]),
        ([NAMES[k] for k in order], [[rows[i][k] for k in order] for i in chosen]),  # reversed, and without the target
        (["note", *NAMES], [["n,1;2", *rows[i]] for i in chosen]),
    ]:
        write(tmp_path / "new.csv", names, taken, separator)
        found, _ = inputs_of(pipeline, tmp_path / "new.csv")
        np.testing.assert_array_equal(found, expected[chosen])


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("typed", [False, True], ids=["texts", "numbers"])
def test_rows_in_other_formats_are_read_as_in_the_training_file(
    trained: Any, tmp_path: Path, suffix: str, typed: bool
) -> None:
    pipeline, rows, expected = trained
    chosen = [30, 31, 40]
    content = {name: [rows[i][k] for i in chosen] for k, name in enumerate(NAMES)}
    if typed:
        comma = pipeline.writing.decimals["price"] == ","
        for name in NAMES[:5]:
            content[name] = [as_number(cell, comma) for cell in content[name]]
    path = tmp_path / f"new{suffix}"
    table = polars.DataFrame(content)
    table.write_parquet(path) if suffix == ".parquet" else path.write_text(json.dumps(table.to_dicts()))
    found, _ = inputs_of(pipeline, path)
    np.testing.assert_array_equal(found, expected[chosen])
    np.testing.assert_array_equal(pipeline.encode(table).inputs, expected[chosen])


def as_number(cell: str, comma: bool) -> Any:
    digits = cell.strip(" €%")
    return float(digits.replace(".", "").replace(",", ".") if comma else digits.replace(",", ""))


def test_a_file_that_shows_another_sign_keeps_it_and_that_is_said(trained: Any, tmp_path: Path) -> None:
    pipeline, _, expected = trained
    comma = pipeline.writing.decimals["price"] == ","
    chosen = [31, 40]
    write(tmp_path / "new.csv", NAMES, [row(i, not comma) for i in chosen])
    found, notes = inputs_of(pipeline, tmp_path / "new.csv")
    np.testing.assert_array_equal(found, expected[chosen])
    now, before = ("point", "comma") if comma else ("comma", "point")
    assert notes == (f"decimal {now}, where training had a {before} (data.decimal)",)
    write(tmp_path / "new.csv", NAMES, [row(40, not comma)])  # which shows none, unless the user says it
    np.testing.assert_array_equal(
        inputs_of(pipeline, tmp_path / "new.csv", decimal="." if comma else ",")[0], expected[[40]]
    )


def test_a_run_of_an_earlier_version_reads_files_as_they_show_themselves(trained: Any, tmp_path: Path) -> None:
    pipeline, rows, expected = trained
    content = json.loads(json.dumps(pipeline.to_json()))
    del content["inputs"]["writing"]
    earlier = Pipeline.from_stored(content, pipeline.arrays())
    write(tmp_path / "new.csv", NAMES, rows[31:34])
    np.testing.assert_array_equal(inputs_of(earlier, tmp_path / "new.csv")[0], expected[31:34])


def test_days_before_months_in_training_are_so_in_new_rows_that_do_not_show_it(tmp_path: Path) -> None:
    days = [f"{i % 28 + 1:02d}/{i % 12 + 1:02d}/2024" for i in range(60)]
    path, new = tmp_path / "train.csv", tmp_path / "new.csv"
    write(path, ["day", "y"], [[day, str(i % 3)] for i, day in enumerate(days)])
    pipeline = pipeline_of(path)
    write(new, ["day"], [["03/02/2024"], ["05/04/2024"]])
    february = np.datetime64("2024-02-03") - np.datetime64("2024-01-01")
    first = pipeline.rule.encode(next(iter(pieces(new, pipeline, {}))).inputs).inputs[0]
    assert first[0] == february / np.timedelta64(1, "D")


@pytest.mark.parametrize("content", ["x\n1,5\n2,25\n", "x\n1,5\n", '"x"\n"1,5"\n'])
def test_a_single_column_of_decimal_commas_is_no_two_columns(tmp_path: Path, content: str) -> None:
    path, new = tmp_path / "train.csv", tmp_path / "new.csv"
    write(path, ["x", "y"], [[f"{i},5", str(i % 3)] for i in range(40)])
    pipeline = pipeline_of(path)
    new.write_text(content)
    piece = next(iter(pieces(new, pipeline, {})))
    assert piece.inputs.columns["x"].numbers()[0] == 1.5


@pytest.mark.parametrize("title", ["", "Report\n\n", "Report;;\n", "Report\nCreated: 3 May, 2024\n\n"])
def test_a_header_above_one_row_of_words_is_known_by_its_names(tmp_path: Path, title: str) -> None:
    path, new = tmp_path / "train.csv", tmp_path / "new.csv"
    write(
        path, ["color", "shape", "y"], [["red" if i % 2 else "blue", "ab"[i % 3 == 0], str(i % 3)] for i in range(40)]
    )
    pipeline = pipeline_of(path)
    new.write_text(f"{title}shape;color\na;red\n")
    frame = next(iter(pieces(new, pipeline, {}))).inputs
    assert {name: column.levels for name, column in frame.columns.items()} == {"shape": ("a",), "color": ("red",)}


def test_a_training_file_without_a_header_has_none_in_new_files_of_one_row(tmp_path: Path) -> None:
    path, new = tmp_path / "train.csv", tmp_path / "new.csv"
    cells = itertools.cycle(["red;1,5", "blue;2,5", "blue;3"])
    path.write_text("\n".join(f"{next(cells)};{i % 4}" for i in range(60)) + "\n")
    assert read_table(path, TextOptions())[0].writing.named is False
    fitted = Table(path=str(path)).load(0, Path("nowhere")).pipeline
    assert fitted is not None
    for content in ("red;1,5\n", "red;1,5;2\n", "red;1;2\n"):
        new.write_text(content)
        assert [len(piece) for piece in pieces(new, fitted, {})] == [1]


@pytest.mark.parametrize("separator", [",", ";", ":"])
def test_codes_of_one_row_keep_their_zeros_and_letters(tmp_path: Path, separator: str) -> None:
    path, new = tmp_path / "train.csv", tmp_path / "new.csv"
    codes = ["00120", "12e5", "1.50", "x"]
    rows = [[codes[i % 4], f"{i}.5", str(i % 3)] for i in range(60)]
    write(path, ["code", "x", "y"], rows, separator)
    pipeline = pipeline_of(path)
    whole = inputs_of(pipeline, path)[0]
    for i in range(4):
        write(new, ["code", "x", "y"], rows[i : i + 1], separator)
        np.testing.assert_array_equal(inputs_of(pipeline, new)[0], whole[i : i + 1])


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], *(line + ";" for line in lines[1:])],
        lambda lines: [lines[0] + ";", *lines[1:]],
        lambda lines: [lines[0], "cm;kg;;", *lines[1:]],
        lambda lines: [lines[0], "---;---;---;---", *lines[1:]],
        lambda lines: ["Sizes", "", *lines, ""],
    ],
)
def test_odd_lines_about_one_row_are_those_of_the_training(tmp_path: Path, change: Any) -> None:
    path, new = tmp_path / "train.csv", tmp_path / "new.csv"
    table = ["size;weight;city;y", *(f"{i},5;{i % 7},25;{'ab'[i % 2]};{i % 3}" for i in range(40))]
    path.write_text("\n".join(change(table)) + "\n")
    pipeline = pipeline_of(path)
    whole = inputs_of(pipeline, path)[0]
    for chosen in (1, 8):
        new.write_text("\n".join(change([table[0], table[chosen]])) + "\n")
        np.testing.assert_array_equal(inputs_of(pipeline, new)[0], whole[chosen - 1 : chosen])
