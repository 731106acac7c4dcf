"""What every data set does: read, split, limit, add label noise, preprocess; in that order, each from its own stream.

The options here are shared by all data sets. A data set itself only reads: it returns its examples as a `Raw`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnlab.data.augmentation.base import Augmentation
from nnlab.data.once import read_once
from nnlab.data.pipeline import ArrayRule, InputRule, Pipeline, TargetRule
from nnlab.data.preprocessing.base import Preprocessing
from nnlab.data.preprocessing.none import NoPreprocessing
from nnlab.data.preprocessing.standardize import Standardize
from nnlab.data.splits import Indices, cross_validation, grouped, holdout, ordered, prefix, redraw_labels
from nnlab.errors import UserError
from nnlab.randomness import generator
from nnlab.storage.files import at
from nnlab.types import Dataset, Split, Task
from nnlab.validation import check

DEFAULT_TEST = 0.2  # where `test` is null and the data set has no test split of its own


@dataclasses.dataclass(frozen=True)
class Raw:
    """Examples as they were read, before any split.

    Attributes:
        inputs: (n, D) floats, or images (n, K, H, W) as floats or as uint8, whose 0 ... 255 then become 0 ... 1; or the
            columns of a table.
        targets: (n,) int64 classes or (n, C) floats.
        task: what the targets are.
        target_names: names of the classes or of the regression targets.
        origin: what error messages call the source, such as a file name.
        test: inputs and targets of the data set's own test split, if it has one.
        columns: names of the D numbers of a vector; empty: they are called `0`, `1`, ...
        channels_last: the images were (n, H, W, K) in the source.
        kinds: of a table, what is done with each column.
        target_column: of a table, the column of the target.
        frame: of a table, all of its columns, those that are no inputs too.
        notes: what was guessed or left out, a sentence each.
        groups: (n,) int64; rows of one group are never split.
        times: (n,) float64 by which rows are ordered: the last are for testing, those before for validation.
        validated: (n,) bool, rows that are the data set's own validation split.
    """

    inputs: Any
    targets: Tensor
    task: Task
    target_names: tuple[str, ...]
    origin: str
    test: tuple[Any, Tensor] | None = None
    columns: tuple[str, ...] = ()
    channels_last: bool = False
    kinds: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    target_column: str = ""
    frame: Any = None
    notes: tuple[str, ...] = ()
    groups: Tensor | None = None
    times: Tensor | None = None
    validated: Tensor | None = None

    def check(self) -> None:
        """Refuse examples that are not finite; looks once, whatever the number of seeds that split them.

        Raises:
            UserError: an input or a target is NaN or infinite.
        """
        if "_is_finite" in vars(self):
            return
        if isinstance(self.inputs, Tensor):
            check_finite(self.inputs, "inputs", self.origin)
        check_finite(self.targets, "targets", self.origin)
        vars(self)["_is_finite"] = True


@dataclasses.dataclass(kw_only=True)
class Source(ABC):
    """A data set and how it is split and prepared.

    Args:
        limit: number of training examples to keep, stratified and nested (100 are among the 1000); validation and
            test stay as they are, so that figures for different limits can be compared. None: all.
        label_noise: fraction of the training labels drawn anew once, uniformly over the classes, [0, 1].
        folds: number of folds of a cross-validation, [2, inf): fold number `fold` is the test split and validation
            is drawn from the rest. A data set's own test split then stays unseen. None: no cross-validation.
        fold: which fold, [0, folds).
        validation: fraction of the examples outside the test split that are for validation, (0, 1).
        test: fraction of the examples in the test split, (0, 1). None: the data set's own test split, and a fifth
            where it has none.
        standardize_targets: train regression on targets of zero mean and unit variance; no effect on classes.
        preprocessing: fitted on the training split, applied to all; None: none.
        augmentation: applied to training batches in this order; a list, or a mapping whose keys only name them.
    """

    limit: int | None = None
    label_noise: float = 0.0
    folds: int | None = None
    fold: int = 0
    validation: float = 0.1
    test: float | None = 0.2
    standardize_targets: bool = True
    preprocessing: Preprocessing | None = dataclasses.field(default_factory=Standardize)
    augmentation: list[Augmentation] | dict[str, Augmentation] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.limit is not None:
            check("limit", self.limit, "[1, inf)")
        check("label_noise", self.label_noise, "[0, 1]")
        check("validation", self.validation, "(0, 1)")
        self.check_fraction()
        if self.folds is not None:
            check("folds", self.folds, "[2, inf)")
            check("fold", self.fold, f"[0, {self.folds})")
        elif self.fold != 0:
            raise UserError(f"`fold` is {self.fold} but there are no folds; set `folds` too, such as `data.folds=5`")

    def check_fraction(self) -> None:
        """Refuse a fraction of test examples that is none."""
        if self.test is not None:
            check("test", self.test, "(0, 1)")

    @property
    def augmentations(self) -> list[Augmentation]:
        """The augmentations in their order."""
        return list(self.augmentation.values() if isinstance(self.augmentation, dict) else self.augmentation)

    @abstractmethod
    def read(self, seed: int, root: Path) -> Raw:
        """All examples; `seed` is for generated data, `root` the folder of downloaded data.

        Raises:
            UserError: the data are missing, damaged, or not what the options say.
        """

    def read_for(self, tasks: Collection[Task] | None, seed: int, root: Path) -> Raw:
        """All examples for a loss that fits `tasks`; where a data set leaves its task open, it follows the loss."""
        return self.read(seed, root)

    def files(self, root: Path) -> Sequence[Path] | None:
        """The files whose content, with the options, decides what is read; None where more does, as the seed."""
        return None

    def input_rule(self, raw: Raw, train: Any) -> InputRule:
        """How raw inputs become numbers, fitted on those of training: as they are, images of bytes in [0, 1]."""
        shape = tuple(raw.inputs.shape[1:])
        columns = raw.columns or (tuple(map(str, range(shape[0]))) if len(shape) == 1 else ())
        return ArrayRule(shape, str(raw.inputs.dtype).removeprefix("torch."), columns, raw.channels_last)

    def load(self, seed: int, root: Path, tasks: Collection[Task] | None = None) -> Dataset:
        """The prepared data set, a pure function of the options, the seed, the files, and the tasks of the loss.

        Raises:
            UserError: the data cannot be read, or do not fit the options.
        """
        raw, mark = read_once(self, tasks, seed, root)
        return self.prepare(raw, seed, mark)

    def prepare(self, raw: Raw, seed: int, mark: str = "") -> Dataset:
        """The data set from its raw examples, whose fingerprint is `mark`: split, limited, encoded, preprocessed.

        Raises:
            UserError: the data do not fit the options.
        """
        raw.check()
        rows = self.limited(raw, self.rows(raw, seed), seed)
        parts = [(raw.inputs[rows.train], self.noisy(raw, raw.targets[rows.train], seed))]
        parts.append((raw.inputs[rows.validation], raw.targets[rows.validation]))
        use_own = raw.test is not None and not len(rows.test)
        parts.append(raw.test if use_own and raw.test else (raw.inputs[rows.test], raw.targets[rows.test]))

        rule = self.input_rule(raw, parts[0][0])
        floats = [rule.encode(inputs).inputs for inputs, _ in parts]
        transform = (self.preprocessing or NoPreprocessing()).fit(floats[0])
        mean, std = self.target_statistics(raw.task, parts[0][1])
        train, validation, test = (
            Split(transform.apply(inputs).float(), _rescaled(targets, mean, std))
            for inputs, (_, targets) in zip(floats, parts, strict=True)
        )
        for augmentation in self.augmentations:
            augmentation.check_shape(tuple(train.inputs.shape[1:]))
        statistics = [None if value is None else tuple(value.tolist()) for value in (mean, std)]
        pipeline = Pipeline(rule, transform, TargetRule(raw.task, raw.target_names, raw.target_column, *statistics))
        mean, std = (None if value is None else value.float() for value in (mean, std))
        return Dataset(
            train,
            validation,
            test,
            raw.task,
            raw.target_names,
            mean,
            std,
            self.label_noise,
            pipeline=pipeline,
            fingerprint=mark,
        )

    def rows(self, raw: Raw, seed: int) -> Indices:
        """The rows of each split; an empty `test` stands for the data set's own.

        Raises:
            UserError: a class has a single example, or there are too few examples.
        """
        labels = None if raw.task is Task.REGRESSION else raw.targets
        if labels is not None:
            check_classes(labels, raw.target_names, raw.origin)
        draw = generator(seed, "split")
        folds = None if self.folds is None else (self.folds, self.fold)
        test = self.test if isinstance(self.test, float | int) and not self._brings_test(raw) else None
        test = DEFAULT_TEST if test is None and raw.test is None else test
        if raw.groups is not None:
            return grouped(raw.groups, labels, test, self.validation, folds, draw)
        if raw.times is not None:
            return ordered(raw.times, test, self.validation, folds)
        if folds is not None:
            return cross_validation(len(raw.inputs), labels, *folds, self.validation, draw)
        if raw.validated is not None:
            rows = torch.nonzero(raw.validated).squeeze(1)
            return Indices(torch.nonzero(~raw.validated).squeeze(1), rows, rows[:0])
        return holdout(len(raw.inputs), labels, test, self.validation, draw)

    def _brings_test(self, raw: Raw) -> bool:
        """Whether a column says which rows are for testing, so that no fraction does."""
        return raw.test is not None and bool(raw.kinds)

    def limited(self, raw: Raw, rows: Indices, seed: int) -> Indices:
        """The same rows with at most `limit` of them for training.

        Raises:
            UserError: `limit` is more than there are, or less than one for each class.
        """
        if self.limit is None:
            return rows
        labels = None if raw.task is Task.REGRESSION else raw.targets[rows.train]
        least = 1 if labels is None else len(torch.unique(labels))
        if not least <= self.limit <= len(rows.train):
            each = "" if labels is None else " (at least one for each class)"
            raise UserError(f"`data.limit` must be in [{least}, {len(rows.train)}]{each}, got {self.limit}")
        kept = prefix(len(rows.train), labels, self.limit, generator(seed, "limit"))
        return dataclasses.replace(rows, train=rows.train[kept])

    def noisy(self, raw: Raw, targets: Tensor, seed: int) -> Tensor:
        """The training targets with `label_noise`.

        Raises:
            UserError: the targets are no classes.
        """
        if self.label_noise == 0:
            return targets
        if raw.task is Task.REGRESSION:
            raise UserError("`data.label_noise` needs classes, but this data set is for regression; set it to 0")
        return redraw_labels(targets, self.label_noise, len(raw.target_names), generator(seed, "label_noise"))

    def target_statistics(self, task: Task, targets: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Mean and standard deviation (C,) of the training targets; (None, None) where targets stay as they are."""
        if task is not Task.REGRESSION or not self.standardize_targets:
            return None, None
        std = targets.std(0, correction=0)
        return targets.mean(0), torch.where(targets.amax(0) > targets.amin(0), std, 1.0)


def existing(path: str, root: Path) -> Path:
    """A user's path, from the working directory, or else from the data folder if it exists there."""
    here = at(path)
    return here if here.exists() or not (root / here).exists() else root / here


def check_finite(values: Tensor, what: str, origin: str) -> None:
    """Refuse NaN and infinite values.

    Raises:
        UserError: says how many there are, and the row and column of the first, counted from 0.
    """
    if not values.is_floating_point():
        return
    bad = ~torch.isfinite(values.float())  # as float32, in which the engine computes
    if bad.any():
        row, *rest = torch.nonzero(bad)[0].tolist()
        column = f"column {rest[0]}" if len(rest) == 1 else f"position {tuple(rest)}"
        raise UserError(
            f"{origin}: {int(bad.sum())} of the {what} are NaN, infinite or beyond float32, the first in row {row}, "
            f"{column} (counted from 0); remove or replace them"
        )


def check_classes(labels: Tensor, names: tuple[str, ...], origin: str) -> None:
    """Refuse a class that cannot be stratified.

    Raises:
        UserError: a class has a single example.
    """
    lonely = torch.nonzero(torch.bincount(labels) == 1)
    if len(lonely):
        raise UserError(
            f"{origin}: class `{names[int(lonely[0])]}` has a single example, which cannot be both for training and "
            "for testing; add examples of it or leave it out"
        )


def _rescaled(targets: Tensor, mean: Tensor | None, std: Tensor | None) -> Tensor:
    """Targets in the units the network is trained on: int64 classes unchanged, anything else float32."""
    if not targets.is_floating_point():
        return targets
    return (targets if mean is None or std is None else (targets - mean) / std).float()
