"""Who is in which split: stratified, seeded and disjoint, as pure functions of labels and a generator.

Stratification is systematic sampling: the shuffled members of a class of n_c examples are spread evenly over [0, 1),
the r-th at (r + u_c) / n_c with one random offset u_c, and all examples are sorted by that position. Any stretch of
the resulting order then holds each class in proportion, within about one example (Madow and Madow 1944).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from nnlab.console import counted
from nnlab.errors import UserError

NONE = 0.01  # of an example: a share that comes to less is a slip


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
    order, counts = _shuffled_by_class(labels, generator)
    offsets = torch.rand(len(counts), generator=generator, dtype=torch.float64)
    if every_class_first:
        offsets.zero_()
    places = torch.arange(len(order), dtype=torch.float64)
    places -= (counts.cumsum(0) - counts).repeat_interleave(counts)  # ranks within the class
    places += offsets.repeat_interleave(counts)
    places /= counts.repeat_interleave(counts)
    # numpy merges the classes' stretches, which are sorted, in a fifth of the time of torch's sort.
    return order.index_select(0, torch.from_numpy(np.argsort(places.numpy(), kind="stable")))


def random_order(count: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
    """A random order of `count` examples, stratified where there are labels."""
    return torch.randperm(count, generator=generator) if labels is None else stratified_order(labels, generator)


def holdout(
    count: int,
    labels: Tensor | None,
    test: float | None,
    validation: float,
    generator: torch.Generator,
    fold: int = 0,
) -> Indices:
    """Split `count` examples once.

    Args:
        count: number of examples n.
        labels: classes (n,) int64 to stratify by, or None (regression).
        test: fraction of the examples in the test split, (0, 1); None: no test split is drawn.
        validation: fraction of the others in the validation split, (0, 1).
        generator: source of the shuffle.
        fold: which part of the examples outside the test split is for validation; all have the same size.

    Raises:
        UserError: a split would be empty, or there are not so many parts.
    """
    order = random_order(count, labels, generator)
    in_test = 0 if test is None else _size("test", test, count)
    in_validation = _size("validation", validation, count - in_test) if in_test < count else 0
    if in_test + in_validation >= count:
        few = counted(count, "example", "is", "are")
        raise UserError(f"{few} too few for training, validation and test splits; use more examples")
    folds = (count - in_test) // in_validation
    if fold >= folds:
        raise UserError(f"`data.validation_fold` must be in [0, {folds}), got {fold}; parts are as large as validation")
    rest = order[in_test:].roll(-fold * in_validation)
    return Indices(rest[in_validation:], rest[:in_validation], order[:in_test])


def _size(name: str, share: float, count: int) -> int:
    """How many of `count` examples a split has: one at least, where its share is not far from one.

    Raises:
        UserError: the share is nowhere near an example.
    """
    if share * count < NONE:
        raise UserError(
            f"`data.{name}={share}` of {counted(count, 'example')} is none; one example is {1 / max(count, 1):.2g}"
        )
    return max(1, round(share * count))


def fold_numbers(count: int, labels: Tensor | None, folds: int, generator: torch.Generator) -> Tensor:
    """The fold, 0 ... folds - 1, of each of `count` examples, (n,) int64; sizes and classes differ by one at most."""
    if labels is None:
        order = torch.randperm(count, generator=generator)
    else:
        order, _ = _shuffled_by_class(labels, generator)
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


Folds = tuple[int, int]  # how many, and which


def grouped(
    groups: Tensor,
    labels: Tensor | None,
    test: float | None,
    validation: float,
    folds: Folds | None,
    generator: torch.Generator,
) -> Indices:
    """Split so that no group is in two splits; groups are stratified by their most frequent class.

    Args:
        groups: the group of each example, 0 ... G - 1, (n,) int64.
        labels: classes (n,) int64, or None (regression).
        test: fraction of the examples in the test split; None: no test split is drawn.
        validation: fraction of the others in the validation split.
        folds: how many folds, and which of them is the test split, in place of `test`.
        generator: source of the shuffle.

    Raises:
        UserError: there are fewer groups than splits.
    """
    count = int(groups.max()) + 1
    sizes = torch.bincount(groups)
    needed = (0 if test is None else 1) + 2 if folds is None else max(folds[0], 3)
    if count < needed:
        raise UserError(f"`data.groups` has {counted(count, 'group')}, too few for {needed} parts that share none")
    order = random_order(count, None if labels is None else _majority(groups, labels, count), generator)
    if folds is not None:
        numbers = torch.empty(count, dtype=torch.int64)
        numbers[order] = torch.arange(count) % folds[0]
        in_test, rest = order[numbers[order] == folds[1]], order[numbers[order] != folds[1]]
    else:
        in_test, rest = _first_groups(order, sizes, test or 0.0)
    in_validation, in_train = _first_groups(rest, sizes, validation)
    rows = [torch.nonzero(torch.isin(groups, part)).squeeze(1) for part in (in_train, in_validation, in_test)]
    return Indices(*rows)


def _first_groups(order: Tensor, sizes: Tensor, fraction: float) -> tuple[Tensor, Tensor]:
    """The first groups of an order that hold about `fraction` of the examples, at least one, and the others."""
    if fraction == 0:
        return order[:0], order
    reached = sizes[order].cumsum(0)
    count = int((reached <= fraction * reached[-1] + sizes[order] / 2).sum())
    count = min(max(1, count), len(order) - 1)
    return order[:count], order[count:]


def _majority(groups: Tensor, labels: Tensor, count: int) -> Tensor:
    """The most frequent class of each group, (G,) int64, renumbered without gaps."""
    table = torch.zeros(count, int(labels.max()) + 1, dtype=torch.int64)
    table.index_put_((groups, labels), torch.ones_like(labels), accumulate=True)
    classes: Tensor = torch.unique(table.argmax(1), return_inverse=True)[1]
    return classes


def ordered(times: Tensor, test: float | None, validation: float, folds: Folds | None) -> Indices:
    """Split by time: the last part is the test split, the part before it for validation; equal times stay together.

    With folds the times are cut into one part more than there are folds; the test split of a fold is the part behind
    it, and what comes later is in no split, so that nothing is learned from the future.

    Raises:
        UserError: there are too few different times.
    """
    order = torch.argsort(times, stable=True)
    end = len(order)
    if folds is None:
        start = _cut(times[order], end - _size("test", test, end)) if test is not None else end
    else:
        start = _cut(times[order], round(end * (folds[1] + 1) / (folds[0] + 1)))
        end = _cut(times[order], round(end * (folds[1] + 2) / (folds[0] + 1)))
    middle = _cut(times[order], start - _size("validation", validation, start)) if start else 0
    if not 0 < middle < start or (test is not None and start == end):
        raise UserError("`data.time` has too few different values for training, validation and test splits")
    return Indices(order[:middle], order[middle:start], order[start:end])


def _cut(sorted_times: Tensor, position: int) -> int:
    """The first position from `position` back at which a time begins, so that equal times stay together."""
    if position >= len(sorted_times):
        return len(sorted_times)
    return int(torch.searchsorted(sorted_times, sorted_times[max(position, 0)].reshape(1))[0])


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


def _shuffled_by_class(labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows sorted by class and shuffled within, and the class counts."""
    shuffled = torch.randperm(len(labels), generator=generator)
    counts = torch.bincount(labels)
    if len(counts) <= 1 << 15:
        labels = labels.to(torch.uint8 if len(counts) <= 1 << 8 else torch.int16)  # numpy sorts these by counting
    by_class = np.argsort(labels.index_select(0, shuffled).numpy(), kind="stable")
    return shuffled.index_select(0, torch.from_numpy(by_class)), counts
