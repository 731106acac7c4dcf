"""Who is in which split: stratified, seeded and disjoint, as pure functions of labels and a generator.

Stratification is systematic sampling: the shuffled members of a class of n_c examples are spread evenly over [0, 1),
the r-th at (r + u_c) / n_c with one random offset u_c, and all examples are sorted by that position. Any stretch of
the resulting order then holds each class in proportion, within about one example (Madow and Madow 1944).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from nnlab.errors import UserError


@dataclasses.dataclass(frozen=True)
class Indices:
    """Rows of the three splits, int64; disjoint, together every example (`test` is empty where it lies elsewhere)."""

    train: Tensor
    validation: Tensor
    test: Tensor


def stratified_order(labels: Tensor, generator: torch.Generator, every_class_first: bool = False) -> Tensor:
    """A random order, (n,) int64, whose every stretch holds the classes of `labels` (n,) int64 in proportion.

    Args:
        labels: classes 0 ... C - 1.
        generator: source of the shuffle.
        every_class_first: start with one example of each class, so that no prefix of C or more misses a class.
    """
    order, ranks, counts = _shuffled_by_class(labels, generator)
    offsets = torch.rand(len(counts), generator=generator, dtype=torch.float64)
    if every_class_first:
        offsets.zero_()
    classes = labels[order]
    return order[torch.argsort((ranks + offsets[classes]) / counts[classes], stable=True)]


def random_order(count: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
    """A random order of `count` examples, stratified where there are labels."""
    return torch.randperm(count, generator=generator) if labels is None else stratified_order(labels, generator)


def holdout(
    count: int, labels: Tensor | None, test: float | None, validation: float, generator: torch.Generator
) -> Indices:
    """Split `count` examples once.

    Args:
        count: number of examples n.
        labels: classes (n,) int64 to stratify by, or None (regression).
        test: fraction of the examples in the test split, (0, 1); None: no test split is drawn.
        validation: fraction of the others in the validation split, (0, 1).
        generator: source of the shuffle.

    Raises:
        UserError: a split would be empty.
    """
    order = random_order(count, labels, generator)
    in_test = 0 if test is None else max(1, round(test * count))
    in_validation = max(1, round(validation * (count - in_test)))
    if in_test + in_validation >= count:
        raise UserError(f"{count} examples are too few for training, validation and test splits; use more examples")
    return Indices(order[in_test + in_validation :], order[in_test : in_test + in_validation], order[:in_test])


def fold_numbers(count: int, labels: Tensor | None, folds: int, generator: torch.Generator) -> Tensor:
    """The fold, 0 ... folds - 1, of each of `count` examples, (n,) int64; sizes and classes differ by one at most."""
    if labels is None:
        order = torch.randperm(count, generator=generator)
    else:
        order, _, _ = _shuffled_by_class(labels, generator)
    numbers = torch.empty(count, dtype=torch.int64)
    numbers[order] = torch.arange(count) % folds
    return numbers


def cross_validation(
    count: int, labels: Tensor | None, folds: int, fold: int, validation: float, generator: torch.Generator
) -> Indices:
    """Split for k-fold cross-validation: fold `fold` is the test split, validation is drawn from the others.

    The partition depends on the generator only, so the test splits of all folds cover every example exactly once.

    Raises:
        UserError: there are fewer examples than folds, or too few to leave a training split.
    """
    if folds > count:
        raise UserError(f"`data.folds` must be at most the number of examples, {count}, got {folds}")
    numbers = fold_numbers(count, labels, folds, generator)
    test = torch.nonzero(numbers == fold).squeeze(1)
    rest = torch.nonzero(numbers != fold).squeeze(1)
    inner = holdout(len(rest), None if labels is None else labels[rest], None, validation, generator)
    return Indices(rest[inner.train], rest[inner.validation], test)


def prefix(count: int, labels: Tensor | None, limit: int, generator: torch.Generator) -> Tensor:
    """`limit` of `count` examples, (limit,) int64, with every class; a smaller limit gives a subset of a larger."""
    if labels is None:
        return torch.randperm(count, generator=generator)[:limit]
    return stratified_order(labels, generator, every_class_first=True)[:limit]


def redraw_labels(labels: Tensor, fraction: float, classes: int, generator: torch.Generator) -> Tensor:
    """Labels (n,) int64, of which round(fraction * n) are drawn anew, uniformly over all classes (also their own)."""
    noisy = labels.clone()
    chosen = torch.randperm(len(labels), generator=generator)[: round(fraction * len(labels))]
    noisy[chosen] = torch.randint(classes, (len(chosen),), generator=generator)
    return noisy


def _shuffled_by_class(labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Rows sorted by class and shuffled within, their rank within the class, and the class counts."""
    shuffled = torch.randperm(len(labels), generator=generator)
    order = shuffled[torch.argsort(labels[shuffled], stable=True)]
    counts = torch.bincount(labels)
    ranks = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[order]]
    return order, ranks, counts
