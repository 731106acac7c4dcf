"""Tables that were spoiled before anybody split them are told from tables that merely look like it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from nnlab.data.pipeline import Pipeline
from nnlab.data.preprocessing import Robust, Standardize
from nnlab.data.preprocessing.base import Identity, Preprocessing
from nnlab.data.rules import ArrayRule, TargetRule
from nnlab.diagnosis import Finding
from nnlab.diagnosis.diagnose import arranged
from nnlab.diagnosis.facts.labels import label_facts
from nnlab.diagnosis.facts.leaks import shared_examples
from nnlab.diagnosis.facts.near import relatives
from nnlab.diagnosis.facts.one_way import one_way
from nnlab.diagnosis.facts.rows import standardized_rows
from nnlab.diagnosis.rules.labels import label_findings
from nnlab.probe.order import sorted_columns
from nnlab.types import Dataset, Split, Task

N, D = 480, 6


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def dataset(x: Tensor, preprocessing: Preprocessing | None = None) -> Dataset:
    """Inputs (n, D) of an array with the pipeline that prepares them."""
    transform = Identity() if preprocessing is None else preprocessing.fit(x)
    split = Split(transform.apply(x), x[:, :1])
    rule = ArrayRule((x.shape[1],), "float64", tuple("abcdefghij"[: x.shape[1]]))
    pipeline = Pipeline(rule, transform, TargetRule(Task.REGRESSION, ("y",)))
    return Dataset(split, split, split, Task.REGRESSION, ("y",), pipeline=pipeline)


# Relatives.


def visits(of_each: int, noise: float = 0.05) -> tuple[Split, Split]:
    """People who come several times, with their class, in random order: training and held-out rows."""
    people = drawn(0, N // of_each, D)
    x = people.repeat(of_each, 1) + noise * drawn(1, N // of_each * of_each, D)
    y = (people[:, 0] * people[:, 1] > 0).long().repeat(of_each)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(2))
    x, y = x[order], y[order]
    cut = 3 * len(x) // 4
    return Split(x[:cut], y[:cut]), Split(x[cut:], y[cut:])


def test_several_rows_of_one_person_on_both_sides_are_a_leak() -> None:
    shared = shared_examples(*visits(4))
    assert shared.related
    assert shared.leaks
    assert shared.fraction > 0.7


def test_rows_of_different_people_have_no_relatives() -> None:
    train, held_out = visits(1)
    assert relatives(train, held_out) == (0, len(held_out))
    coarse = [
        Split(torch.cat([each.inputs.round(), each.inputs[:, :3]], 1), each.targets) for each in (train, held_out)
    ]
    assert relatives(*coarse)[0] == 0  # categories that rows share are no person


def test_relatives_have_the_same_target() -> None:
    train, held_out = visits(4)
    other = Split(held_out.inputs, 1 - held_out.targets)
    assert relatives(train, held_out)[0] > 0
    assert relatives(train, other)[0] == 0


def test_numbers_of_relatives_are_close_and_those_of_a_repeated_design_follow_from_its_settings() -> None:
    people, order = torch.arange(N) // 6, torch.randperm(N, generator=torch.Generator().manual_seed(3))
    x = drawn(0, N // 6, D)[people] + 0.05 * drawn(1, N, D)
    y = drawn(2, N // 6, 1)[people] + 0.1 * drawn(4, N, 1)
    levels = torch.cartesian_prod(*[torch.arange(3.0)] * 4).repeat(6, 1)
    settings = levels + 0.01 * drawn(5, *levels.shape)
    growth = settings.square().sum(1, keepdim=True) + 0.2 * drawn(6, len(levels), 1)
    for inputs, targets, related in ((x, y, True), (x, drawn(7, N, 1), False), (settings[:N], growth[:N], False)):
        rows, known = inputs[order], targets[order]
        shared = shared_examples(Split(rows[:400], known[:400]), Split(rows[400:], known[400:]))
        assert shared.leaks == related


# Rows that were standardized.


def along_rows(x: Tensor) -> Tensor:
    return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)


@pytest.mark.parametrize("preprocessing", [None, Standardize(), Robust(clip=10.0)])
def test_rows_that_were_standardized_each_by_itself_are_found_behind_a_preprocessing(
    preprocessing: Preprocessing | None,
) -> None:
    units = torch.tensor([1.0, 1.0, 5.0, 20.0, 1.0, 0.1], dtype=torch.float64)
    x = units * (drawn(0, N, D).double() + 2)
    assert standardized_rows(dataset(x, preprocessing)) == 0
    assert standardized_rows(dataset(along_rows(x), preprocessing)) == D


def test_signals_shares_and_categories_are_prepared_by_rows_on_purpose() -> None:
    place, center = torch.linspace(0, 1, 40).double(), torch.rand(N, 2, generator=torch.Generator().manual_seed(0))
    signals = sum(torch.exp(-(((place - c.double().unsqueeze(1)) / 0.2) ** 2)) for c in center.T)
    assert isinstance(signals, Tensor)
    assert standardized_rows(dataset(along_rows(signals + 0.01 * drawn(1, N, 40).double()))) == 0
    shares = drawn(2, N, D).double().exp()
    assert standardized_rows(dataset(shares / shares.sum(1, keepdim=True))) == 0
    ones = torch.nn.functional.one_hot(torch.arange(N) % D, D).double()
    assert standardized_rows(dataset(ones)) == 0


# Columns that were sorted.


def findings(x: Tensor, y: Tensor) -> list[str]:
    return [finding.observed for finding in sorted_columns(dataset(x), x, y)]


def test_columns_that_were_sorted_alone_are_named() -> None:
    x = drawn(0, N, D).double().exp()
    y = x[:, :1] + x[:, 3:4]
    assert not findings(x, y)
    x[:, [1, 4]] = x[:, [1, 4]].sort(0).values
    [observed] = findings(x, y)
    assert "2 columns (`b`, `e`) rise or fall" in observed


def test_a_sorted_file_and_columns_of_numbers_and_times_are_not_accused() -> None:
    x = drawn(0, N, D).double().exp()
    y = x[:, :1] + x[:, 3:4]
    twice = x.clone()
    twice[:, 4] = x[:, 1].square()
    order = twice[:, 1].argsort()
    twice[:, 5] = twice[:, 1] + 2 * drawn(1, N).double()
    assert not findings(twice[order], y[order])  # both rise, and go with another column
    series = torch.cat([torch.arange(N).double().unsqueeze(1), drawn(2, N, 1).double().abs().cumsum(0), x], 1)
    assert not findings(series, y)
    one = x.clone()
    one[:, 1] = one[:, 1].sort().values
    assert not findings(one, y)  # a single one may be anything


# A class a part of which has another's label.


def answers(forgotten: float, mixed: float) -> tuple[Tensor, Tensor]:
    """Held-out probabilities and labels of three classes; a part of the last is called the first."""
    draw = torch.Generator().manual_seed(0)
    truth = torch.randint(3, (900,), generator=draw)
    logits = 4 * torch.nn.functional.one_hot(truth, 3).double() + mixed * torch.randn(900, 3, generator=draw)
    wrong = (truth == 2) & (torch.rand(900, generator=draw) < forgotten)
    return logits.softmax(1), torch.where(wrong, 0, truth)


def test_a_class_half_of_which_is_called_another_is_named() -> None:
    prediction, labels = answers(0.45, 1.0)
    found = one_way(prediction, labels)
    assert found is not None
    assert (found.answer, found.label) == (2, 0)
    facts = label_facts(prediction, drawn(0, 900, 2), labels, torch.ones(900), prediction, labels)
    [finding] = label_findings(dataclasses.replace(facts, pair=None), ("a", "b", "c"))
    assert finding.name == "classes_mixed_up"
    assert "of the answers `c`" in finding.observed
    assert "`a`" in finding.reason


@pytest.mark.parametrize(("both", "words"), [(False, "A part of `c` seems to have the label `a`"), (True, "swapped")])
def test_of_two_classes_that_are_mixed_up_the_one_that_lost_examples_is_named(both: bool, words: str) -> None:
    prediction, labels = answers(0.0, 0.5)
    draw = torch.Generator().manual_seed(1)
    half = torch.rand(900, generator=draw) < (0.5 if both else 0.7)
    labels = torch.where((labels == 2) & half, 0, torch.where((labels == 0) & half & both, 2, labels))
    facts = label_facts(prediction, drawn(0, 900, 2), labels, torch.ones(900), prediction, labels)
    [finding] = label_findings(facts, ("a", "b", "c"))
    assert finding.observed.endswith("and all other pairs always")
    assert words in finding.reason


def test_a_fault_comes_before_a_note_on_few_validation_examples() -> None:
    few = Finding("noisy_validation", "few", variant="few")
    assert [finding.name for finding in arranged([few, Finding("classes_mixed_up", "two")])] == [
        "classes_mixed_up",
        "noisy_validation",
    ]


def test_classes_that_overlap_are_not() -> None:
    assert one_way(*answers(0.0, 3.0)) is None
    prediction, labels = answers(0.45, 1.0)
    assert one_way(prediction[:, :2], labels.clamp(max=1)) is None
