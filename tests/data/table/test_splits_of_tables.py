"""Splits as the table says: groups stay together, the last times are for testing, the file's own split is kept."""

import re

import numpy as np
import pytest
import torch
from prepared import dataset, raw

from nnlab.errors import UserError

N = 240


@pytest.fixture
def path(write, noise):
    """x identifies the row; groups of 1 to 5 rows; days that fall; a split of the file's own."""
    words = ["train"] * 6 + ["Valid"] + ["TEST"]
    rows = [
        f"{i + 0.5},{noise[i, 0]},g{int(np.sqrt(i * 3))},{2024 - i // 60}-{12 - i // 5 % 12:02d}-15,"
        f"{words[i % 8]},{'pq'[i % 2]}"
        for i in range(N)
    ]
    return write(["x,a,group,day,part,y", *rows])


def rows_of(data):
    """Positions in the file of the rows of each split."""
    rule, column = data.pipeline, data.input_names.index("x")
    mean, std = rule.transform.mean[column], rule.transform.std[column]
    parts = (data.train, data.validation, data.test)
    return [(part.inputs[:, column].double() * std + mean).round(decimals=1).long().tolist() for part in parts]


def groups(rows):
    return {int(np.sqrt(row * 3)) for row in rows}


@pytest.mark.parametrize("options", [{}, *({"folds": 4, "fold": fold} for fold in range(4))])
def test_no_group_is_in_two_splits(path, options):
    train, validation, test = map(groups, rows_of(dataset(path, groups="group", **options)))
    assert not train & validation
    assert not (train | validation) & test
    assert len(train | validation | test) == len(groups(range(N)))


def test_folds_by_groups_test_every_row_once(path):
    tested = [row for fold in range(4) for row in rows_of(dataset(path, groups="group", folds=4, fold=fold))[2]]
    assert sorted(tested) == list(range(N))


def test_the_last_times_are_the_test_split_and_equal_times_stay_together(path):
    train, validation, test = rows_of(dataset(path, time="day"))  # later rows are earlier days
    assert min(train) > max(validation) > min(validation) > max(test)
    assert 0.15 < len(test) / N < 0.3
    assert not {row // 5 for row in test} & {row // 5 for row in validation}


@pytest.mark.parametrize("fold", range(3))
def test_folds_by_time_learn_nothing_from_the_future(path, fold):
    train, validation, test = rows_of(dataset(path, time="day", folds=3, fold=fold))
    assert min(train) > max(validation)
    assert min(validation) > max(test)


def test_the_file_s_own_split_is_kept(path):
    train, validation, test = rows_of(dataset(path, split="part"))
    assert {row % 8 for row in test} == {7}
    assert {row % 8 for row in validation} == {6}
    assert len(train) == N * 6 // 8
    folded = rows_of(dataset(path, split="part", folds=3, fold=1))
    assert {row % 8 for row in folded[2]} <= set(range(7))  # the own test split stays unseen


@pytest.mark.parametrize("key", ["groups", "time", "split"])
def test_a_column_that_splits_is_no_input_unless_told(path, key):
    column = {"groups": "group", "time": "day", "split": "part"}[key]
    data = dataset(path, **{key: column})
    assert not any(name.startswith(column) for name in data.input_names)
    told = dataset(path, **{key: column}, columns={column: "category"})
    assert any(name.startswith(f"{column}=") for name in told.input_names)


def test_another_file_is_the_test_split(path, write, noise):
    content = ["y,extra,group,part,day,a,x", *(f"q,{i},g1,train,2020-01-15,{noise[i, 1]},{i}.5" for i in range(30))]
    data = dataset(path, test=write(content, "test.csv"))
    assert rows_of(data)[2] == list(range(30))
    assert data.test.targets.tolist() == [1] * 30
    assert len(data.train) + len(data.validation) == N
    with pytest.raises(UserError, match=r"has the class `r` in `y`, which .* does not have"):
        dataset(path, test=write([line.replace("q,", "r,") for line in content], "other.csv"))
    with pytest.raises(UserError, match="has no column `a`"):
        dataset(path, test=write([line.replace("a,x", "b,x") for line in content], "other.csv"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": "grup"}, "has no column `grup`"),
        ({"groups": "group", "time": "day"}, "both say how to split"),
        ({"split": "group"}, "holds the word 'g0', where each row needs train, validation or test"),
        ({"time": "group"}, "is neither a number nor a time"),
        ({"groups": "y2"}, "has no column `y2`"),
        ({"test": 1.5}, r"`test` must be in \(0, 1\)"),
        ({"test": "nowhere.csv"}, "nowhere.csv does not exist"),
    ],
)
def test_splits_that_cannot_be_are_refused(path, options, message):
    with pytest.raises(UserError, match=message):
        dataset(path, **options)


def test_too_few_groups_are_refused(write, noise):
    path = write(["a,g,y", *(f"{noise[i, 0]},{i % 2},{i % 2}" for i in range(60))])
    with pytest.raises(UserError, match="has 2 groups, too few for 3 parts"):
        dataset(path, groups="g")


def test_without_such_columns_splits_are_stratified(path):
    data = dataset(path)
    assert torch.bincount(data.test.targets).tolist() == [24, 24]
    assert raw(path).groups is None


def test_the_time_is_an_input_where_there_is_no_other(write, noise):
    path = write(["when,load", *(f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00,{noise[i, 0]}" for i in range(240))])
    assert dataset(path, time="when").input_names[0] == "when days"


def test_what_the_test_file_has_and_training_has_not_is_said(write, noise, caplog):
    def rows(names, change=lambda cells: cells):
        cells = [[f"{5 + noise[i, 0]:.3f}", "ab"[i % 2], f"{i % 4}", f"{9 + noise[i, 1]:.2f}"] for i in range(40)]
        return [names, *(",".join(change(each)) for each in cells)]

    path = write(rows("size,group,count,y"))
    dataset(path, target="y", test=write(rows("size,group,count,y"), "same.csv"), columns={"count": "number"})
    assert "same.csv" not in caplog.text

    def change(cells):
        size, group, count, y = cells
        return [
            f"{1000 * float(size):.0f}",
            group.replace("b", "c"),
            count.replace("3", "no idea"),
            f"{float(y) * 100:.0f}",
            "x",
        ]

    dataset(path, target="y", test=write(rows("size,group,count,y,note", change), "later.csv"))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said[:3] == [
        "later.csv: a column that training did not have, left out: `note`",
        "later.csv: column `size`: most numbers are near 5020, and near 5.02 in training: another unit?",
        "later.csv: column `group`: 20 of 40 cells hold what training does not have: `c`",
    ]
    assert said[3] == "later.csv: column `count`: 10 of 40 cells are no numbers and count as missing: `no idea`"
    assert re.fullmatch(r"later.csv: the target `y`: most numbers are near 9\d\d, and .* another unit\?", said[4])
