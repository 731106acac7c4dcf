"""The user's own numbers: what is read, what is guessed, and which mistakes are named where."""

import numpy as np
import pytest
import torch

from nnlab.data import Arrays
from nnlab.data.arrays import load
from nnlab.errors import UserError
from nnlab.types import Task

HEADER = "length,width,kind\n"
ROWS = "".join(f"{2 * i},{i / 2},{'cat' if i % 2 else 'dog'}\n" for i in range(20))


@pytest.fixture
def write(tmp_path):
    def write(content, name="table.csv"):
        path = tmp_path / name
        if isinstance(content, dict):
            np.savez(path, **content)
        elif isinstance(content, np.ndarray):
            np.save(path, content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
        return str(path)

    return write


def read(path, root="nowhere", **options):
    from pathlib import Path

    return Arrays(path=path, **options).read(0, Path(root))


def numbers(raw):
    """The columns of numbers of a table, row by row."""
    return np.stack([column.numbers() for column in raw.inputs.columns.values()], 1).tolist()


@pytest.mark.parametrize("target", ["kind", None, 2, -1])
def test_a_table_with_a_header_and_text_labels_is_a_classification(write, target):
    raw = read(write(HEADER + ROWS), target=target)
    assert raw.task is Task.BINARY
    assert raw.target_names == ("cat", "dog")
    assert numbers(raw) == [[2 * i, i / 2] for i in range(20)]
    assert raw.targets.tolist() == [(i + 1) % 2 for i in range(20)]


@pytest.mark.parametrize(
    "content", [ROWS, ROWS.replace(",", ";"), ROWS.replace(",", "\t"), "\ufeff" + ROWS, ROWS + "\n\n"]
)
def test_a_header_separators_byte_order_marks_and_blank_lines_are_recognised(write, content):
    raw = read(write(content))
    assert numbers(raw) == [[2 * i, i / 2] for i in range(20)]
    assert raw.target_names == ("cat", "dog")


def test_the_target_may_be_any_column(write):
    raw = read(write(HEADER + ROWS.replace("cat", "1").replace("dog", "0")), target="length")
    assert raw.task is Task.REGRESSION
    assert raw.target_names == ("length",)
    assert raw.targets.shape == (20, 1)
    assert numbers(raw)[3] == [1.5, 1]


@pytest.mark.parametrize(
    ("targets", "task", "names"),
    [
        (np.arange(30) % 2, Task.BINARY, ("0", "1")),
        (np.arange(30) % 3 * 5.0, Task.MULTICLASS, ("0", "5", "10")),
        (np.arange(30) % 2 == 0, Task.BINARY, ("False", "True")),
        (np.array(["b", "a", "c"] * 10), Task.MULTICLASS, ("a", "b", "c")),
        (np.array([b"b", b"a"] * 15), Task.BINARY, ("a", "b")),
        (np.arange(30), Task.REGRESSION, ("y",)),
        (np.arange(30) / 4, Task.REGRESSION, ("y",)),
        (np.arange(30) % 2 + 0.5, Task.REGRESSION, ("y",)),
        (np.ones((30, 2)), Task.REGRESSION, ("y 0", "y 1")),
        (np.arange(30)[:, None] % 2, Task.BINARY, ("0", "1")),
    ],
)
def test_the_task_is_guessed_from_the_targets(write, targets, task, names):
    raw = read(write({"x": np.ones((30, 4)), "y": targets}, "a.npz"), target="y")
    assert raw.task is task
    assert raw.target_names == names
    assert len(raw.targets) == 30


def test_the_task_can_be_given(write):
    path = write({"x": np.ones((30, 4)), "y": np.arange(30) % 2}, "a.npz")
    assert read(path, target="y", task="regression").targets.dtype == torch.float64
    assert read(path, target="y", task="multiclass").task is Task.MULTICLASS


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((30,), (30, 1)), ((30, 4), (30, 4)), ((30, 5, 6), (30, 1, 5, 6)), ((30, 3, 5, 6), (30, 3, 5, 6))],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int16, np.bool_])
def test_vectors_and_images_are_told_apart_by_their_shape(write, shape, expected, dtype):
    values = np.arange(np.prod(shape)).reshape(shape) % 2
    raw = read(write({"x": values.astype(dtype), "y": np.arange(30)}, "a.npz"), target="y")
    assert raw.inputs.shape == expected
    assert raw.inputs.double().flatten().tolist() == values.flatten().tolist()
    assert (raw.inputs.dtype == torch.uint8) == (dtype is np.uint8 and len(shape) > 2)


@pytest.mark.parametrize("names", [("x", "y"), ("inputs", "targets"), ("images", "labels"), ("data", "Target")])
def test_the_arrays_of_a_file_are_told_apart_by_the_names_that_targets_have(write, names):
    raw = read(write({names[1]: np.arange(30) % 2, names[0]: np.ones((30, 4))}, "a.npz"))
    assert raw.inputs.shape == (30, 4)
    assert raw.targets.tolist() == [0, 1] * 15


def test_a_npy_table_has_its_target_in_the_last_column_unless_told(write):
    table = np.stack([np.arange(20) * 0.1, np.arange(20) * 0.3, np.arange(20) % 2], 1)
    assert read(write(table, "a.npy")).task is Task.BINARY
    raw = read(write(table, "a.npy"), target=0)
    assert raw.task is Task.REGRESSION
    assert raw.inputs[:, 1].tolist() == table[:, 2].tolist()


def test_paths_are_also_looked_up_in_the_data_folder(write, tmp_path):
    write(ROWS, "mine.csv")
    assert read("mine.csv", root=tmp_path).target_names == ("cat", "dog")


def test_a_table_loads_into_splits(write):
    data = Arrays(path=write(HEADER + ROWS)).load(0, "nowhere")
    assert len(data.train) + len(data.validation) + len(data.test) == 20


class Evil:
    def __reduce__(self):
        raise AssertionError("unpickled")


PAIR = {"x": np.ones((30, 4)), "y": np.arange(30)}

MISTAKES = [
    (HEADER + ROWS, "t.csv", {"target": "kinds"}, "has no column `kinds` (`data.target`); did you mean `kind`?"),
    (HEADER + ROWS, "t.csv", {"target": 3}, "`data.target` must be in [-3, 2]"),
    (
        HEADER + ROWS,
        "t.csv",
        {"task": "regression"},
        "t.csv: line 2, column `kind` holds 'dog', where the target needs",
    ),
    ("a,b\n" + "".join(f"1,{i}.5\n" for i in range(9)) + "1,2.x\n", "t.csv", {}, "line 11, column `b` holds '2.x'"),
    (HEADER + ROWS + "1,2\n", "t.csv", {}, "line 22 has 2 cells, where the table has 3 columns"),
    (HEADER + ROWS + "1,2,3,4\n", "t.csv", {}, "line 22 has 4 cells, where the table has 3 columns"),
    (HEADER, "t.csv", {}, "t.csv has a header but no rows of data"),
    ("", "t.csv", {}, "t.csv is empty"),
    ("a\n1\n2\n", "t.csv", {}, "has a single column"),
    (ROWS, "t.rows", {}, "t.rows must end in .csv, .tsv"),
    (ROWS.replace("cat", "dog"), "t.csv", {}, "needs at least two classes, but"),
    (
        ROWS.replace("6,1.5,cat", "6,1.5,cow"),
        "t.csv",
        {"task": "binary"},
        "needs exactly two classes, but has 3: cat, cow, dog",
    ),
    ({"a": PAIR["x"], "b": PAIR["y"]}, "a.npz", {}, "`data.target` must name the array of targets in"),
    (PAIR, "a.npz", {"target": "z"}, "not `z`; valid: x, y"),
    (
        {"x": np.ones(3)},
        "a.npz",
        {"target": "x"},
        "must hold two arrays, inputs and targets, or x_train, y_train, x_test and y_test; it holds x",
    ),
    ({**PAIR, "y": np.arange(29)}, "a.npz", {"target": "y"}, "has 30 inputs but 29 targets"),
    ({**PAIR, "x": np.ones((30, 2, 2, 2, 2))}, "a.npz", {"target": "y"}, "inputs in"),
    ({**PAIR, "x": np.ones((30, 2), complex)}, "a.npz", {"target": "y"}, "must be numbers, (n, D), (n, H, W)"),
    ({**PAIR, "y": np.ones((30, 2, 2))}, "a.npz", {"target": "y"}, "targets in"),
    ({**PAIR, "y": np.ones((30, 2))}, "a.npz", {"target": "y", "task": "binary"}, "are no classes"),
    (
        {**PAIR, "y": np.array(["a", "b"] * 15)},
        "a.npz",
        {"target": "y", "task": "regression"},
        "holds 'a', where the target needs a number",
    ),
    (
        {**PAIR, "y": np.array([0, np.nan] * 15)},
        "a.npz",
        {"target": "y", "task": "binary"},
        "the target in row 1 (counted",
    ),
    ({**PAIR, "y": np.array([Evil()] * 30)}, "a.npz", {"target": "y"}, "holds Python objects instead of numbers"),
    (np.array([[Evil(), 1]] * 30), "a.npy", {}, "holds Python objects instead of numbers"),
    (b"no array", "a.npy", {}, "is damaged or holds Python objects"),
    (b"no archive", "a.npz", {}, "is damaged or holds Python objects"),
    (b"PK\x03\x04 cut off", "a.npz", {}, "is damaged or holds Python objects"),
    (np.ones(30), "a.npy", {}, "must be a table of inputs and a target, (n, D + 1), got shape (30,)"),
    (np.ones((30, 3)), "a.npy", {"target": "y"}, "`data.target` must be the index of a column"),
    (np.ones((30, 3)), "a.npy", {"target": 3}, "`data.target` must be in [-3, 2]"),
]


@pytest.mark.parametrize(("content", "name", "options", "message"), MISTAKES, ids=[m[3] for m in MISTAKES])
def test_mistakes_are_named(write, monkeypatch, content, name, options, message):
    monkeypatch.setattr(Evil, "__reduce__", lambda self: (print, ("unpickled",)))
    path = write(content, name)
    with pytest.raises(UserError) as error:
        read(path, **options)
    assert message in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named():
    for name in ("no.npy", "no.npz"):
        with pytest.raises(UserError, match=f"cannot read {name} .No such file or directory."):
            read(name)
    with pytest.raises(UserError, match=r"no\.csv does not exist"):
        read("no.csv")
    with pytest.raises(UserError, match="`task` has no option 'classification'"):
        Arrays(path="a.csv", task="classification")


def test_nan_in_an_array_is_found_before_it_spreads(write):
    path = write({**PAIR, "x": np.where(np.eye(30, 4) > 0, np.nan, 1.0)}, "a.npz")
    with pytest.raises(UserError, match=r"a\.npz: 4 of the inputs are NaN, .* the first in row 0, column 0"):
        Arrays(path=path, target="y").load(0, "nowhere")
    held = {"x_train": np.ones((30, 4)), "y_train": np.arange(30.0), "x_test": np.full((2, 4), np.inf)}
    with pytest.raises(UserError, match=r"the test split of .*a\.npz: 8 of the inputs are NaN, infinite"):
        Arrays(path=write({**held, "y_test": np.arange(2.0)}, "a.npz")).load(0, "nowhere")


def test_a_class_with_one_example_is_named_and_not_taken_for_a_regression(write, tmp_path):
    rows = ["x,label", *(f"{i},{1 + i % 2}" for i in range(20)), "20,3"]
    with pytest.raises(UserError, match=r"class `3` has a single example"):
        Arrays(path=write("\n".join(rows))).load(0, tmp_path)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_arrays_that_do_not_fit_into_memory_are_refused_with_what_is_read_in_pieces(tmp_path, monkeypatch, name):
    path = tmp_path / name
    if name == "a.npz":
        np.savez_compressed(path, x=np.zeros((50_000, 10)), y=np.zeros(50_000))
        assert path.stat().st_size < 1e5
    else:
        np.save(path, np.zeros((50_000, 11)))
    monkeypatch.setattr("nnlab.data.arrays.free_memory", lambda device: 4_000_000)
    with pytest.raises(UserError, match=r"holds 0\.0044 GB, and 0\.004 GB of memory are free; a Parquet file"):
        Arrays(path=str(path)).load(0, tmp_path)
    monkeypatch.setattr("nnlab.data.arrays.free_memory", lambda device: 5_000_000)
    assert len(load(path) if name == "a.npy" else load(path)["x"]) == 50_000
