"""The kind of every column is found from all of its cells, said where it is left out, and overruled by its name."""

import datetime
import json
import logging

import numpy as np
import pytest
from prepared import dataset, raw

from nnlab.data.pipeline import Pipeline
from nnlab.data.summary import summarize
from nnlab.data.table.column import as_column, text_column
from nnlab.data.table.kinds import Finding, Kind, find_kind
from nnlab.data.table.table import Table
from nnlab.data.table.times import parse_times
from nnlab.errors import UserError
from nnlab.runs.examples import pieces

N = 300
DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i * 7 % 366) for i in range(N)]
RNG = np.random.default_rng(1)

COLUMNS = [
    ("height", RNG.standard_normal(N), "number"),
    ("rating", [1 + i % 5 for i in range(N)], "number"),  # a few numbers that code categories stay numbers
    ("year", [1959 + i for i in range(N)], "number"),
    ("grid", [i * 10 for i in range(N)], "number"),
    ("smoker", ["yes", "no"] * (N // 2), "truth"),
    ("newsletter", ["JA", "Nein", "ja", "nein"] * (N // 4), "truth"),
    ("element", ["Si", "N", "F", "N"] * (N // 4), "category"),
    ("flag", [True, False] * (N // 2), "truth"),
    ("city", [f"city {i % 30}" for i in range(N)], "category"),
    ("side", ["left", "right"] * (N // 2), "category"),
    ("code", [f"{i % 40:05d}" for i in range(N)], "category"),
    ("iso", [day.isoformat() for day in DAYS], "time"),
    ("german", [f"{day:%d.%m.%Y}" for day in DAYS], "time"),
    ("us", [f"{day.month}/{day.day}/{day.year}" for day in DAYS], "time"),
    ("stamp", [f"{day.isoformat()}T{i % 24:02d}:15:00Z" for i, day in enumerate(DAYS)], "time"),
    ("quarter", [f"{1980 + i // 4}Q{1 + i % 4}" for i in range(N)], "time"),
    ("named", [f"{day:%b %d %Y}" for day in DAYS], "time"),
    ("note", [f"patient {i} came in late on day {i % 7} and left" for i in range(N)], "text"),
    ("", range(1, N + 1), "identifier"),
    ("row", range(N), "identifier"),
    ("customer_id", RNG.permutation(N) + 15_000_000, "identifier"),
    ("name", [f"Name {i}" for i in range(N)], "identifier"),
    ("userId", [i // 3 for i in range(N)], "identifier"),
    ("same", [7] * N, "constant"),
    ("word", ["x"] * N, "constant"),
    ("empty", [None] * N, "constant"),
]


@pytest.mark.parametrize(("name", "cells", "kind"), COLUMNS, ids=[name or "nameless" for name, _, _ in COLUMNS])
def test_kinds_are_found(name, cells, kind):
    found = find_kind(as_column(name, list(cells)))
    assert found.kind == kind
    assert bool(found.why) == (kind in ("text", "identifier", "constant"))


@pytest.mark.parametrize("words", [["k.A."], ["s/d", "zu klein"]])
def test_a_few_words_among_many_numbers_stand_for_missing_ones_and_that_is_said(words):
    cells = [words[i % len(words)] if i % 9 == 0 else f"{i / 8:.3f}" for i in range(N)]
    found = find_kind(as_column("size", cells))
    assert found.kind == "number"
    assert found.why.startswith("holds numbers, among which ")
    assert all(repr(word) in found.why for word in words)


@pytest.mark.parametrize(
    "cells",
    [
        [f"{i % 40:05d}" if i % 9 else "none of these" for i in range(N)],  # codes
        [f"{i % 12}" if i % 9 else "kindergarten" for i in range(N)],  # a few numbers: classes of a school
        [f"{i % 60}" if i % 3 else f"V{i % 10}" for i in range(N)],  # many words
    ],
)
def test_words_among_numbers_that_are_codes_or_few_make_a_category(cells):
    assert find_kind(as_column("code", cells)).kind == "category"


def test_a_column_of_numbers_and_a_word_is_filled_in_and_so_are_new_rows(write):
    lines = ["size;y", *(f"{'k.A.' if i % 9 == 0 else f'{i / 8:.3f}'.replace('.', ',')};{i % 2}" for i in range(90))]
    data = dataset(write(lines), target="y")
    assert data.input_names == ("size", "size is missing")
    said = "column `size`: holds numbers, among which 'k.A.' stands for missing ones (data.columns)"
    assert any(line.endswith(said) for line in raw(write(lines), target="y").notes)
    found = data.pipeline.rule.encode({"size": ["k.A.", "2.5", "", "unknown", "2.5 cm"]})
    encoded = found.inputs.tolist()
    assert encoded[0] == encoded[2] == encoded[3] == encoded[4]
    assert found.unseen == {"size": 1}
    assert encoded[1] == [2.5, 0.0]
    told = summarize(raw(write(lines), target="y"), data).columns[0]
    assert (told.kind, told.missing, told.low, told.high) == ("number", 10, "0.125", "11.125")


def test_a_day_and_month_that_could_be_the_other_way_round_is_said():
    found = find_kind(as_column("day", ["03/04/2024", "05/06/2024", "07/08/2024", "01/02/2024"]))
    assert found.pattern == "%m/%d/%Y"
    assert "day and month could be the other way round" in found.why


def test_days_as_whole_numbers_are_times_and_that_is_said(write):
    days = [datetime.date(2023, 1, 1) + datetime.timedelta(days=7 * i) for i in range(60)]
    path = write(["day,count,y", *(f"{day:%Y%m%d},{20240300 + 2 * i},{i % 2}" for i, day in enumerate(days))])
    found = raw(path, target="y")
    assert [found.kinds[name].kind for name in ("day", "count")] == ["time", "number"]
    assert any("whole numbers such as 20230101 are read as days (data.columns)" in note for note in found.notes)
    data = dataset(path, target="y")
    new = data.pipeline.rule.encode({"day": [20230108, 20230115.0], "count": [1, 2]}).inputs[:, 0]
    assert (new[1] - new[0]).item() == 7
    told = dataset(path, target="y", columns={"day": "number"}).pipeline.rule
    assert told.encode({"day": [20230108], "count": [1]}).inputs[0, 0] == 20230108


def test_one_word_may_stand_for_most_numbers_of_a_column():
    cells = [f"{i}.5" if i % 4 == 0 else "none given" for i in range(100)]
    found = find_kind(as_column("size", cells))
    assert (found.kind, found.why) == ("number", "holds numbers, among which 'none given' stands for missing ones")


@pytest.fixture
def rowid(write, noise):
    """A nameless column that counts rows, and a table sorted by its class."""
    rows = [f'"{i + 1}",{a},{b},"c{i // 100}"' for i, (a, b) in enumerate(noise[:300, :2])]
    return write(['"","a","b","y"', *rows])


def test_a_nameless_counter_is_left_out_and_said(rowid, caplog):
    caplog.set_level(logging.INFO, "nnlab")
    assert dataset(rowid).input_names == ("a", "b")
    assert "left out: column `column 1`: counts the rows (data.columns={column 1: KIND} takes it)" in caplog.text


def test_the_user_overrules_kinds_by_name(rowid):
    assert dataset(rowid, columns={"column 1": "number", "a": "drop"}).input_names == ("column 1", "b")
    assert dataset(rowid, drop=["b"]).input_names == ("a",)
    assert dataset(rowid, use=["b", "column 1"]).input_names == ("column 1", "b")
    categories = dataset(rowid, columns={"a": "category"}).input_names
    assert len([name for name in categories if name.startswith("a=")]) == 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"aa": "number"}}, r"no column `aa` \(`data.columns`\)"),
        ({"columns": {"a": "numbr"}}, "the kind `numbr`; did you mean `number`"),
        ({"columns": {"y": "number"}}, r"no column `y` \(`data.columns`\)"),
        ({"drop": ["colum 1"]}, "did you mean `column 1`"),
        ({"use": ["d"]}, r"no column `d` \(`data.use`\)"),
        ({"drop": ["a", "b", "column 1"]}, "has no input left beside the target"),
        ({"columns": {"a": "time"}, "use": ["a"]}, "^$"),
    ],
)
def test_wrong_names_and_kinds_are_refused_with_the_nearest(rowid, options, message):
    if message == "^$":
        assert dataset(rowid, **options).input_names[0] == "a days"  # numbers are seconds
        return
    with pytest.raises(UserError, match=message):
        dataset(rowid, **options)


def test_a_counter_that_is_the_only_input_is_one(write):
    path = write(["x,y", *(f"{i},{i * i / 7}" for i in range(60))])
    assert dataset(path).input_names == ("x",)


def test_dummies_and_dates_train(write, noise):
    path = write(
        [
            "a,iso,de,us,y",
            *(
                f"{bool(i % 2)},{day.isoformat()},{day:%d.%m.%Y},{day.month}/{day.day}/{day.year},{noise[i, 0]}"
                for i, day in enumerate(DAYS)
            ),
        ]
    )
    data = dataset(path)
    names = data.input_names
    assert names[0] == "a"
    for name in ("iso", "de", "us"):
        assert [each for each in names if each.startswith(f"{name} ")] == [
            f"{name} days",
            f"{name} sin(month)",
            f"{name} cos(month)",
            f"{name} sin(weekday)",
            f"{name} cos(weekday)",
        ]
    inputs = data.train.inputs
    width = (len(names) - 1) // 3
    assert inputs[:, 1 : 1 + width].equal(inputs[:, 1 + width : 1 + 2 * width])  # all three say the same


def test_rules_are_fitted_on_the_training_rows_alone(write, noise):
    rows = [f"{noise[i, 0]},{'rare' if i == 7 else 'often'},{'pq'[i % 2]}" for i in range(100)]
    for seed in range(20):
        data = dataset(write(["a,word,y", *rows]), seed=seed)
        levels = [name for name in data.input_names if name.startswith("word")]
        assert "word=often" in levels
        trained = any(
            (data.train.inputs[:, data.input_names.index(name)] > 1).any() for name in levels if "rare" in name
        )
        assert trained == ("word=rare" in levels)
    assert raw(write(["a,word,y", *rows])).kinds["word"].kind == "category"


def test_iso_dates_may_stand_beside_another_way_and_other_ways_together_are_said():
    iso = [f"2023-05-{1 + i % 28:02d}" if i % 3 else f"{1 + i % 28:02d}/05/2023" for i in range(56)]
    column = text_column("day", iso)
    found = find_kind(column)
    assert (found.kind, found.pattern) == (Kind.TIME, "%d/%m/%Y")
    assert len(np.unique(parse_times(column, found.pattern))) == 28
    ways = [f"{1 + i % 28:02d}/05/2023" if i % 3 else f"{1 + i % 28} May 2023" for i in range(56)]
    found = find_kind(text_column("day", ways * 3))
    assert found.kind is Kind.CATEGORY
    assert found.why.startswith("holds times written in several ways, such as 01/05/2023 and ")
    assert find_kind(text_column("day", ways)).why.startswith("holds times")


def test_levels_that_are_spelled_alike_are_said():
    found = find_kind(text_column("status", ["open", "OPEN", "closed", "to do"] * 20))
    assert found == Finding(
        Kind.CATEGORY, "`OPEN` and `open` differ in capitals or blanks only; spell one thing one way"
    )
    assert find_kind(text_column("letter", ["a", "A", "b", "B"] * 20)).why == ""


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ([1, 2, 3, 4, 5, 99] * 20, "99"),
        ([1, 2, 3, 4, -9] * 20, "-9"),
        ([*range(18, 90), 999, 999, 999], "999"),
        ([*range(800, 900), -9, -9], "-9"),  # alone below 0
        ([*range(100), -1, -1], "-1"),
        ([-1, 0, 1, 2] * 20, ""),
        ([*range(90), 99, 99], ""),  # as near as others
        ([-9, -5, 3, 8, 20] * 20, ""),
        ([*range(18, 90), 999], ""),  # once
        ([0, 99] * 20, ""),
    ],
)
def test_codes_that_may_stand_for_missing_numbers_are_suspected(numbers, code):
    assert find_kind(as_column("x", np.array(numbers, dtype=float))).code == code


def test_values_that_the_user_calls_missing_are_missing_in_new_rows_too(write, caplog):
    caplog.set_level(logging.INFO)
    rows = [f"{i % 5 if i % 7 else 99};{'ab'[i % 2] if i % 9 else 'k'};{i}.5;{i % 2}" for i in range(70)]
    path = write(["q;g;z;y", *rows])
    dataset(path, target="y")
    assert "may mean that there is none: q: 99; they count as numbers (data.missing={q: 99})" in caplog.text
    for missing in ([99, "k"], {"q": 99, "g": ["k"]}):
        pipeline = dataset(path, target="y", missing=missing).pipeline
        assert pipeline.input_names == ("q", "q is missing", "g=a", "g=b", "g is missing", "z")
        again = Pipeline.from_stored(json.loads(json.dumps(pipeline.to_json())), pipeline.arrays())
        new = write(["z;g;q", "1.5;k;99", "1.5;a;2"], "new.csv")
        piece = next(iter(pieces(new, again, {})))
        table = {"q": [99, 2], "g": ["k", "a"], "z": [1.5, 1.5]}
        for given in (piece.inputs, table):
            assert again.rule.encode(given).inputs[:, 1:5].tolist() == [[1, 0, 0, 1], [0, 1, 0, 0]]
    with pytest.raises(UserError, match=r"has no column `p` \(`data.missing`\)"):
        dataset(path, target="y", missing={"p": 1})


DRAWN = np.random.default_rng(0).permutation(240).astype(float)


def test_marks_among_words_are_said_of_inputs_and_classes_and_codes_of_five_digits(write, caplog):
    caplog.set_level(logging.INFO)
    rows = (
        f"{'--' if i % 9 == 4 else 'ab'[i % 2]},{99999 if i % 10 == 3 else 7 * i},{'no yes - yes'.split()[i % 4]}"
        for i in range(120)
    )
    path = write(["c,income,y", *rows])
    dataset(path, target="y")
    assert "cells that may mean that there is none: y: '-', c: '--'; they count as words of their own" in caplog.text
    assert "there is none: income: 99999; they count as numbers (data.missing={income: 99999})" in caplog.text
    caplog.clear()
    found = dataset(path, target="y", missing={"y": "-", "c": "--", "income": 99999})
    assert found.target_names == ("no", "yes")
    assert "may mean that there is none" not in caplog.text


def test_counters_of_rows_may_begin_anywhere_but_years_stay():
    count = np.arange(240.0)
    assert find_kind(as_column("object", count + 10001)).kind is Kind.IDENTIFIER
    assert find_kind(as_column("Objekt-Nr.", DRAWN + 5000)).kind is Kind.IDENTIFIER
    assert find_kind(as_column("year", count[:100] + 1920)).kind is Kind.NUMBER
    assert find_kind(as_column("income", DRAWN + 5000)).kind is Kind.NUMBER


def test_exponents_of_fortran_are_numbers(write):
    table = dataset(write(["x,y", *(f"{i / 7:.4f}D+0{i % 3},{i % 7}.5" for i in range(40))]), target="y")
    assert table.pipeline.input_names == ("x",)


def test_codes_are_numbers_or_text_and_those_that_no_cell_has_are_said(write, caplog):
    for missing in ([None], [[1, 2]], {"q": None}, {"q": {"r": 1}}, {"q": [[1]]}, True):
        with pytest.raises(UserError, match=r"^`missing` must be a number or text, or a list of them"):
            Table(path="x.csv", missing=missing)
    path = write(["q,g,y", *(f"{i % 5},{'ab'[i % 2]},{['no', 'yes'][i % 2]}" for i in range(40))])
    assert dataset(path, target="y", missing=1).pipeline.input_names[1] == "q is missing"
    caplog.clear()
    dataset(path, target="y", missing={"q": [4, -8], "g": "c"})
    dataset(path, target="y", missing=["b", 4, -9, "NA"])
    said = ["no cell of `q` is `-8`", "no cell of `g` is `c`", "no cell is `-9`"]
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warnings == [f"table.csv: {line} (data.missing)" for line in said]


def test_a_code_among_the_targets_is_said_and_named_where_a_logarithm_needs_numbers_above_zero(write, caplog):
    caplog.set_level(logging.INFO)
    path = write(["x,y", *(f"{i / 7},{-99 if i % 15 == 3 else 40 + i % 83 * 1.5}" for i in range(300))])
    wanted = "data.missing={y: -99}"
    dataset(path, target="y")
    assert f"there is none: y: -99; they count as numbers ({wanted} leaves rows without `y` out)" in caplog.text
    with pytest.raises(UserError, match=f"needs targets above 0, .* if -99 means .* `{wanted}` leaves these rows out"):
        dataset(path, target="y", target_transform="log")
    caplog.clear()
    train, test = write(["x,y", *(f"{i},{i}" for i in range(1, 9))]), write(["x,y", "1,5", "2,-9", "3,-9"], "other.csv")
    with pytest.raises(UserError, match=r"other.csv: `data.target_transform=log` .* but 2 of the 3 values of `y` are"):
        dataset(train, target="y", target_transform="log", test=test)
    path = write(["x,y", *(f"{i / 7},{-99 if i % 15 == 3 else 40 + i % 83 * 1.5}" for i in range(300))])
    data = dataset(path, target="y", target_transform="log", missing={"y": -99})
    assert len(data.train) + len(data.validation) + len(data.test) == 280
    assert "20 of 300 rows have no target and are left out" in caplog.text
    assert "there is none" not in caplog.text
