"""The target: missing ones leave their row out, the task follows the loss, and a guess is said with its key."""

import logging

import numpy as np
import pytest
import torch
from prepared import dataset, raw

from nnlab.data import Arrays
from nnlab.errors import UserError
from nnlab.loss import GaussianNLL, Hinge, SoftmaxCrossEntropy, SquaredError
from nnlab.types import Task

SOFTMAX, SQUARED, GAUSSIAN = SoftmaxCrossEntropy.tasks, SquaredError.tasks, GaussianNLL.tasks


@pytest.fixture
def table(write, noise):
    def table(targets, name="y"):
        return write([f"a,b,{name}", *(f"{a},{b},{t}" for (a, b), t in zip(noise[:, :2], targets, strict=False))])

    return table


@pytest.mark.parametrize("mark", ["NA", "nan", "NaN", "?", "", "null", "N/A"])
@pytest.mark.parametrize("words", [("hi", "lo"), ("1", "0"), ("0.25", "0.75")])
def test_rows_without_a_target_are_left_out_and_counted(table, caplog, mark, words):
    caplog.set_level(logging.INFO, "nnlab")
    path = table([mark if i in (3, 23, 43, 63, 83) else words[i % 2] for i in range(100)])
    found = raw(path)
    assert len(found.inputs) == len(found.targets) == 95
    assert found.task is Task.BINARY or "." in words[0]
    assert "5 of 100 rows have no target and are left out" in caplog.text
    assert mark not in found.target_names


@pytest.mark.parametrize(
    ("targets", "tasks", "task"),
    [
        ([i % 26 for i in range(300)], SOFTMAX, Task.MULTICLASS),  # letters coded 0 ... 25
        ([i % 26 for i in range(300)], None, Task.REGRESSION),
        ([i % 26 for i in range(300)], SQUARED, Task.REGRESSION),
        ([3 + i % 6 for i in range(300)], SQUARED, Task.REGRESSION),
        ([3 + i % 6 for i in range(300)], GAUSSIAN, Task.REGRESSION),
        ([3 + i % 6 for i in range(300)], SOFTMAX, Task.MULTICLASS),
        ([3 + i % 6 for i in range(300)], None, Task.MULTICLASS),
        ([i % 2 for i in range(300)], SQUARED, Task.REGRESSION),
        ([i % 2 for i in range(300)], Hinge.tasks, Task.BINARY),
        (["up", "down"] * 150, SQUARED, Task.BINARY),
        ([True, False] * 150, SQUARED, Task.BINARY),
        ([i / 7 for i in range(300)], SOFTMAX, Task.REGRESSION),
        ([0.5, 1.5, 2.5] * 100, SOFTMAX, Task.MULTICLASS),
    ],
)
def test_the_task_follows_the_loss(table, targets, tasks, task):
    assert raw(table(targets), tasks).task is task


@pytest.mark.parametrize("tasks", [SOFTMAX, SQUARED, None])
def test_what_was_guessed_is_said_in_one_line(table, tasks):
    notes = [note for note in raw(table([1 + i % 5 for i in range(200)]), tasks).notes if "data.task" in note]
    assert len(notes) == 1
    assert "the target `y` (5 different numbers, 1 ... 5) is" in notes[0]


def test_classes_that_differ_in_case_or_blanks_only_are_named(table, caplog):
    caplog.set_level("INFO", "nnlab")
    raw(table(["Very  good", "very good", "bad", "no", "No"] * 12))
    assert "the classes `No` and `no`, `Very  good` and `very good` differ in case or blanks only" in caplog.text
    caplog.clear()
    raw(table(["good", "bad"] * 30))
    assert "differ" not in caplog.text


def test_the_user_decides_the_task(table):
    path = table([1 + i % 5 for i in range(200)])
    assert raw(path, SOFTMAX, task="regression").task is Task.REGRESSION
    assert raw(path, SQUARED, task="multiclass").target_names == ("1", "2", "3", "4", "5")


def test_classes_of_numbers_are_in_the_order_of_numbers(table):
    assert raw(table([(2, 10, 1)[i % 3] for i in range(90)]), SOFTMAX).target_names == ("1", "2", "10")


@pytest.mark.parametrize("option", ["table", "npz"])
def test_one_hot_targets_are_classes(write, noise, tmp_path, option):
    classes = np.arange(300) % 3
    one_hot = np.eye(3, dtype=int)[classes]
    if option == "npz":
        np.savez(tmp_path / "a.npz", x=noise[:300], y=one_hot)
        found = Arrays(path=str(tmp_path / "a.npz"), target="y").read_for(SOFTMAX, 0, tmp_path)
    else:
        rows = [",".join(map(str, [noise[i, 0], *one_hot[i]])) for i in range(300)]
        found = raw(write(["a,p,q,r", *rows]), SOFTMAX, target=["p", "q", "r"])
        assert found.target_names == ("p", "q", "r")
    assert found.task is Task.MULTICLASS
    assert found.targets.tolist() == classes.tolist()


def test_several_columns_of_numbers_are_one_regression(write, noise):
    rows = [",".join(map(str, row[:3])) for row in noise[:60]]
    data = dataset(write(["a,p,q", *rows]), target=["p", "q"])
    assert data.target_names == ("p", "q")
    assert data.train.targets.shape[1] == 2
    assert data.input_names == ("a",)


def test_a_target_may_have_the_name_of_a_number(write, noise):
    path = write(["2018,2019,2020", *(",".join(map(str, row[:3])) for row in noise[:60])])
    for target in (2020, "2020", -1, 2, None):
        found = raw(path, target=target)
        assert found.task is Task.REGRESSION
        assert found.target_names == ("2020",)
    assert raw(path, target=2019).target_names == ("2019",)


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        ([*range(50), "many"], {}, "line 52, column `y` holds 'many', where the target needs a number"),
        (["", "NA"] * 20, {}, "the target `y` is missing in every row"),
        (["p"] * 40, {}, "needs at least two classes, but has 1: p"),
        ([f"w{i}" for i in range(60)], {}, "too many for classes"),
        (["p", "q", "r"] * 20, {"task": "binary"}, "needs exactly two classes, but has 3"),
    ],
)
def test_targets_that_cannot_be_are_refused(table, targets, options, message):
    with pytest.raises(UserError, match=message):
        raw(table(targets), **options)


def test_npz_files_may_bring_their_own_test_split_which_is_measured_and_channels_last(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 7, 3), dtype=np.uint8)
    np.savez(
        tmp_path / "a.npz", x_train=images[:40], y_train=np.arange(40) % 2, x_test=images[40:], y_test=np.arange(20) % 2
    )
    data = Arrays(path=str(tmp_path / "a.npz"), preprocessing=None).load(0, tmp_path)
    assert data.input_shape == (3, 8, 7)
    assert len(data.test) == 20
    assert torch.equal(data.test.inputs, torch.from_numpy(images[40:]).permute(0, 3, 1, 2) / 255)
    assert torch.equal(data.pipeline.encode(images[40:]).inputs, data.test.inputs)
