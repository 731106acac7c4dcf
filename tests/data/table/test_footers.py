"""What stands below a table is left out and said: totals by arithmetic, notes where they cannot be rows."""

from pathlib import Path

import numpy as np
import pytest

from nnlab.data.table.column import Column, Frame, narrowed, text_column
from nnlab.data.table.delimited import TextOptions
from nnlab.data.table.footer import without_notes
from nnlab.data.table.reading import frames, read_table
from nnlab.data.table.totals import without_totals
from nnlab.errors import UserError

BODY = [f"{1000 + i},{'ab'[i % 2]},{i * 7 % 23},{i * 1.25:.2f}" for i in range(40)]
COUNTS, AMOUNTS = [i * 7 % 23 for i in range(40)], [i * 1.25 for i in range(40)]
SUM, MEAN = (sum(COUNTS), sum(AMOUNTS)), (np.mean(COUNTS), np.mean(AMOUNTS))


def read(write, rows, name="table.csv", **options):
    return read_table(Path(write(rows, name)), TextOptions(**options))


@pytest.mark.parametrize(
    ("below", "said"),
    [
        (["Source: city of X, 2023"], "line 42 (Source: city of X, 2023) is no row: it stands below"),
        (["", "(1,234 rows affected)"], "line 43 ((1,234 rows affected)) is no row"),
        (["-- end of report --,,,"], "line 42 (-- end of report --) is no row"),
        (['"Source: X, 2023",,,'], "line 42 (Source: X, 2023) is no row"),
        (["as of May,,,"], "line 42 (as of May) is no row"),  # words where the table has numbers
        (["", "all in thousands", "and rounded,", "", "x"], "lines 43 to 46 (all in thousands ...) are no rows"),
        ([",,,", "40 rows selected.", ""], "line 43 (40 rows selected.) is no row"),
        ([f"Total,,{SUM[0]},{SUM[1]:.2f}"], "line 42 (Total) is no row: it holds the sums of the columns above"),
        ([f"ΣΣ,,{SUM[0]},"], "line 42 (ΣΣ) is no row: it holds the sums"),
        ([f",,{SUM[0]},{SUM[1]:.1f}"], "line 42 is no row: it holds the sums"),
        ([f"Summe,,{SUM[0]},{MEAN[1]:.2f}"], "line 42 (Summe) is no row: it holds the sums"),
        ([f"Mittelwert,,{MEAN[0]:.1f},{MEAN[1]:.2f}"], "line 42 (Mittelwert) is no row: it holds the means"),
        (["max,,22,48.75"], "line 42 (max) is no row: it holds the maxima"),
        ([f"Total,,{SUM[0]},{SUM[1]:.0f}"], "line 42 (Total) is no row: it holds the sums"),  # in whole numbers
        ([f"Std. dev.,,{np.std(COUNTS, ddof=1):.2f},{np.std(AMOUNTS):.3f}"], "line 42 (Std. dev.) is no row: it holds"),
    ],
)
def test_what_stands_below_a_table_is_left_out_and_said(write, below, said):
    frame, notes = read(write, ["id,group,count,amount", *BODY, *below])
    assert len(frame) == 40
    assert frame.columns["id"].values.tolist() == list(range(1000, 1040))
    assert frame.columns["count"].values.tolist() == COUNTS
    assert notes[-1].startswith(said)
    assert notes[-1].endswith("(data.footer)")


def test_several_totals_stand_above_a_note_and_predictions_leave_them_out_too(write):
    total, mean = f"Total,,{SUM[0]},{SUM[1]:.2f}", f"Average,,{MEAN[0]:.3f},{MEAN[1]:.2f}"
    path = Path(write(["id,group,count,amount", *BODY, total, mean, "", "Note: all"]))
    frame, notes = read_table(path, TextOptions())
    assert len(frame) == 40
    assert [note.split()[1] for note in notes] == ["45", "42", "43"]
    pieces = list(frames(path, TextOptions(expected=frame.writing)))
    assert [len(piece) for piece, _ in pieces] == [40]
    assert set(notes) <= set(pieces[0][1])


GROUPS = [("North", BODY[:9]), ("South", BODY[9:10]), ("East", BODY[10:25]), ("West", BODY[25:])]


def totals(word, start, end, group=""):
    return f"{word},{group},{sum(COUNTS[start:end])},{sum(AMOUNTS[start:end]):.2f}"


NAMED = [
    totals(f"Subtotal {name}", a, b) for (name, _), a, b in zip(GROUPS, (0, 9, 10, 25), (9, 10, 25, 40), strict=True)
]
BELOW = [row for (_, rows), total in zip(GROUPS, NAMED, strict=True) for row in (*rows, total)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [r for (_, g), t in zip(GROUPS, NAMED, strict=True) for r in (*g, t)],
            "4 rows are none: they hold the sums of rows above",
        ),
        (
            [*BELOW, totals("Grand total", 0, 40)],
            "5 rows are none: they hold the sums of rows above them: line 11 (Subtotal North), line 13 (Subtotal S",
        ),
        (
            [r for (_, g), t in zip(GROUPS, NAMED, strict=True) for r in (t, *g)],
            "4 rows are none: they hold the sums of rows below",
        ),
        ([*BODY[:20], totals("Total", 0, 20, "a"), *BODY[20:], totals("Total", 20, 40, "b")], "2 rows are none"),
        ([totals("Total", 0, 40), *BODY], "line 2 (Total) is no row: it holds the sums of the columns below"),
        ([f"Mean,,{MEAN[0]:.2f},{MEAN[1]:.2f}", *BODY], "line 2 (Mean) is no row: it holds the means of the columns"),
    ],
)
def test_totals_of_groups_and_those_at_the_top_are_left_out_and_said(write, rows, said):
    frame, notes = read(write, ["id,group,count,amount", *rows])
    assert frame.columns["id"].values.tolist() == list(range(1000, 1040))
    assert notes[-1].startswith(said)
    assert len(read(write, ["id,group,count,amount", *rows], footer=False)[0]) == len(rows)


@pytest.mark.parametrize(
    "rows",
    [
        ["Total Wine,10,250", *(f"s{i},{i % 9},{i * 31 % 100}" for i in range(30))],  # a name
        [*(r for i in range(9) for r in (f"s{i},1,2", f"t{i},2,1", f"Total {i},3,{3 + (i == 7)}"))],  # one is off
        ["a,1,2", "b,2,1", "Total Wine,3,3", "c,1,1", "d,0,2", "Total Tools,1,3"],  # small counts
        ["World,435,4350", *(f"s{i},{i},{i * 10}" for i in range(30))],  # sorted by size, and no word
    ],
)
def test_rows_that_only_look_like_totals_of_groups_stay(write, rows):
    frame, notes = read(write, ["name,beds,area", *rows])
    assert len(frame) == len(rows)
    assert not any("none: they hold" in note or "no row" in note for note in notes)


@pytest.mark.parametrize("last", ["1040,a,3", "10", '1040,a,"3'])
def test_a_last_row_that_was_cut_off_is_damage(write, last):
    with pytest.raises(UserError, match="line 42 has"):
        read(write, ["id,group,count,amount", *BODY, last])


@pytest.mark.parametrize(
    "last",
    [
        f"1040,a,{SUM[0]},{SUM[1]:.2f}",  # what a row above says
        f"1040,,{SUM[0] + 1},{SUM[1]:.2f}",  # one sum alone
        "1040,c,7,",
        "1040,,,",
        f"1040,Average,{SUM[0]},7",
    ],
)
def test_a_last_row_that_could_be_a_row_stays(write, last):
    frame, notes = read(write, ["id,group,count,amount", *BODY, last])
    assert len(frame) == 41
    assert notes == ()


@pytest.mark.parametrize(
    "rows",
    [
        ["Oak 1,2,300", "Oak 2,3,500", "Oak 3,4,400", "Mint Street 4,2,300"],
        ["Oak 1,2,300", "Oak 2,3,500", "Oak 3,1,400", "Oak 4,6,1200"],
        ["Oak 1,3,300", "Oak 2,3,500", "Oak 3,3,400", "Oak 4,3,1200"],
        ["Oak 1,2,300", "Oak 2,3,500", "Oak 3,1,400", "Summerville 4,6,1200"],
        ["A,10,4", "B,8,6", "C,6,8", "Avg Joes,8,6"],
        [*(f"P{i},{5 - i % 5},{1 + i % 3}" for i in range(30)), "Max Weber,5,3"],
        [*(f"P{i},{5 - i % 5},{1 + i % 3}" for i in range(30)), "Max,5,3"],  # as others are
        [*(f"P{i},{5 - i % 5},{1 + i % 3}" for i in range(30)), "Min-jae Kim,1,1"],
    ],
)
def test_rows_with_names_like_those_of_totals_and_few_that_add_up_by_chance_stay(write, rows):
    frame, notes = read(write, ["name,beds,area", *rows])
    assert len(frame) == len(rows)
    assert not any("no row" in note for note in notes)


def test_small_counts_that_add_up_by_chance_are_no_total():
    counts = [Column(name, "number", np.array([0.0, 1, 0, 1, 0, 2])) for name in "ab"]
    names = text_column("name", list("uvwxyz"))
    table = Frame({"name": names, "a": counts[0], "b": Column("b", "number", np.array([0.0, 1, 0, 0, 0, 2]))}, "t")
    assert without_totals(table) == (table, ())


def test_the_user_may_say_that_there_is_no_footer(write):
    rows = ["id,group,count,amount", *BODY, f"Total,,{SUM[0]},{SUM[1]:.2f}"]
    assert len(read(write, rows, footer=False)[0]) == 41
    with pytest.raises(UserError, match="line 42 has 1 cell"):
        read(write, [*rows[:-1], "Source: X"], footer=False)


def test_a_sheet_ends_before_rows_of_a_single_cell_with_words():
    cells = [str(number) for number in range(30)]
    ids = narrowed(text_column("id", [*cells, "", ""]))
    words = text_column("word", [*("ab" * 15), "Stand 2023", "in EUR"])
    other = Column("n", "number", np.array([*map(float, range(30)), np.nan, np.nan]))
    frame, said = without_notes(Frame({"id": ids, "word": words, "n": other}, "t.xlsx"))
    assert len(frame) == 30
    assert said == ("row 31 (Stand 2023) and those below are no rows: they stand below the table (data.footer)",)


@pytest.mark.parametrize(
    ("above", "row", "below"),
    [
        (["| a    | b   |", "|------|----:|"], "| {} | {} |", []),
        (["+---+---+", "| a | b |", "+---+---+"], "| {} | {} |", ["+---+---+", "40 rows in set (0.00 sec)"]),
        ([" a  | b ", "----+---"], " {} | {} ", ["(40 rows)", ""]),
        (["A B", "--- ----"], "{} {}", ["", "40 rows selected."]),
    ],
)
def test_what_databases_print_is_a_table(write, above, row, below):
    frame, _ = read(write, [*above, *(row.format("pq"[i % 2], i % 7) for i in range(40)), *below], "table.txt")
    assert [name.lower() for name in frame.columns] == ["a", "b"]
    assert list(frame.columns.values())[1].values.tolist() == [i % 7 for i in range(40)]


def test_brackets_and_a_minus_behind_are_below_zero_beside_other_amounts(write):
    rows = [f'"({i + 1},000)",{i}.5-,({i % 3})' if i % 2 else f'"{i + 1},000",{i}.5,({i % 3})' for i in range(20)]
    columns = read(write, ["a,b,c", *rows])[0].columns
    assert columns["a"].values.tolist() == [(-1) ** i * 1000 * (i + 1) for i in range(20)]
    assert columns["b"].values.tolist() == [(-1) ** i * (i + 0.5) for i in range(20)]
    assert columns["c"].levels == ("(0)", "(1)", "(2)")
