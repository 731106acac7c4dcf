"""What every data set does: read, split, limit, add label noise, preprocess; in that order, each from its own stream.

The options here are shared by all data sets. A data set itself only reads: it returns its examples as a `Raw`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor

from nnlab.data.augmentation.base import Augmentation
from nnlab.data.checks import check_classes
from nnlab.data.once import read_once
from nnlab.data.pipeline import Pipeline
from nnlab.data.preparing import Part, prepare_inputs
from nnlab.data.preprocessing.base import Preprocessing
from nnlab.data.preprocessing.none import NoPreprocessing
from nnlab.data.preprocessing.standardize import Standardize
from nnlab.data.raw import Raw
from nnlab.data.rules import ArrayRule, InputRule, TargetRule
from nnlab.data.splits import Indices, cross_validation, grouped, holdout, ordered, prefix, redraw_labels
from nnlab.data.table.ranges import ranges_of
from nnlab.errors import UserError
from nnlab.randomness import generator
from nnlab.storage.files import at
from nnlab.types import Dataset, Split, Task
from nnlab.units import DOMAINS, TRANSFORMS, TargetTransform, fits, transformed
from nnlab.validation import check, check_choice

MOST_RANGES, RANGED = 1000, 4096  # numbers of an example whose ranges are kept, and rows that say them
DEFAULT_TEST = 0.2  # where `test` is null and the data set has no test split of its own


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
        validation_fold: which part of the examples outside the test split is for validation: the first, the next of the
            same size, ...; the test split stays as it is, and parts share no example. [0, 1 / validation)
        test: fraction of the examples in the test split, (0, 1). None: the data set's own test split, and a fifth
            where it has none.
        target_transform: `log`: train regression on the logarithm of the targets, which must be above 0, for targets of
            any size from a thousandth to millions; `log1p`: on that of one more, for counts and amounts that may be 0;
            predictions and metrics are in the data's own units.
        standardize_targets: train regression on targets of zero mean and unit variance; no effect on classes.
        preprocessing: fitted on the training split, applied to all; None: none.
        augmentation: applied to training batches in this order; a list, or a mapping whose keys only name them.
        resident: whether the inputs are in memory, on CUDA that of the GPU (`true`), or on disk, from which minibatches
            are read with the same bits (`false`); `auto`: in memory if they take at most a quarter of what is free.

    Attributes:
        keeps_shape: whether an example has the same number of inputs before preprocessing, whatever the training split.
    """

    keeps_shape: ClassVar[bool] = True

    limit: int | None = None
    label_noise: float = 0.0
    folds: int | None = None
    fold: int = 0
    validation: float = 0.1
    validation_fold: int = 0
    test: float | None = 0.2
    target_transform: TargetTransform | None = "none"
    standardize_targets: bool = True
    preprocessing: Preprocessing | None = dataclasses.field(default_factory=Standardize)
    augmentation: list[Augmentation] | dict[str, Augmentation] = dataclasses.field(default_factory=dict)
    resident: bool | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        if self.limit is not None:
            check("limit", self.limit, "[1, inf)")
        check("label_noise", self.label_noise, "[0, 1]")
        self.target_transform = self.target_transform or "none"
        check_choice("data.target_transform", self.target_transform, TRANSFORMS)
        check("validation", self.validation, "(0, 1)")
        if not isinstance(self.resident, bool):
            check_choice("data.resident", self.resident, ("auto", "true", "false"))
        check("validation_fold", self.validation_fold, "[0, inf)")
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

    def read_into(self, folder: Path, tasks: Collection[Task] | None, seed: int, root: Path) -> Raw:
        """As `read_for`; what is large may be written into a folder, and be read from there as arrays on disk."""
        return self.read_for(tasks, seed, root)

    def title(self, root: Path) -> str:
        """What a list of what is kept calls the data."""
        return str(getattr(self, "path", "")) or type(self).__name__

    def files(self, root: Path) -> Sequence[str | Path] | None:
        """The files whose content, with the options, decides what is read; None where more does, as the seed."""
        return None

    def input_rule(self, raw: Raw, train: Any) -> InputRule:
        """How raw inputs become numbers, fitted on those of training: as they are, images of bytes in [0, 1]."""
        shape = tuple(raw.inputs.shape[1:])
        columns = raw.columns or (tuple(map(str, range(shape[0]))) if len(shape) == 1 else ())
        dtype = str(raw.inputs.dtype).removeprefix("torch.")
        some = torch.arange(0, len(train), 1 + len(train) // RANGED)
        ranges = ranges_of(train[some].double().numpy()) if 0 < len(columns) <= MOST_RANGES else ()
        return ArrayRule(shape, dtype, columns, raw.channels_last, ranges=ranges)

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
        self.check_targets(raw)
        rows = self.limited(raw, self.rows(raw, seed), seed)
        parts = [Part(raw.inputs, rows.train), Part(raw.inputs, rows.validation), Part(raw.inputs, rows.test)]
        targets = [raw.targets.index_select(0, each) for each in (rows.train, rows.validation, rows.test)]
        targets[0] = self.noisy(raw, targets[0], seed)
        if raw.test is not None and not len(rows.test):
            parts[2], targets[2] = Part(raw.test[0], torch.arange(len(raw.test[1]))), raw.test[1]

        transform, own = self.target_transform or "none", targets[0]
        targets = targets if transform == "none" else [transformed(each.double(), transform) for each in targets]
        mean, std = self.target_statistics(raw.task, targets[0])
        center, width = (None if value is None else tuple(value.tolist()) for value in (mean, std))
        ranges = ranges_of(own.numpy()) if raw.task is Task.REGRESSION else ()
        target = TargetRule(raw.task, raw.target_names, raw.target_column, center, width, transform, ranges)
        found = prepare_inputs(self, self.preprocessing or NoPreprocessing(), raw, parts, target, mark)
        train, validation, test = (
            Split(cast(Tensor, inputs), _rescaled(each, mean, std))  # what is streamed stands where a tensor does
            for inputs, each in zip(found.inputs, targets, strict=True)
        )
        for augmentation in self.augmentations:
            augmentation.check_shape(tuple(train.inputs.shape[1:]))
        return Dataset(
            train,
            validation,
            test,
            raw.task,
            raw.target_names,
            target.units(torch.float32),
            self.label_noise,
            pipeline=Pipeline(found.rule, found.transform, target),
            fingerprint=mark,
            resident=self.resident if found.resident or self.resident != "auto" else False,
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
        own_rules = (raw.groups, raw.times, folds, raw.validated)
        if self.validation_fold and any(rule is not None for rule in own_rules):
            raise UserError("`data.validation_fold` needs splits at random: leave it out, or groups, time and folds")
        if raw.groups is not None:
            return grouped(raw.groups, labels, test, self.validation, folds, draw)
        if raw.times is not None:
            return ordered(raw.times, test, self.validation, folds)
        if folds is not None:
            return cross_validation(len(raw.inputs), labels, *folds, self.validation, draw)
        if raw.validated is not None:
            rows = torch.nonzero(raw.validated).squeeze(1)
            return Indices(torch.nonzero(~raw.validated).squeeze(1), rows, rows[:0])
        return holdout(len(raw.inputs), labels, test, self.validation, draw, self.validation_fold)

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
        if self.limit > len(rows.train):
            raise UserError(
                f"`data.limit={self.limit}` is more than the {len(rows.train)} training examples that are left beside "
                f"{len(rows.validation)} for validation and {len(rows.test)} for testing"
            )
        if self.limit < least:
            each = "" if labels is None else ", one for each class"
            raise UserError(f"`data.limit` must be at least {least}{each}, got {self.limit}")
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

    def check_targets(self, raw: Raw) -> None:
        """Refuse a transform that targets do not have.

        Raises:
            UserError: they are classes, or not all above 0.
        """
        if self.target_transform in (None, "none"):
            return
        chosen = f"`data.target_transform={self.target_transform}`"
        if raw.task is Task.REGRESSION:
            for origin, _, targets in raw.parts:
                for name, column in zip(raw.target_names, targets.T, strict=True):
                    low, count = float(column.min()), int((~fits(column, self.target_transform)).sum())
                    if count:
                        way = "`log1p` takes 0, too" if low == 0 else self.advice_for(name, column)
                        raise UserError(
                            f"{origin}: {chosen} needs targets {DOMAINS[self.target_transform]}, but {count} of the "
                            f"{len(column)} values of `{name}` {'is' if count == 1 else 'are'} not; the smallest is "
                            f"{low:g}; {way}"
                        )
        else:
            raise UserError(
                f"{chosen} needs numbers as targets, but those of {raw.origin} are classes; leave it out of the command"
            )

    def advice_for(self, name: str, targets: Tensor) -> str:
        """What to do about targets (n,) of this name that are too small for `target_transform`."""
        return "leave out `data.target_transform`"

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


def _rescaled(targets: Tensor, mean: Tensor | None, std: Tensor | None) -> Tensor:
    """Targets in the units the network is trained on: int64 classes unchanged, anything else float32."""
    if not targets.is_floating_point():
        return targets
    return (targets if mean is None or std is None else (targets - mean) / std).float()
