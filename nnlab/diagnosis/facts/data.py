"""Facts about a data set that need no training: inputs, classes, targets, leaks, levels of the loss, references."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nnlab.diagnosis.facts.combination import Combination, find_combination
from nnlab.diagnosis.facts.filled import Filled, find_filled
from nnlab.diagnosis.facts.giveaway import Giveaway, find_giveaway
from nnlab.diagnosis.facts.leaks import Shared, shared_examples
from nnlab.diagnosis.facts.levels import Levels, measure_levels, sample, sample_targets
from nnlab.diagnosis.facts.lone import LoneValues, UnevenScale, find_lone_values, find_uneven_scale
from nnlab.diagnosis.facts.once import once
from nnlab.diagnosis.facts.references import References, measure_references
from nnlab.diagnosis.facts.rows import standardized_rows
from nnlab.diagnosis.facts.values import LostRows, Placeholder, find_lost_rows, find_placeholder, target_placeholder
from nnlab.loss.base import Loss
from nnlab.streaming import READ, Streamed, at_once, pieces
from nnlab.types import Dataset

SAMPLE = 2048  # examples that moments and correlations are computed from
CURVED = 10.0  # largest target from which its logarithm, with one added, is another scale
FAR = 25.0  # distances of the middle half of the targets, beyond which a target is an outlier
HEAVY = 0.3  # share of all squared deviations that a hundredth of the targets may have
SKEWED = 0.8  # share of the largest class from which accuracy says little


@dataclass(frozen=True)
class InputFacts:
    """The training inputs as the network sees them, after preprocessing.

    Attributes:
        mean, std: smallest and largest over the features of vectors, the channels of images; constant ones left out.
        median_std: over the same features.
        rms: root mean square of all inputs; 1 where they are standardized, so that first-layer weights of standard
            deviation 1/sqrt(D) give sums of variance 1 (LeCun et al. 1998, "Efficient BackProp", section 4.3).
        lowest, highest: of all inputs.
        features, constant: how many there are, and how many never change.
        broken: how many values are NaN or infinite.
    """

    mean: tuple[float, float] = (0.0, 0.0)
    std: tuple[float, float] = (1.0, 1.0)
    median_std: float = 1.0
    rms: float = 1.0
    lowest: float = -3.0
    highest: float = 3.0
    features: int = 1
    constant: int = 0
    broken: int = 0


@dataclass(frozen=True)
class TargetFacts:
    """The targets.

    Attributes:
        names: of the classes, or of the regression targets.
        counts: examples of each class by split; empty for regression.
        mean, std, rms: largest absolute mean, largest standard deviation and root mean square of regression targets.
        tail: share of all squared deviations that the farthest hundredth of the targets has, in the data's units.
        outliers: how many lie farther than `FAR` times the middle half's width from the median.
        outlying: share of all squared deviations that these have.
        transform: the option of `data.target_transform` that those of all splits have, and that is not chosen yet.
    """

    names: tuple[str, ...] = ()
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    mean: float = 0.0
    std: float = 0.0
    rms: float = 1.0
    tail: float = 0.0
    outliers: int = 0
    outlying: float = 0.0
    transform: str = ""

    def name(self, label: int) -> str:
        """The name of a class as a text has it."""
        return f"`{self.names[label]}`" if label < len(self.names) else str(label)


@dataclass(frozen=True)
class DataFacts:
    """What the data set says before any training.

    Attributes:
        examples: number of examples by split.
        inputs, targets, levels: see their classes.
        shared: examples of `validation` and `test` that are also in the training split.
        giveaway: the input column that gives the target away alone, if there is one.
        combination: a few input columns that give it away together.
        filled: columns whose gaps were filled by the target.
        placeholder, target_placeholder: a number that stands for none among the inputs, among regression targets.
        lone: single values among the inputs that stretch the scale of their columns.
        uneven: columns whose scale a part of their values decides.
        lost: many rows with the same inputs, not by chance.
        own_rows: columns that were standardized within each row; 0: none.
        baseline_metric: the primary metric of the best constant prediction on the validation split.
        simple: what simple methods reach, or what computes it when it is first asked for: most sound runs do without.
        label_noise: fraction of the training labels that were drawn anew.
    """

    examples: Mapping[str, int]
    inputs: InputFacts
    targets: TargetFacts
    levels: Levels
    baseline_metric: float
    simple: References | Callable[[], References]
    shared: Mapping[str, Shared] = field(default_factory=dict)
    giveaway: Giveaway | None = None
    combination: Combination | None = None
    filled: Filled | None = None
    placeholder: Placeholder | None = None
    target_placeholder: Placeholder | None = None
    lone: LoneValues | None = None
    uneven: UnevenScale | None = None
    lost: LostRows | None = None
    own_rows: int = 0
    label_noise: float = 0.0

    @functools.cached_property
    def references(self) -> References:
        """What simple methods reach."""
        return self.simple() if callable(self.simple) else self.simple

    @property
    def clean(self) -> bool:
        """Whether nothing was found among the examples that makes a data set a trap, not even a stray copy."""
        traps = (
            self.giveaway,
            self.combination,
            self.filled,
            self.placeholder,
            self.target_placeholder,
            self.lone,
            self.lost,
        )
        return (
            all(trap is None for trap in traps)
            and not self.own_rows
            and not any(shared.found for shared in self.shared.values())
        )

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training examples of each class; empty for regression."""
        return self.targets.counts.get("train", ())

    @property
    def skewed(self) -> bool:
        """Whether a few examples decide the metric, so that only the order of the predictions can be judged.

        That is so for accuracy where one class is nearly all, and for squared errors where the targets have outliers.
        """
        counts = self.class_counts
        return max(counts) > SKEWED * sum(counts) if counts else self.targets.tail > HEAVY


def data_facts(dataset: Dataset, loss: Loss, clean: bool = False) -> DataFacts:
    """The facts of a data set, as the network sees it, and of a loss on it.

    Args:
        dataset: the data set.
        loss: the loss.
        clean: whether other splits of the same examples are known to be, or nobody asks; traps are not looked for.
    """
    known = once("facts", dataset, loss, lambda: _facts(dataset, loss))
    traps = {} if clean else once("traps", dataset, None, lambda: _traps(dataset))
    return DataFacts(**known, **traps, simple=lambda: measure_references(dataset, loss))


def _facts(dataset: Dataset, loss: Loss) -> dict[str, Any]:
    """Those of the facts that take little time."""
    return {
        "examples": {name: len(getattr(dataset, name)) for name in ("train", "validation", "test")},
        "inputs": input_facts(dataset),
        "targets": target_facts(dataset),
        "levels": measure_levels(dataset, loss),
        "baseline_metric": constant_metric(dataset, dataset.validation.targets),
        "label_noise": dataset.label_noise,
    }


def _traps(dataset: Dataset) -> dict[str, Any]:
    """Those of the facts that say whether the examples themselves mislead."""
    return {
        "shared": {name: shared_examples(dataset.train, getattr(dataset, name)) for name in ("validation", "test")},
        "giveaway": find_giveaway(dataset),
        "combination": find_combination(dataset),
        "filled": find_filled(dataset),
        "placeholder": find_placeholder(dataset),
        "target_placeholder": target_placeholder(dataset),
        "lone": find_lone_values(dataset),
        "uneven": find_uneven_scale(dataset),
        "lost": find_lost_rows(dataset.train),
        "own_rows": standardized_rows(dataset),
    }


def input_facts(dataset: Dataset) -> InputFacts:
    """The facts of the training inputs."""
    inputs = dataset.train.inputs
    count = at_once(inputs, READ, len(inputs))
    total = sum(piece.sum(dtype=torch.float64) for piece in pieces(inputs, count))
    if not bool(torch.isfinite(torch.as_tensor(total))):
        broken = sum(int((~torch.isfinite(piece)).sum()) for piece in pieces(inputs, count))
        return InputFacts(broken=broken, features=dataset.input_size)
    part = sample(dataset.train, SAMPLE).inputs
    means, stds = _moments(part)
    lowest, highest = part.flatten(1).amin(0), part.flatten(1).amax(0)
    return InputFacts(
        mean=(float(means.min()), float(means.max())),
        std=(float(stds.min()), float(stds.max())),
        median_std=float(stds.median()),
        rms=float(part.float().square().mean().sqrt()),
        lowest=float(lowest.min()),
        highest=float(highest.max()),
        features=dataset.input_size,
        constant=_constant_features(inputs, part.flatten(1), lowest == highest),
    )


def _moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature of vectors, each channel of images; constant ones are left out."""
    each = [inputs] if inputs.ndim == 2 else inputs.unbind(1)  # one channel in double precision at a time
    means, stds = (torch.cat(moments) for moments in zip(*map(_moments_of, each), strict=True))
    varying = stds > 1e-12 * means.abs().clamp(min=1)
    if not bool(varying.any()):
        return means, stds
    return means[varying], stds[varying]


def _moments_of(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature of vectors (n, D); (1,), of all numbers of a channel (n, ...)."""
    values = inputs.double() if inputs.ndim == 2 else inputs.double().reshape(-1, 1)
    means = values.mean(0)
    return means, (values - means).square_().mean(0).sqrt()  # a sixth of the time of `std`


def _constant_features(inputs: Tensor | Streamed, part: Tensor, suspected: Tensor) -> int:
    """How many columns never change; only those `suspected` (D,), that do not in a part of the examples, can be."""
    suspects = suspected.nonzero().flatten()
    if len(part) == len(inputs):
        return len(suspects)
    constant = torch.ones_like(suspects, dtype=torch.bool)
    for piece in pieces(inputs, at_once(inputs, READ, len(inputs))) if len(suspects) else ():
        constant &= (piece.flatten(1)[:, suspects] == part[0, suspects]).all(0)
    return int(constant.sum())


def target_facts(dataset: Dataset) -> TargetFacts:
    """The facts of the targets."""
    targets = dataset.train.targets
    if not targets.is_floating_point():
        counts = {
            name: tuple(torch.bincount(getattr(dataset, name).targets, minlength=dataset.target_size).tolist())
            for name in ("train", "validation", "test")
        }
        return TargetFacts(dataset.target_names, counts)
    part = sample_targets(dataset.train, 4 * SAMPLE).double()
    low, middle, high = (part.quantile(q, 0) for q in (0.25, 0.5, 0.75))
    squares = (part - part.mean(0)).square().sum(1)
    # Targets most of which are one number have a middle half of no width, and no outliers by this measure.
    width = torch.where(high > low, high - low, torch.full_like(low, float("inf")))
    far = ((part - middle).abs() > FAR * width).any(1)
    return TargetFacts(
        dataset.target_names,
        mean=float(part.mean(0).abs().max()),
        std=float(part.std(0).max()) if len(part) > 1 else 0.0,
        rms=float(part.square().mean().sqrt()),
        tail=_tail(_restored(dataset, part)),
        outliers=int(far.sum()),
        outlying=float(squares[far].sum() / squares.sum().clamp(min=1e-30)),
        transform=_transform(dataset),
    )


def _restored(dataset: Dataset, targets: Tensor) -> Tensor:
    """Targets in the units of the data."""
    units = dataset.units
    return targets if units is None else units.to(targets.device, targets.dtype).restored(targets)


def _tail(targets: Tensor) -> float:
    """Share of all squared deviations that the farthest hundredth of the targets (n, C) has."""
    squares = (targets - targets.mean(0)).square().sum(1)
    farthest = squares.sort(descending=True).values[: max(len(targets) // 100, 1)]
    return float(farthest.sum() / squares.sum().clamp(min=1e-30))


def _transform(dataset: Dataset) -> str:
    """The logarithm that would be another way to learn the targets; empty where there is none, or it is learned."""
    if dataset.units is not None and not dataset.units.is_linear:
        return ""
    ends = [_restored(dataset, split.targets.double()) for split in (dataset.train, dataset.validation, dataset.test)]
    low, high = min(float(each.min()) for each in ends), max(float(each.max()) for each in ends)
    rounding = 5e-7 * max(
        float(each.std(correction=0)) + abs(float(each.mean())) for each in ends
    )  # of what is standardized
    several = sum(int((each == low).sum()) for each in ends) > 1  # as there are of zeros, and hardly of others so small
    low = 0.0 if abs(low) <= rounding and (several or low < 0) else low
    # What is below 1 is its own log1p, nearly.
    return "log" if low > 0 else "log1p" if low == 0 and high > CURVED else ""


def constant_metric(dataset: Dataset, targets: Tensor) -> float:
    """The training split's best constant answer on targets of any split, (n,) labels or (n, C) numbers.

    Returns:
        The accuracy of the most frequent class, or the root mean squared error of the mean, in the data's units.
    """
    train = dataset.train.targets
    if not train.is_floating_point():
        return float((targets == train.mode().values).double().mean())
    units = dataset.units
    if units is not None and not units.is_linear:  # the best constant in the data's units
        train, targets, units = units.restored(train), units.restored(targets), None
    return float(((targets - train.mean(0)) * (1.0 if units is None else units.std)).square().mean().sqrt())
