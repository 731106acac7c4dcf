"""Experiments on data find what was planted, by name and column, and nothing where nothing was."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.diagnosis.facts.chance import mixed_pair
from nnlab.diagnosis.facts.combination import find_combination
from nnlab.diagnosis.facts.data import data_facts
from nnlab.diagnosis.facts.labels import label_facts, renamed
from nnlab.diagnosis.facts.leaks import shared_examples
from nnlab.diagnosis.facts.shift import Shift, measure_shift
from nnlab.diagnosis.facts.values import find_lost_rows, find_placeholder, target_placeholder
from nnlab.diagnosis.rules.data import placeholders
from nnlab.diagnosis.rules.labels import label_findings
from nnlab.diagnosis.rules.splits import shift_findings
from nnlab.loss import SquaredError
from nnlab.types import Dataset, Split, Task

N, D = 600, 6


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def regression(x: Tensor, y: Tensor | None = None, held: Tensor | None = None) -> Dataset:
    """Two thirds of the rows for training; `held` takes the place of the other inputs."""
    y = x[:, :1] - x[:, 1:2] if y is None else y
    cut = 2 * len(x) // 3
    rest = Split(x[cut:] if held is None else held, y[cut:])
    return Dataset(Split(x[:cut], y[:cut]), rest, rest, Task.REGRESSION, ("y",))


def shift_of(held: Tensor | None) -> Shift:
    return measure_shift(regression(drawn(0, N, D), held=held))


def test_splits_drawn_at_random_do_not_differ() -> None:
    assert not any(measure_shift(regression(drawn(seed, N, D))).differs for seed in range(20))


def test_a_column_that_differs_is_named() -> None:
    held = drawn(1, N // 3, D)
    held[:, 3] += 2
    shift = shift_of(held)
    assert [column.number for column in shift.columns] == [3]
    [finding] = shift_findings(regression(drawn(0, N, D), held=held), shift)
    assert "input column 3" in finding.observed


def test_rare_categories_that_only_validation_rows_have_are_no_shift(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    names = (600 * torch.rand(2200, generator=draw)).long()
    shops = torch.bincount(names)[names]  # which goes with the name
    rows = [f"name {name},{count},{count % 7}" for name, count in zip(names.tolist(), shops.tolist(), strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["who,shops,y", *rows]))
    config = compose("data=table", f"data.path={tmp_path / 'rows.csv'}", "data.target=y", "loss=squared_error")
    assert not measure_shift(load_dataset(config)).differs


def test_texts_that_are_all_different_are_no_shift(tmp_path: Path) -> None:
    rows = [
        f"text {row} of {row * 7919 % 1000},{value:.3f},{int(value > 0)}" for row, value in enumerate(drawn(0, 400))
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["review,x,y", *rows]))
    config = compose(str(tmp_path / "rows.csv"), "target=y", "data.columns={review: category}")
    assert not measure_shift(load_dataset(config)).differs


def test_a_rare_class_that_is_never_answered_says_nothing_about_two_frequent_ones() -> None:
    labels = torch.tensor([0] * 500 + [1] * 500 + [2] * 60)
    answers = torch.where(torch.rand(1060, generator=torch.Generator().manual_seed(0)) < 0.7, labels, 1 - labels)
    answers = answers.clamp(0, 1)
    assert mixed_pair(torch.nn.functional.one_hot(answers, 3).double(), labels) is None
    answers[1000:] = 2
    assert mixed_pair(torch.nn.functional.one_hot(answers, 3).double(), labels) is not None


def test_another_normalization_is_called_one() -> None:
    held = 30 * drawn(1, N // 3, D)
    [finding] = shift_findings(regression(drawn(0, N, D), held=held), shift_of(held))
    assert "another normalization" in finding.reason


def test_columns_that_differ_together_alone_are_told_apart_by_the_classifier() -> None:
    held = drawn(1, N // 3, D)
    held[:, 1] = held[:, 0]  # each column by itself is as before
    shift = shift_of(held)
    assert shift.columns == ()
    assert shift.differs


def test_a_split_of_sorted_rows_is_named_by_its_column() -> None:
    x = drawn(0, N, D)
    x = x[x[:, 2].argsort()]
    data = regression(x)
    [finding] = shift_findings(data, measure_shift(data))
    assert "follows the order of input column 2" in finding.reason


@pytest.mark.parametrize("value", [-999.0, 9999.0, -1e6])
def test_a_placeholder_is_found_with_its_share(value: float) -> None:
    x = drawn(0, N, D)
    x[::20, 4] = value
    found = find_placeholder(regression(x))
    assert found is not None
    assert (found.columns, found.value) == (("input column 4",), value)
    assert found.share == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    "column",
    [
        drawn(1, N),
        (1.5 * drawn(1, N)).exp().clamp(max=15),  # skewed, with a limit
        (drawn(1, N) > 1).float(),
        drawn(1, N).round(),
        torch.where(drawn(1, N) > 0, drawn(2, N).exp(), torch.zeros(N)),  # zero, or an amount
        drawn(1, N).clamp(max=1.0),
    ],
    ids=["normal", "skewed", "binary", "coarse", "amounts", "capped"],
)
def test_ordinary_columns_have_no_placeholder(column: Tensor) -> None:
    x = drawn(0, N, D)
    x[:, 0] = column
    assert find_placeholder(regression(x)) is None


@pytest.mark.parametrize(
    ("preprocessing", "value"),
    [
        ("robust data.preprocessing.clip=10", 999),
        ("standardize", 999),
        ("standardize", 9999.9),
        ("robust", 1e7),
        ("pca", 999),
    ],
)
def test_a_placeholder_of_a_table_is_its_own_value_and_no_limit(
    tmp_path: Path, preprocessing: str, value: float
) -> None:
    ages = (45 + 12 * drawn(3, N)).tolist()
    rows = [f"{value if i % 8 == 3 else age:.2f},{age / 7:.3f}" for i, age in enumerate(ages)]
    (tmp_path / "ages.csv").write_text("\n".join(["age,y", *rows]))
    chosen = f"data/preprocessing={preprocessing}".split()
    config = compose("data=table", f"data.path={tmp_path / 'ages.csv'}", "loss=squared_error", *chosen)
    data = load_dataset(config)
    found = find_placeholder(data)
    if preprocessing == "robust":
        assert found is None  # the clip's limit, to which all such numbers come
    else:
        assert found is not None
        assert found.processed == (preprocessing == "pca")
        assert (found.value == value) != found.processed
        [finding] = placeholders(dataclasses.replace(data_facts(data, SquaredError()), placeholder=found))
        assert ("after preprocessing" in finding.observed) == found.processed
        assert (f"are exactly {value:g}, far" in finding.observed) != found.processed


def test_a_placeholder_among_targets_is_found() -> None:
    y = drawn(1, N, 1)
    assert target_placeholder(regression(drawn(0, N, D), y)) is None
    for value in (9999, -999.9):
        y[::30] = value
        found = target_placeholder(regression(drawn(0, N, D), y))
        assert found is not None
        assert found.value == value


def test_rows_whose_inputs_were_lost_are_found_and_coarse_rows_are_not() -> None:
    x, y = drawn(0, N, D), drawn(1, N, 1)
    assert find_lost_rows(Split(x, y)) is None
    x[::3] = 0
    found = find_lost_rows(Split(x, y))
    assert found is not None
    assert found.share == pytest.approx(1 / 3, abs=0.01)
    coarse = (drawn(2, N, 4) > 0.5).float()  # a quarter of the rows is all zero, by chance
    assert find_lost_rows(Split(coarse, y)) is None


@pytest.mark.parametrize("how", ["sum", "product"])
def test_two_columns_that_give_the_target_away_together_are_named(how: str) -> None:
    x, y = drawn(0, N, D), drawn(1, N, 1)
    if how == "sum":
        x[:, 2] = y[:, 0] - 3 * x[:, 5]
    else:
        x[:, 5] = x[:, 5].sign()
        x[:, 2] = y[:, 0] * x[:, 5]
    found = find_combination(regression(x, y))
    assert found is not None
    assert (found.names, found.how) == (("input column 2", "input column 5"), how)
    assert find_combination(regression(drawn(0, N, D), drawn(1, N, 1))) is None
    assert find_combination(regression(drawn(0, N, D))) is not None  # the difference of two columns is the target


def test_copies_with_noise_are_a_leak_and_neighbors_are_not() -> None:
    x, y = drawn(0, N, D), drawn(1, N, 1)
    train = Split(x, y)
    near = Split(x[: N // 3] + 0.05 * drawn(2, N // 3, D), y[: N // 3])
    assert shared_examples(train, near).leaks
    assert not shared_examples(train, Split(drawn(3, N // 3, D), drawn(4, N // 3, 1))).leaks


def answers(right: float, sure: float, classes: int = 4, count: int = 2000, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Labels, and predictions that agree with a share of them and are as sure everywhere."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=draw)
    moved = torch.where(torch.rand(count, generator=draw) < right, labels, (labels + 1) % classes)
    noise = torch.rand(count, classes, generator=draw) * 0.05
    prediction = noise + sure * torch.nn.functional.one_hot(moved, classes)
    return labels, prediction / prediction.sum(1, keepdim=True)


Labeled = tuple[Tensor, Tensor, Tensor]


def groups(count: int, classes: int, apart: float, noise: int = 0) -> Labeled:
    """Normal groups: inputs with as many columns of noise besides, their labels, and the chances of each class."""
    draw = torch.Generator().manual_seed(count + classes)
    corners = torch.randn(classes, 5, generator=draw)
    corners *= apart / corners.norm(dim=1, keepdim=True)
    labels = torch.randint(classes, (count,), generator=draw)
    x = corners[labels] + torch.randn(count, 5, generator=draw)
    chances = (-torch.cdist(x, corners).square() / 2).softmax(1)
    return torch.cat([x, torch.randn(count, noise, generator=draw)], 1), labels, chances


def by_chance(x: Tensor, chances: Tensor) -> Labeled:
    """Labels that are drawn with given chances (N, C)."""
    return x, torch.multinomial(chances, 1, generator=torch.Generator().manual_seed(3))[:, 0], chances


def survey(count: int = 1200) -> Labeled:
    x = drawn(5, count, 6).round().clamp(-1, 1)
    return by_chance(x, torch.cat([x[:, :3].sum(1, keepdim=True), -x[:, :3].sum(1, keepdim=True)], 1).softmax(1))


def rare(count: int = 1200) -> Labeled:
    x = drawn(6, count, 5)
    logit = 2 * x[:, :1] - 3
    return by_chance(x, torch.cat([torch.zeros_like(logit), logit], 1).softmax(1))


def grades(count: int = 1200) -> Labeled:
    x = drawn(7, count, 5)
    score = (x[:, 0] + 0.3 * drawn(8, count)).clamp(-1.4, 1.4)
    chances = (-4 * (x[:, :1] - torch.linspace(-1.2, 1.2, 5)).square()).softmax(1)
    return x, torch.bucketize(score, torch.linspace(-0.9, 0.9, 4)), chances


def one_switch(count: int = 1200) -> Labeled:
    x = drawn(9, count, 4)
    x[:, 0] = (x[:, 0] > 0).float()
    return by_chance(x, torch.where(x[:, :1] > 0, torch.tensor([[0.2, 0.8]]), torch.tensor([[0.8, 0.2]])))


def islands(count: int = 1200) -> Labeled:
    """Two groups, and a tenth of the examples in small islands of one within the other, of which no model knows."""
    x, labels, chances = groups(count, 2, 6.0)
    rows = torch.arange(0, count, 10)
    x[rows] = x[rows % 600] + 0.05 * drawn(4, len(rows), 5)
    labels[rows], chances[rows] = 1 - labels[rows % 600], chances[rows % 600]
    return x, labels, chances


def facts(task: Labeled, redrawn: float = 0.0, validation: float = 0.0):  # type: ignore[no-untyped-def]
    """Facts about a task, whose labels were drawn anew for a share of the examples of either split."""
    x, labels, chances = task
    cut, draw = 3 * len(x) // 4, torch.Generator().manual_seed(11)
    anew = torch.randint(chances.shape[1], labels.shape, generator=draw)
    share = torch.where(torch.arange(len(x)) < cut, redrawn, validation)
    labels = torch.where(torch.rand(len(x), generator=draw) < share, anew, labels)
    learned = torch.full((cut,), math.nan)
    return label_facts(chances[:cut], x[:cut], labels[:cut], learned, chances[cut:], labels[cut:])


@pytest.mark.parametrize("redrawn", [0.05, 0.2, 0.4, 0.6])
@pytest.mark.parametrize("classes", [2, 3, 8])
def test_labels_that_are_wrong_at_random_are_found_with_their_share(classes: int, redrawn: float) -> None:
    found = facts(groups(1200, classes, 6.0), redrawn, redrawn)
    assert found.surest.at_random
    assert found.share == pytest.approx(redrawn * (1 - 1 / classes), abs=0.05)


def test_wrong_labels_are_found_among_a_hundred_examples() -> None:
    assert facts(groups(130, 3, 5.0), 0.5, 0.5).surest.at_random


@pytest.mark.parametrize(
    "task",
    [
        groups(1200, 2, 1.0),
        groups(1200, 4, 1.8),
        groups(400, 2, 1.8, 30),
        groups(130, 3, 1.8),
        survey(),
        rare(),
        grades(),
        islands(),
    ],
    ids=["overlap", "overlap of four", "columns of noise", "few examples", "survey", "rare class", "grades", "islands"],
)
def test_a_task_that_is_hard_has_no_wrong_labels(task: Labeled) -> None:
    assert not facts(task).wrong


def test_methods_that_miss_what_networks_know_accuse_no_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(prediction: Tensor, inputs: Tensor, targets: Tensor, near: Tensor) -> Tensor:
        """Sure of the other class for one example in ten, whatever it is."""
        sure = prediction.clone()
        sure[::10] = sure[::10].flip(1)
        return sure

    task = groups(1200, 2, 6.0)
    monkeypatch.setattr("nnlab.diagnosis.facts.labels.with_others", blind)
    assert not facts(task).wrong
    accused = facts(task, 0.3, 0.3)
    assert accused.wrong
    assert next(label_findings(accused, ("no", "yes"))).name == "labels_wrong"


def test_where_chance_decides_as_often_everywhere_both_are_said() -> None:
    found = facts(one_switch())
    assert not found.wrong
    assert found.surest.doubtful
    [finding] = label_findings(found, ("no", "yes"))
    assert (finding.name, finding.fault) == ("labels_wrong_or_chance", False)
    assert "a column of a few values" in finding.observed


def test_training_labels_that_agree_less_than_those_of_the_validation_are_wrong() -> None:
    found = facts(groups(1200, 4, 6.0), 0.3)
    assert found.noisier
    assert found.wrong
    assert "of the training labels" in next(label_findings(found, "abcd")).observed


def test_classes_in_another_order_are_recognized() -> None:
    labels, prediction = answers(1.0, 1.0)
    assert renamed(prediction, labels) is None
    found = renamed(prediction, (labels + 1) % 4)
    assert found is not None
    assert found[0] == (1, 2, 3, 0)


def test_facts_about_a_data_set_stay_as_they_are_when_it_is_replaced() -> None:
    data = regression(drawn(0, N, D))
    assert measure_shift(data) == measure_shift(dataclasses.replace(data))
