"""Numbers with one unit in every cell are numbers, in training and in new rows alike; others are not."""

import json
from pathlib import Path

import numpy as np
import polars
import pytest

from nnlab.data import Table
from nnlab.data.pipeline import Pipeline
from nnlab.data.table.delimited import TextOptions
from nnlab.data.table.reading import read_start, read_table
from nnlab.data.table.spool import Spool
from nnlab.runs.examples import pieces


def read(write, cells, name="t.csv", **options):
    path = Path(write(["h;y", *(f"{cell};{i % 3}" for i, cell in enumerate(cells))], name))
    return read_table(path, TextOptions(**options))


@pytest.mark.parametrize(
    ("cells", "unit", "first"),
    [
        ([f"{150 + i} cm" for i in range(40)], "cm", 150),
        ([f"{150 + i},5cm" for i in range(40)], "cm", 150.5),
        ([f"1.{150 + i},5 m3/s" for i in range(40)], "m3/s", 1150.5),
        ([f"-{i}.5 °C" for i in range(40)], "°C", -0.5),
        ([f"${i + 1}/h" for i in range(40)], "/h", 1),
        ([f"{i % 4 + 2} BHK" for i in range(40)], "BHK", 2),
        ([*(f"{i} kg" for i in range(40)), "17", "NA", "unknown"], "kg", 0),
    ],
)
def test_numbers_with_one_unit_are_numbers(write, tmp_path, cells, unit, first):
    frame, said = read(write, cells)
    column = frame.columns["h"]
    assert (column.form, column.values[0]) == ("number", first)
    assert column.missing.sum() == sum(cell in ("NA", "unknown") for cell in cells)
    assert said[-1] == f"numbers with a unit: `h` in {unit} (data.columns)"
    spooled = read_table(Path(frame.origin), TextOptions(), Spool(tmp_path))[0].columns["h"]
    np.testing.assert_array_equal(spooled.values, column.values)
    assert read_start(Path(frame.origin), TextOptions()).columns["h"].form == "number"


def test_per_cent_beside_plain_numbers_is_said_but_not_beside_zeros(write):
    for plain, said in (("0.5", ", and without it in some cells, where 0.5 counts as 0.5 %"), ("0", "")):
        frame, notes = read(write, [plain if i % 9 == 4 else f"{i}%" for i in range(40)])
        assert frame.columns["h"].values[:5].tolist() == [0, 1, 2, 3, float(plain)]
        assert frame.writing.units == {"h": "%"}
        assert notes[-1] == f"numbers with a unit: `h` in %{said} (data.columns)"


@pytest.mark.parametrize(
    "cells",
    [
        [f"{i} cm" if i % 2 else f"{i} kg" for i in range(20)],
        [f"{i} cm" if i % 5 else f"{i}" for i in range(40)],
        [f"{i} h {i} min" for i in range(40)],
        [f"00{i} kg" for i in range(40)],
        [f"{i} {'abcdefgh'[i % 8]}" for i in range(40)],
        ["5 kg"] * 40,
        [f"5'{i % 12} in" for i in range(40)],
    ],
)
def test_texts_with_other_units_or_none_stay_texts(write, cells):
    frame, said = read(write, cells)
    assert frame.columns["h"].form == "text"
    assert not any("unit" in line for line in said)


@pytest.mark.parametrize(
    ("cells", "unit", "values"),
    [
        ([f"{i}.5 kg" if i % 3 else f"{i}00 g" for i in range(40)], "kg (from kg, g)", [0, 1.5, 2.5, 0.3]),
        ([f"{i} m" if i % 3 else f"{i} h" for i in range(40)], "min (from m, h)", [0, 1, 2, 180]),
        ([f"{i} day" if i < 2 else f"{i} days" for i in range(40)], "day", [0, 1, 2, 3]),
        ([f"{i} ft" if i % 3 else "10 inches" for i in range(40)], "ft (from ft, inches)", [10 / 12, 1, 2, 10 / 12]),
        ([f"{i},25%" if i % 3 else f"{i}2,5 ‰" for i in range(40)], "% (from %, ‰)", [0.25, 1.25, 2.25, 3.25]),
        ([f"{i}.5 ‰" if i % 3 else f"{i}%" for i in range(40)], "‰ (from ‰, %)", [0, 1.5, 2.5, 30]),
    ],
)
def test_units_of_one_kind_are_brought_to_the_most_frequent_one(write, cells, unit, values):
    frame, said = read(write, cells)
    np.testing.assert_allclose(frame.columns["h"].values[:4], values, rtol=1e-12)
    assert said[-1] == f"numbers with a unit: `h` in {unit} (data.columns)"


def test_units_that_are_not_converted_and_currencies_are_said(write, caplog):
    _, said = read(write, [f"{i} GB" if i % 2 else f"{i} MB" for i in range(60)])
    assert said[-1] == (
        "numbers in units that are not converted stay text: `h` (MB, GB); write each column in one unit"
    )
    _, said = read(write, [f"{i}th" if i % 2 else f"{i} st" for i in range(60)])
    assert not any("unit" in line for line in said)
    frame, said = read(write, [f"${i},000.50" if i % 2 else f"{i} €" for i in range(40)])
    assert frame.columns["h"].form == "number"
    assert said[-1] == "numbers with a unit: `h` in $ or € (data.columns)"
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "t.csv: column `h` is in $ and €: 1 $ counts as much as 1 €, as none is converted; write it in one currency"
    ]


def test_a_cell_with_another_unit_is_missing_and_said(write):
    frame, said = read(write, [*(f"{i} cm" for i in range(40)), "1 kg"])
    assert np.flatnonzero(frame.columns["h"].missing).tolist() == [40]
    assert said[-1] == "numbers with a unit: `h` in cm but for 1 cell such as `1 kg` (data.columns)"


def test_classes_keep_their_unit_and_a_target_of_many_numbers_does_not(write):
    frame, _ = read(write, [f"{i % 2 + 2}WD" for i in range(60)], target="h")
    assert frame.columns["h"].levels == ("2WD", "3WD")
    frame, _ = read(write, [f"{i} km" for i in range(60)], target="h")
    assert frame.columns["h"].form == "number"


@pytest.mark.parametrize("cell", ["1.170,5 cm", "1.170,5cm", "1170,5 cm", "1.170,5"])
def test_new_rows_are_read_with_the_unit_of_the_training(write, tmp_path, cell):
    cells = [f"1.{i + 150},5 cm" for i in range(60)]
    path = write(["h;y", *(f"{text};{i % 3}" for i, text in enumerate(cells))])
    fitted = Table(path=path, target="y").load(0, Path("nowhere")).pipeline
    pipeline = Pipeline.from_stored(json.loads(json.dumps(fitted.to_json())), fitted.arrays())
    expected = pipeline.encode({"h": [1170.5]}).inputs
    piece = next(iter(pieces(write(["h", cell], "new.csv"), pipeline, {})))
    table = polars.DataFrame({"h": [cell]})
    table.write_parquet(tmp_path / "new.parquet")
    whole = next(iter(pieces(tmp_path / "new.parquet", pipeline, {})))
    for given in (piece.inputs, whole.inputs, table):
        found = pipeline.encode(given)
        assert found.inputs.tolist() == expected.tolist()
        assert not found.unseen
    assert pipeline.encode({"h": ["3 kg"]}).unseen == {"h": 1}
    assert pipeline.encode({"h": ["11,705 m"]}).inputs.tolist() == expected.tolist()


def test_amounts_taken_for_categories_are_found_again_in_new_rows(write):
    path = write(["h;y", *(f"{i % 3 + 1}.50 €;{i % 2}" for i in range(60))])
    pipeline = Table(path=path, target="y", columns={"h": "category"}).load(0, Path("nowhere")).pipeline
    for content in (["h", "2.50 €"], ["h", "2.5"]):
        piece = next(iter(pieces(write(content, "new.csv"), pipeline, {})))
        assert pipeline.rule.encode(piece.inputs).inputs.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("sign", ["%", "‰"])
@pytest.mark.parametrize("others", [[], ["35,5 %"]])
def test_new_rows_in_per_cent_and_per_mille_are_brought_to_what_the_training_has(write, tmp_path, sign, others):
    cells = [f"{i},5 {sign}" for i in range(60)] + others
    path = write(["h;y", *(f"{text};{i % 3}" for i, text in enumerate(cells))])
    fitted = Table(path=path, target="y").load(0, Path("nowhere")).pipeline
    pipeline = Pipeline.from_stored(json.loads(json.dumps(fitted.to_json())), fitted.arrays())
    expected = pipeline.encode({"h": [5.5 if sign == "%" else 55.0]}).inputs
    for cell in ("5,5 %", "55 ‰", "55,0‰"):
        table = polars.DataFrame({"h": [cell, cell]})
        table.write_parquet(tmp_path / "new.parquet")
        for given in (write(["h", cell, cell], "new.csv"), tmp_path / "new.parquet"):
            piece = next(iter(pieces(given, pipeline, {})))
            assert pipeline.encode(piece.inputs).inputs.tolist() == expected.tolist() * 2
        assert pipeline.encode(table).inputs.tolist() == expected.tolist() * 2


@pytest.mark.parametrize(
    ("cell", "other"), [("$1500", "$"), ("¥10", "¥"), ("10 CHF", "CHF"), ("10 EUR", ""), ("10 €", ""), ("10", "")]
)
def test_another_currency_than_in_training_is_said(write, tmp_path, caplog, cell, other):
    path = write(["h,y", *(f'"€ {i + 1},500",{i % 3}' for i in range(40))])
    fitted = Table(path=path, target="y").load(0, Path("nowhere")).pipeline
    pipeline = Pipeline.from_stored(json.loads(json.dumps(fitted.to_json())), fitted.arrays())
    line = f"`h` in {other}, where training had € (not converted)"
    table = polars.DataFrame({"h": [cell, cell]})
    table.write_parquet(tmp_path / "new.parquet")
    for given in (write(["h", cell, cell], "new.csv"), tmp_path / "new.parquet"):
        notes = next(iter(pieces(given, pipeline, {}))).notes
        assert [note for note in notes if "training" in note] == ([line] if other else [])
    caplog.set_level("INFO")
    pipeline.encode(table)
    assert (line in caplog.messages) == bool(other)
    Table(path=path, target="y", test=write(["h,y", f"{cell},1", f"{cell},2"], "test.csv")).load(0, Path("nowhere"))
    assert any(f"test.csv is read so: {line}" == message for message in caplog.messages) == bool(other)
