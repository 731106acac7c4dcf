"""Splits are stratified, disjoint, complete and functions of their generator alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlab.data import splits
from nnlab.errors import UserError
from nnlab.randomness import generator


def draw(seed=0):
    return generator(seed, "split")


def labels_of(counts, seed=0):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


class_counts = st.lists(st.integers(2, 60), min_size=2, max_size=6)


@given(counts=class_counts, test=st.floats(0.1, 0.4), validation=st.floats(0.1, 0.4), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_holdout_covers_every_example_once_and_trains_on_every_class(counts, test, validation, seed):
    labels = labels_of(counts)
    try:
        parts = splits.holdout(len(labels), labels, test, validation, draw(seed))
    except UserError:
        assert len(labels) < 8
        return
    rows = torch.cat([parts.train, parts.validation, parts.test])
    assert rows.sort().values.tolist() == list(range(len(labels)))
    assert len(parts.test) == max(1, round(test * len(labels)))


def test_every_split_holds_the_classes_in_proportion():
    counts = torch.tensor([400, 230, 90, 31])
    labels = labels_of(counts.tolist())
    parts = splits.holdout(len(labels), labels, 0.2, 0.1, draw())
    for rows in (parts.train, parts.validation, parts.test):
        share = len(rows) / len(labels)
        assert ((torch.bincount(labels[rows], minlength=4) - share * counts).abs() < 2).all()


def test_a_class_of_two_is_in_the_training_split():
    labels = labels_of([100, 2])
    for seed in range(20):
        assert 1 in labels[splits.holdout(102, labels, 0.2, 0.1, draw(seed)).train]


def test_the_training_split_is_not_sorted_by_class():
    labels = torch.arange(1000) // 100
    train = splits.holdout(1000, labels, 0.2, 0.1, draw()).train
    assert len(torch.unique(labels[train[:32]])) == 10


@given(counts=class_counts, folds=st.integers(2, 6), seed=st.integers(0, 99), classes=st.booleans())
@settings(max_examples=60, deadline=None)
def test_folds_cover_every_example_exactly_once(counts, folds, seed, classes):
    labels = labels_of(counts)
    tests = []
    for fold in range(folds):
        try:
            parts = splits.cross_validation(len(labels), labels if classes else None, folds, fold, 0.1, draw(seed))
        except UserError:
            assert len(labels) <= 2 * folds
            return
        rows = torch.cat([parts.train, parts.validation, parts.test])
        assert rows.sort().values.tolist() == list(range(len(labels)))
        tests.append(parts.test)
    assert torch.cat(tests).sort().values.tolist() == list(range(len(labels)))


@given(counts=class_counts, folds=st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_folds_differ_by_one_example_of_a_class_at_most(counts, folds):
    labels = labels_of(counts)
    numbers = splits.fold_numbers(len(labels), labels, folds, draw())
    table = torch.stack([torch.bincount(numbers[labels == c], minlength=folds) for c in range(len(counts))])
    assert (table.amax(1) - table.amin(1)).max() <= 1
    assert table.sum(0).amax() - table.sum(0).amin() <= 1


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    labels = labels_of([50, 50])
    first, again, other = (splits.holdout(100, labels, 0.2, 0.1, draw(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.train, again.train)
    assert torch.equal(first.test, again.test)
    assert not torch.equal(first.test, other.test)


def test_a_smaller_limit_is_a_subset_of_a_larger_and_misses_no_class():
    labels = labels_of([300, 40, 3])
    smaller, larger = (splits.prefix(343, labels, limit, draw()) for limit in (3, 100))
    assert set(labels[smaller].tolist()) == {0, 1, 2}
    assert set(smaller.tolist()) < set(larger.tolist())
    assert len(larger) == 100


def test_label_noise_redraws_the_given_fraction_uniformly():
    labels = torch.arange(20000) % 10
    noisy = splits.redraw_labels(labels, 0.4, 10, draw())
    changed = noisy != labels
    # of the 40% drawn anew, one in ten gets its own class again
    assert changed.double().mean().item() == pytest.approx(0.36, abs=0.01)
    assert torch.bincount(noisy[changed]) == pytest.approx(720, rel=0.15)
    assert torch.equal(splits.redraw_labels(labels, 0.0, 10, draw()), labels)
    assert (splits.redraw_labels(labels, 1.0, 10, draw()) == labels).double().mean() == pytest.approx(0.1, abs=0.01)


def test_too_few_examples_are_refused():
    with pytest.raises(UserError, match="2 examples are too few for training, validation and test"):
        splits.holdout(2, None, 0.2, 0.1, draw())
    with pytest.raises(UserError, match=r"`data\.folds` must be at most the number of examples, 4, got 5"):
        splits.cross_validation(4, None, 5, 0, 0.1, draw())


@pytest.mark.parametrize("times", [False, True])
def test_a_share_of_no_example_is_refused(times: bool) -> None:
    def split(test: float, validation: float) -> splits.Indices:
        if times:
            return splits.ordered(torch.arange(100), test, validation, None)
        return splits.holdout(100, None, test, validation, torch.Generator())

    assert len(split(0.001, 0.001).test) == 1
    with pytest.raises(UserError, match=r"`data.test=1e-300` of 100 examples is none"):
        split(1e-300, 0.1)
    with pytest.raises(UserError, match=r"`data.validation=1e-320` of 80 examples is none"):
        split(0.2, 1e-320)


@pytest.mark.parametrize("labels", [True, False])
def test_parts_for_validation_share_no_example_and_leave_the_test_split_alone(labels: bool) -> None:
    classes = torch.arange(103) % 3 if labels else None
    parts = [splits.holdout(103, classes, 0.2, 0.1, torch.Generator().manual_seed(4), fold) for fold in range(10)]
    assert all(torch.equal(part.test, parts[0].test) for part in parts)
    assert len({len(part.validation) for part in parts}) == 1
    assert len(torch.cat([part.validation for part in parts]).unique()) == 10 * len(parts[0].validation)
    for part in parts:
        assert torch.equal(torch.cat([part.train, part.validation, part.test]).sort().values, torch.arange(103))
    with pytest.raises(UserError, match=r"must be in \[0, 10\), got 10"):
        splits.holdout(103, classes, 0.2, 0.1, torch.Generator().manual_seed(4), 10)
