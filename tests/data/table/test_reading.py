"""Any dialect, encoding, compression and format gives the same columns; what was guessed is said with its key."""

import bz2
import datetime
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path

import numpy as np
import polars
import pytest
import zstandard

from nnlab.data.table.amounts import amount_of
from nnlab.data.table.delimited import TextOptions, stream_frames
from nnlab.data.table.reading import frames, read_table
from nnlab.data.table.spool import Spool
from nnlab.errors import UserError

HEADER = ["x", "z", "y"]
ROWS = [[f"{i / 8 - 3:.3f}", f"{(i * 7) % 11 + 0.5}", "yes" if i % 3 else "no"] for i in range(60)]


def lines(separator=",", header=True, quote="", end=""):
    cells = [HEADER, *ROWS] if header else ROWS
    return [separator.join(f"{quote}{cell}{quote}" for cell in row) + end for row in cells]


def read(path, **options):
    return read_table(Path(path), TextOptions(**options))


def check(frame, names=HEADER):
    """The columns are those of ROWS."""
    assert list(frame.columns) == list(names)
    x, z, y = frame.columns.values()
    assert x.numbers().tolist() == [float(row[0]) for row in ROWS]
    assert z.numbers().tolist() == [float(row[1]) for row in ROWS]
    assert [y.levels[code] for code in y.values] == [row[2] for row in ROWS]


@pytest.mark.parametrize("quote", ["", '"', "'"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "  ", "   \t ", ", ", " ; "])
def test_separators_and_quotes_are_found(write, separator, quote):
    frame, _ = read(write(lines(separator, quote=quote)))
    check(frame)


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_an_empty_cell_between_tabs_before_or_behind_a_quoted_one_is_a_cell(write, quote):
    cells = [("", f"w {i % 3}", "") if i % 2 else ("1", "w 1", "2") for i in range(40)]
    content = ["a\tb\tc\td", *(f"{i}.5\t{b}\t{quote}{c}{quote}\t{d}" for i, (b, c, d) in enumerate(cells))]
    frame, _ = read(write(content, "table.tsv"))
    assert frame.columns["c"].levels == ("w 0", "w 1", "w 2")
    assert all(frame.columns[name].missing.tolist() == [bool(i % 2) for i in range(40)] for name in "bd")


def test_words_of_several_blanks_apart_may_hold_single_blanks(write):
    content = ["  id      education  black", *(f"  {i}   {12 + i % 3}-15 years   No" for i in range(30))]
    frame, said = read(write(content, "divorce.dat"))
    assert frame.columns["education"].levels == ("12-15 years", "13-15 years", "14-15 years")
    assert said == ("cells are separated by two blanks or more (data.separator)",)


def test_a_decimal_comma_is_read_beside_semicolons(write):
    content = [line.replace(".", ",") for line in lines(";")]
    frame, said = read(write(content))
    check(frame)
    assert said == ("cells are separated by semicolon (data.separator)", "decimal comma (data.decimal)")
    content[5] = content[5].replace(content[5].split(";")[0], "n/a")
    assert np.isnan(read(write(content))[0].columns["x"].numbers()[4])


@pytest.mark.parametrize(
    "content",
    [
        ["# measured 2024", "#", *lines()],
        [*lines()[:9], "# a pause", *lines()[9:]],
        ["", *lines()[:9], "", "   ", *lines()[9:], ""],
        [line + "," for line in lines()],
        [lines()[0], *(line + "," for line in lines()[1:])],
    ],
)
def test_comments_blank_lines_and_trailing_separators_are_no_cells(write, content):
    check(read(write(content))[0])


def test_a_comment_that_names_the_columns_is_a_header(write):
    frame, said = read(write(["# x z y", *lines(" ", header=False)]))
    check(frame)
    assert "the comment `# x z y` names the columns (data.header)" in said


@pytest.mark.parametrize("mark", ["#", "%", "//"])
def test_a_few_words_that_begin_as_comments_are_rows_and_comments_between_rows_are_said(write, mark):
    rows = [f"{mark if i % 25 == 3 else 'A'}{i % 9},{i}.5,{i % 3}" for i in range(100)]
    frame, said = read(write(["code,x,y", *rows]))
    assert (len(frame), said) == (100, ())
    assert frame.columns["code"].levels[0][: len(mark)] == mark
    rows = [f"{mark if i == 30 else ''}{i}.5,{i % 3}" for i in range(60)]
    frame, said = read(write(["x,y", *rows]))
    assert len(frame) == 59
    assert said == (f"lines that begin with {mark} are comments, no rows (a cell that begins so stands in quotes)",)


def test_values_that_begin_with_a_hash_are_no_comments(write):
    content = ["color,size", *(f"#{i % 7}f0,{i}.5" for i in range(40))]
    assert len(read(write(content))[0]) == 40


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-32", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_encodings_are_found(write, encoding):
    content = "\n".join(lines()).replace("yes", "größer").replace("no", "nö")
    frame, said = read(write(content, encoding=encoding))
    assert frame.columns["y"].levels == ("größer", "nö")
    assert any("(data.encoding)" in line for line in said) == (encoding != "utf-8-sig")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read(write, end):
    check(read(write((end.join(lines()) + end).encode()))[0])


COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.compress(data),
}


@pytest.mark.parametrize("suffix", [*COMPRESS, ".zip"])
@pytest.mark.parametrize("name", ["T.CSV", "t.data"])
def test_compressed_files_of_any_case_are_read(write, tmp_path, suffix, name):
    content = "\n".join(lines()).encode()
    path = tmp_path / f"{name}{suffix.upper()}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, content)
            archive.writestr(f"__MACOSX/._{name}", b"")
    else:
        path.write_bytes(COMPRESS[suffix](content))
    check(read(path)[0])


def table():
    return polars.DataFrame(
        {"x": [float(r[0]) for r in ROWS], "z": [float(r[1]) for r in ROWS], "y": [r[2] for r in ROWS]}
    )


def arff():
    kinds = ["@relation t", "@attribute x numeric", "@attribute 'z' real", "@attribute y {yes,no}", "@data"]
    return "\n".join(["% a comment", *kinds, *lines(header=False)])


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".arrow", ".xlsx", ".json", ".jsonl", ".arff"])
def test_other_formats_give_the_same_columns(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    writers = {
        ".parquet": lambda: table().write_parquet(path),
        ".feather": lambda: table().write_ipc(path),
        ".arrow": lambda: table().write_ipc_stream(path),
        ".json": lambda: path.write_text(json.dumps(table().to_dicts())),
        ".jsonl": lambda: table().write_ndjson(path),
        ".arff": lambda: path.write_text(arff()),
        ".xlsx": lambda: write_excel(path),
    }
    writers[suffix]()
    check(read(path)[0])


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_lengths_of_time_are_seconds_whatever_a_file_counts_in(tmp_path, unit):
    path = tmp_path / "t.parquet"
    waits = polars.Series("wait", [datetime.timedelta(minutes=2), None], polars.Duration(unit))
    opened = polars.Series("opened", [datetime.time(1, 0, 0), None])
    polars.DataFrame([waits, opened]).write_parquet(path)
    columns = read(path)[0].columns
    assert columns["wait"].values[0] == 120
    assert columns["opened"].values[0] == 3600
    assert np.isnan([columns[name].values[1] for name in columns]).all()


def test_cells_of_bytes_that_are_no_text_are_read(tmp_path):
    path = tmp_path / "t.parquet"
    polars.DataFrame({"key": [b"\xff\x00", b"\x10", None]}).write_parquet(path)
    key = read(path)[0].columns["key"]
    assert [None if code < 0 else key.levels[int(code)] for code in key.values] == ["ff00", "10", None]


def test_parquet_read_in_pieces_of_columns_has_the_cells_of_the_whole(tmp_path, monkeypatch):
    path, count = tmp_path / "t[1].parquet", 50
    draw = np.random.default_rng(0)
    polars.DataFrame(
        {
            "^number$": draw.normal(size=count),
            "whole": [None if i % 7 == 0 else i for i in range(count)],
            "text": [None if i % 9 == 0 else f"word {i % 4 + i // 20}" for i in range(count)],
            "amounts": [f"{i},000" for i in range(count)],
            "truth": [None if i < 20 else i % 2 == 0 for i in range(count)],
            "day": [datetime.date(2024, 1, 1 + i % 28) for i in range(count)],
            "kind": polars.Series([f"k{i % 3}" for i in range(count)], dtype=polars.Categorical),
            "list": [[i % 3] for i in range(count)],
            "nothing": [None] * count,
        }
    ).write_parquet(path, row_group_size=15)
    whole = read(path)[0]
    monkeypatch.setattr("nnlab.data.table.formats.ROWS", 8)
    (tmp_path / "spool").mkdir()
    pieces, _ = read_table(path, TextOptions(), Spool(tmp_path / "spool"))
    assert list(pieces.columns) == list(whole.columns)
    for name, column in whole.columns.items():
        assert (pieces.columns[name].form, pieces.columns[name].levels) == (column.form, column.levels)
        np.testing.assert_array_equal(pieces.columns[name].values, column.values)


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        (".json", "t.json takes 1.4e-05 GB"),
        (".xlsx", "as .csv or .parquet it is read in pieces"),
        (".arff", "and 1e-06 GB are free"),
        (".feather", "t.feather takes"),
    ],
)
def test_a_file_that_is_read_at_once_needs_the_memory(tmp_path, monkeypatch, suffix, words):
    monkeypatch.setattr("nnlab.device.free_memory", lambda device: 1000)
    path = tmp_path / f"t{suffix}"
    path.write_bytes(bytes(2000))
    with pytest.raises(UserError, match=words):
        read(path)


def test_parquet_is_not_begun_where_polars_would_end_the_process(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    table().write_parquet(path)
    monkeypatch.setattr("nnlab.device.free_memory", lambda device: 100_000_000)
    with pytest.raises(UserError, match=r"t.parquet takes 0.16 GB of memory or more, and 0.1 GB are free$"):
        read_table(path, TextOptions(), Spool(tmp_path))


def write_excel(path, above=()):
    """The smallest workbook that holds the table, texts in the cells themselves; `above` it rows of other cells."""
    cells = [*above, HEADER, *ROWS]
    rows = "".join(f'<row r="{at}">{"".join(map(excel_cell, row))}</row>' for at, row in enumerate(cells, 1) if row)
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType='
        '"application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type='
        f'"{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {space} xmlns:r="{office}"><sheets><sheet name="a" sheetId="1" r:id="r1"/>'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type='
        f'"{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def excel_cell(text):
    number = text.replace(".", "").replace("-", "").isdigit()
    return f"<c><v>{text}</v></c>" if number else f'<c t="inlineStr"><is><t>{text}</t></is></c>'


@pytest.mark.parametrize("above", [[["Report"]], [["Report of 3 May"], [], []], [[], []]])
def test_titles_above_the_names_in_a_sheet_are_left_out_and_said(tmp_path, above):
    write_excel(tmp_path / "t.xlsx", above)
    frame, said = read(tmp_path / "t.xlsx")
    check(frame)
    titles = "the first row is none: it is a title" if len(above) == 1 else "the first 3 rows are none: they are titles"
    assert said == ((f"{titles} (data.header)",) if any(above) else ())
    assert frame.place(4) == "row 5 below the names"


def test_json_of_columns_and_of_nested_records_are_tables(write):
    columns = json.dumps({"a": [1, 2, None], "b": ["p", "q", "p"]})
    assert read(write(columns, "c.json"))[0].columns["a"].missing.tolist() == [False, False, True]
    nested = json.dumps([{"a": {"b": i, "c": "x"}} for i in range(5)])
    assert list(read(write(nested, "n.json"))[0].columns) == ["a.b", "a.c"]
    split = json.dumps({"columns": ["a", "b"], "index": [7, 8], "data": [[1, "p"], [2, "q"]]})
    assert read(write(split, "s.json"))[0].columns["a"].numbers().tolist() == [1, 2]


@pytest.mark.parametrize("name", ["one.jsonl", "one.json"])
def test_a_single_record_of_json_is_a_table_of_one_row(write, name):
    frame, _ = read(write(json.dumps({"a": 1.5, "b": "p", "c": {"d": None}}) + "\n", name))
    assert len(frame) == 1
    assert list(frame.columns) == ["a", "b", "c.d"]
    assert frame.columns["a"].numbers().tolist() == [1.5]


def test_a_record_of_json_may_hold_a_list_and_a_table_may_stand_in_a_field(write):
    frame, _ = read(write(json.dumps({"a": 1.5, "tags": ["p", "q"], "more": [1]}), "one.json"))
    assert {name: column.values[0] for name, column in frame.columns.items() if column.form == "number"} == {"a": 1.5}
    assert frame.columns["tags"].levels == ('["p", "q"]',)
    rows = [{"x": i, "y": "pq"[i % 2]} for i in range(5)]
    frame, _ = read(write(json.dumps({"version": 3, "columns": ["x", "y"], "rows": rows}), "table.json"))
    assert frame.columns["x"].numbers().tolist() == [0, 1, 2, 3, 4]


def test_sparse_rows_of_svmlight_are_columns(write):
    frame, _ = read(write(["1 1:0.5 3:2", "-1 2:1.5", "1 1:1"], "t.svm"))
    assert frame.columns["target"].numbers().tolist() == [1, -1, 1]
    assert frame.columns["0"].numbers().tolist() == [0.5, 0, 1]


@pytest.mark.parametrize(
    ("top", "named"),
    [
        ("2018,2019,2020", ["2018", "2019", "2020"]),
        ("0,1,2", ["0", "1", "2"]),
        ('"","a","b"', ["column 1", "a", "b"]),
        ("a,a,b", ["a", "a (2)", "b"]),
        ("0.5,1.5,2.5", None),
        ("150,2,setosa", None),
    ],
)
def test_headers_are_told_from_rows(write, noise, top, named):
    rows = [",".join(map(str, row[:3])) for row in noise[:150]]
    frame, said = read(write([top, *rows]))
    assert list(frame.columns) == (named or ["0", "1", "2"])
    assert len(frame) == (151 if top.startswith("0.5") else 150)
    guessed = top[0].isdigit()
    assert any("(data.header)" in line for line in said) == guessed


def test_a_line_that_counts_rows_and_inputs_is_left_out_and_named(write):
    content = ["60,2,setosa,versicolor,virginica", *(f"{i / 4},{i / 8},{i % 3}" for i in range(60))]
    frame, said = read(write(content))
    assert len(frame) == 60
    assert "line 1 (60, 2, setosa, versicolor, virginica) is no row: it counts rows and columns (data.header)" in said


def test_names_of_rows_above_which_r_writes_no_name_are_a_column(write, noise):
    content = ["a,b", *(f"r{i},{a},{b}" for i, (a, b) in enumerate(noise[:30, :2]))]
    assert list(read(write(content))[0].columns) == ["column 1", "a", "b"]


def test_what_the_user_says_overrules_every_guess(write, noise):
    numbers = [",".join(map(str, row[:3])) for row in noise[:30]]
    assert list(read(write(["2018,2019,2020", *numbers]), header=False)[0].columns) == ["0", "1", "2"]
    assert list(read(write(numbers), header=True)[0].columns) == numbers[0].split(",")
    assert len(read(write(lines(";")), separator=",")[0].columns) == 1
    assert read(write(lines(";")), separator="semicolon")[1] == ()
    assert read(write("\n".join(lines()).replace("no", "né"), encoding="cp850"), encoding="cp850")[0].columns[
        "y"
    ].levels == ("né", "yes")


@pytest.mark.parametrize("first", ["inf", "NA", "", "-inf"])
def test_a_column_of_numbers_stays_one_whatever_its_first_cell(write, noise, first):
    frame, _ = read(write(["a,b", f"{first},1", *(f"{a},{b}" for a, b in noise[:, :2])]))
    assert frame.columns["a"].form == "number"
    assert frame.columns["a"].missing.tolist() == [True] + [False] * 400


def test_a_word_far_down_makes_a_column_text_and_a_mark_of_missing_does_not(write):
    rows = [f"{i}.5,{i}" for i in range(3000)]
    frame, _ = read(write(["a,b", *rows, "none,1", "-,2"]))
    assert frame.columns["a"].form == "number"
    assert frame.columns["a"].missing.sum() == 2
    frame, _ = read(write(["a,b", *rows, "many,1"]))
    assert frame.columns["a"].form == "text"
    assert frame.columns["a"].levels[-1] == "many"
    assert "7.5" in frame.columns["a"].levels


def test_thousands_currency_and_per_cent_are_numbers_and_leading_zeros_are_not(write):
    frame, _ = read(write(["a;b;c", *(f"$1,{i:03d}.50;{i}%;0{i}" for i in range(100, 150))]))
    assert frame.columns["a"].numbers()[:2].tolist() == [1100.5, 1101.5]
    assert frame.columns["b"].numbers()[:2].tolist() == [100, 101]
    assert frame.columns["c"].levels[:2] == ("0100", "0101")


def cells_of(column):
    return column.numbers()[:3].tolist()


def test_amounts_of_a_table_with_decimal_commas_are_numbers(write):
    rows = [f"{i % 9 + 1}.234,5{i % 10} €;{i},5 %;1.{i + 100};{i + 1}.01.2024;x{i},{i}" for i in range(30)]
    frame, said = read(write(["a;b;c;d;e", *rows[:1], *rows, *rows]))
    assert said[1:] == ("decimal comma (data.decimal)", "numbers with a unit: `a` in €, `b` in % (data.columns)")
    assert cells_of(frame.columns["a"]) == [1234.5, 1234.5, 2234.51]
    assert cells_of(frame.columns["b"]) == [0.5, 0.5, 1.5]
    assert cells_of(frame.columns["c"]) == [1100, 1100, 1101]
    assert frame.columns["d"].form == frame.columns["e"].form == "text"
    assert "x3,3" in frame.columns["e"].levels


def test_thousands_with_points_far_below_the_sample_are_read_as_such(write):
    rows = [f"{i / 4:.2f}".replace(".", ",") + ";yes" for i in range(5000)]
    frame, _ = read(write(["x;y", *rows, "1.234;no", "12.345,25;no"]))
    assert frame.columns["x"].numbers()[[1, -2, -1]].tolist() == [0.25, 1234, 12345.25]


def test_decimal_commas_in_quotes_are_read_between_commas_too_and_thousands_are_not_taken_for_them(write):
    frame, said = read(write(["a,b", *(f'"{i},5","{i % 4}"' for i in range(30))]))
    assert said == ("decimal comma (data.decimal)",)
    assert cells_of(frame.columns["a"]) == [0.5, 1.5, 2.5]
    frame, said = read(write(["a\tb", *(f"{i + 1},250\t{i}" for i in range(30))]))
    assert said == ("decimal point, though no number shows it: `1,250` is read as 1250 (data.decimal)",)
    assert cells_of(frame.columns["a"]) == [1250, 2250, 3250]


@pytest.mark.parametrize(
    ("separator", "text", "words", "value"),
    [
        (";", "1.234", "decimal point, though no number shows it: `1.234` is read as 1.234 (data.decimal)", 1.234),
        (";", "1,234", "decimal comma, though no number shows it: `1,234` is read as 1.234 (data.decimal)", 1.234),
        (",", "1.234", None, 1.234),
        (";", "1.234.567", "decimal comma (data.decimal)", 1234567),
        (";", "1,234,567", None, 1234567),
        (";", "1.234E+05", None, 123400),
    ],
)
def test_a_table_whose_numbers_may_be_read_either_way_says_so(write, separator, text, words, value):
    frame, said = read(write([f"a{separator}b", *(f"{text}{separator}{i}" for i in range(30))]))
    assert frame.columns["a"].numbers()[0] == value
    assert said[separator == ";" :] == (() if words is None else (words,))


def test_a_column_that_shows_its_decimal_sign_keeps_it(write):
    rows = [f"{i % 9 + 40}.{i:03d}{'' if i % 5 else '71'};{i},5;{i % 7 + 1}.250" for i in range(100)]
    frame, said = read(write(["latitude;price;sum", *rows]))
    assert said[1:] == ("decimal comma, but a point in `latitude` (data.decimal)",)
    assert cells_of(frame.columns["latitude"]) == [40.00071, 41.001, 42.002]
    assert cells_of(frame.columns["price"]) == [0.5, 1.5, 2.5]
    assert cells_of(frame.columns["sum"]) == [1250, 2250, 3250]


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("spooled", [False, True])
def test_numbers_among_the_texts_of_other_formats_may_have_a_decimal_comma(tmp_path, suffix, spooled):
    content = polars.DataFrame({"a": ["1,5", "2,25"] * 20, "b": ["1.234", None] * 20, "c": ["x", "y"] * 20})
    path = tmp_path / f"t{suffix}"
    content.write_parquet(path) if suffix == ".parquet" else path.write_text(json.dumps(content.to_dicts()))
    frame, said = read_table(path, TextOptions(), Spool(tmp_path) if spooled else None)
    assert said == ("decimal comma (data.decimal)",)
    assert frame.columns["a"].values[:2].tolist() == [1.5, 2.25]
    assert frame.columns["b"].values[0] == 1234
    assert frame.columns["c"].levels == ("x", "y")


@pytest.mark.parametrize(
    ("text", "value"),
    [("CHF 1'234.50", 1234.5), ("1\u202f234,5 €", 1234.5), ("\u22123.5", -3.5), ("-$5", -5), ("12,34,567", 1234567)]
    + [("4,5 %", 4.5), ("EUR5", 5), ("5 kr", 5)]
    + [(word, np.nan) for word in ("1,2", "1,2,3", "--5", "030 123 456", "5 cm", "krone 5", "$", "12.3.4")],
)
def test_amounts_are_read_where_they_can_be_nothing_else(text, value):
    np.testing.assert_equal(amount_of(text), value)


def test_rows_of_units_below_the_header_are_left_out_and_said(write):
    frame, said = read(write([lines()[0], "[cm],[kg],[-]", "how far?,how heavy?,really?", *lines()[1:]]))
    check(frame)
    assert said == tuple(
        f"line {line} ({text}) is no row: it says more about the columns (data.header)"
        for line, text in ((2, "[cm], [kg], [-]"), (3, "how far?, how heavy?, really?"))
    )
    frame, said = read(write(["a,b", "oops,x", *(f"{i},x" for i in range(30))]))
    assert (len(frame), said) == (31, ())


def test_a_header_that_stands_again_between_the_rows_of_joined_files_is_left_out_and_said(write, caplog):
    caplog.set_level("INFO", "nnlab")
    frame, _ = read(write([*lines(), *lines()]))
    assert len(frame) == 2 * len(ROWS)
    assert frame.columns["x"].form == "number"
    assert "the header stands again in 1 of its rows, which are left out" in caplog.text


def test_quoted_cells_hold_separators_quotes_and_line_ends_also_across_pieces(write):
    rows = [f'"a,{i % 3}","say ""{i % 2}""","two\nlines",{i}.5' for i in range(200)]
    path = write(["p,q,r,s", *rows])
    frame, _ = read(path)
    assert frame.columns["p"].levels == ("a,0", "a,1", "a,2")
    assert frame.columns["q"].levels == ('say "0"', 'say "1"')
    assert frame.columns["r"].levels == ("two\nlines",)
    with open(path, "rb") as stream:
        parts = [part for part, _ in stream_frames(stream, "s", TextOptions(), size=500)]
    assert len(parts) > 5
    assert np.concatenate([part.columns["s"].numbers() for part in parts]).tolist() == [i + 0.5 for i in range(200)]


@pytest.mark.parametrize("size", [64, 300, 1 << 23])
def test_pieces_of_any_size_give_the_same_table(write, size, monkeypatch):
    monkeypatch.setattr("nnlab.data.table.delimited.BLOCK", size)
    monkeypatch.setattr("nnlab.data.table.delimited.text_frames.__defaults__", (size,))
    check(read(write(lines()))[0])


def test_predictions_read_files_and_streams_in_pieces(write):
    path = Path(write(lines()))
    assert [len(part) for part, _ in frames(path, TextOptions(), rows=25)] == [25, 25, 10]
    with path.open("rb") as stream:
        assert sum(len(part) for part, _ in frames(stream, TextOptions(), rows=25)) == 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [*rows[:20], "1,2", *rows[20:]], "line 21 has 2 cells, where the table has 3 columns"),
        (lambda rows: [*rows[:20], "1,2,3,4", *rows[20:]], "line 21 has 4 cells, where the table has 3 columns"),
        (lambda rows: [], "is empty; it needs rows of cells"),
        (lambda rows: rows[:1], "has a header but no rows of data"),
    ],
)
def test_damaged_tables_are_refused_with_their_line(write, change, message):
    with pytest.raises(UserError, match=message):
        read(write(change(lines())))


def test_files_that_are_no_tables_are_refused_in_a_sentence(write, tmp_path):
    for name, content, message in [
        ("t.doc", b"x", r"must end in \.csv"),
        ("t.json", b"{1", "is no JSON"),
        ("t.json", b"[1, 2]", "holds no table"),
        ("t.parquet", b"x", "cannot read"),
        ("t.xlsx", b"PKx", "cannot read"),
        ("t.csv.gz", b"x", "damaged or cut off"),
        ("t.zip", b"x", "cannot read"),
        ("t.arff", b"x", "is no ARFF file"),
        ("t.svm", b"x y", "cannot read"),
    ]:
        with pytest.raises(UserError, match=message):
            read(write(content, name))
    with pytest.raises(UserError, match="does not exist"):
        read(tmp_path / "no.csv")
    with pytest.raises(UserError, match="is a folder; `data=image_folder` reads"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [row + "\r\r" for row in rows], None),
        (lambda rows: [rows[0] + ",", *rows[1:]], None),
        (lambda rows: [rows[0], "---,---,---", *rows[1:]], "line 2 (---, ---, ---) is no row: it says more"),
        (lambda rows: ["Measured,,", *rows], "line 1 (Measured) is no row: it is a title"),
    ],
)
def test_odd_lines_about_the_table_lose_no_row(write, change, said):
    frame, notes = read(write(change(lines())))
    check(frame)
    assert [note.startswith(said) for note in notes] == ([] if said is None else [True])


def test_names_that_span_columns_stand_above_those_of_the_columns(write):
    rows = [f"{i}.5,{i % 7},{i % 3},{i}.25,{'ab'[i % 2]}" for i in range(30)]
    for target in (None, "y"):
        frame, said = read(write(["2019,,2020,,", "men,women,men,women,y", *rows]), target=target)
        assert list(frame.columns) == ["2019 men", "2019 women", "2020 men", "2020 women", "y"]
        assert len(frame) == 30
        assert said[0].startswith("line 1 (2019, 2020) is no row")


@pytest.mark.parametrize("separator", [":", "~", "^", "\x01"])
def test_rare_separators_are_found_where_no_other_is(write, separator):
    frame, said = read(write(lines(separator)))
    check(frame)
    assert said[0].startswith("cells are separated by ")


def test_quotes_within_cells_are_letters(write):
    frame, _ = read(
        write(["size,name,y", *(f'A{10 + i % 3}",the "{i % 2}" one,{i}.5' for i in range(40)), 'A7","a, b",1'])
    )
    assert frame.columns["size"].levels == ('A10"', 'A11"', 'A12"', 'A7"')
    assert frame.columns["name"].levels == ("a, b", 'the "0" one', 'the "1" one')
    assert cells_of(frame.columns["y"]) == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_digits_that_no_float_holds_stay_text(tmp_path, suffix):
    ids = [900_719_925_474_099_301 + i for i in range(30)]
    table = polars.DataFrame({"key": ids, "n": [i * 10**17 for i in range(30)], "y": [0.5] * 30})
    path = tmp_path / f"t{suffix}"
    writers = {".csv": table.write_csv, ".parquet": table.write_parquet, ".json": table.write_json}
    writers[suffix](path)
    columns = read(path)[0].columns
    assert [columns["key"].levels[code] for code in columns["key"].values] == list(map(str, ids))
    assert columns["n"].values.tolist() == [i * 1e17 for i in range(30)]


def test_a_title_above_the_header_is_left_out_and_said(write):
    frame, said = read(write(["Report of sales,,", *lines()]))
    check(frame)
    assert said == ("line 1 (Report of sales) is no row: it is a title (data.header)",)


@pytest.mark.parametrize("size", range(1 << 18, (1 << 18) + 4))
def test_a_letter_that_the_first_piece_cuts_is_utf_8_all_the_same(write, size):
    content = "\n".join(["x,y", *("ää,ö" for _ in range(60_000))]).encode()
    with io.BytesIO(content) as stream:
        said = [said for _, said in stream_frames(stream, "s", TextOptions(header=True), size=size)]
    assert len(said) > 1
    assert not any("data.encoding" in line for lines in said for line in lines)


@pytest.mark.parametrize("line", ['"1,2,yes', '1,"2,yes'])
def test_a_quote_that_is_never_closed_is_refused(write, line):
    with pytest.raises(UserError, match=r"line 10 has \d cells?, where the table has 3 columns"):
        read(write([*lines()[:9], line, *lines()[9:]]))


def test_a_first_row_of_numbers_with_decimal_commas_is_no_header(write):
    frame, said = read(write([f"0,{100 + i};{i % 9},5;{'yes' if i % 2 else 'no'}" for i in range(40)]))
    assert len(frame) == 40
    assert any("no header" in line for line in said)


def test_web_pages_and_old_sheets_are_named_for_what_they_are(write):
    with pytest.raises(UserError, match="is a web page"):
        read(write("\n<!DOCTYPE html>\n<html><body>404 not found, sorry</body></html>"))
    with pytest.raises(UserError, match=r"is no \.xlsx file inside"):
        read(write(b"\xd0\xcf\x11\xe0 old", "t.xlsx"))
