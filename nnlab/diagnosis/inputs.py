"""Findings about the data, known before training: scale of inputs and targets, leaks, a validation split too small."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnlab.diagnosis.finding import Finding
from nnlab.diagnosis.view import View
from nnlab.types import Task

FEW = 50  # validation examples below which one example more or less is 2% or more
SHARED = 0.2
CORRELATED = 0.9998


def not_normalised(view: View) -> Iterator[Finding]:
    """Inputs far from zero mean and unit variance."""
    data = view.record.data
    if data is None:
        return
    low, high = data.input_std
    offset = max(map(abs, data.input_mean))
    wide = high > 5 or offset > 5 * max(high, 1e-12) or offset > 5
    small = high < 0.1
    uneven = low > 0 and high / low > 300
    if not (wide or small or uneven):
        return
    yield Finding(
        "inputs_not_normalised",
        f"Inputs have means up to {offset:.3g} and standard deviations from {low:.3g} to {high:.3g}. Far from zero "
        "mean and unit variance the loss is steep in some directions and flat in others, and no rate suits both.",
        {"largest mean": offset, "smallest std": low, "largest std": high},
        ("data/preprocessing=standardize",),
        step=0,
        certain=True,
    )


def targets_not_standardised(view: View) -> Iterator[Finding]:
    """Regression targets of a size that no fresh network can predict."""
    data = view.record.data
    if data is None or view.record.task is not Task.REGRESSION:
        return
    if data.target_std > 10 or data.target_std < 0.05 or data.target_mean > 10 * max(data.target_std, 1):
        yield Finding(
            "targets_not_standardised",
            f"Targets have a mean of {data.target_mean:.3g} and a standard deviation of {data.target_std:.3g}, but "
            "the outputs of a fresh network are of size 1: gradients are of the wrong size until they agree.",
            {"target mean": data.target_mean, "target std": data.target_std},
            ("data.standardize_targets=true",),
            step=0,
            certain=True,
        )


def leakage(view: View) -> Iterator[Finding]:
    """The validation split is not new to the network, or the inputs give the target away."""
    data, record = view.record.data, view.record
    if data is None:
        return
    correlation, feature = data.target_correlation
    if data.shared > SHARED:
        yield Finding(
            "leakage_suspected",
            f"{data.shared:.0%} of the validation examples are in the training split, too: the validation measures "
            "memory, not generalisation. Remove duplicates before splitting.",
            {"shared fraction": data.shared},
            step=0,
            certain=True,
        )
    elif correlation > CORRELATED and view.record.data is not None:
        yield Finding(
            "leakage_suspected",
            f"Input {feature} determines a target by itself (correlation {correlation:.5f}): the answer seems to be "
            "among the inputs. Leave that column out.",
            {"correlation": correlation, "input": feature},
            layer=f"input {feature}",
            step=0,
            certain=True,
        )
    else:
        yield from _too_good(view, bool(record.noise or record.augmented or record.penalties or data.label_noise))


def _too_good(view: View, regularized: bool) -> Iterator[Finding]:
    train, validation = view.record.splits.get("train"), view.record.splits.get("validation")
    if train is None or validation is None or regularized or view.record.task is Task.REGRESSION:
        return
    error = math.hypot(train.error, validation.error)
    if validation.metric - train.metric > max(0.1, 5 * error):
        yield Finding(
            "leakage_suspected",
            f"Without regularization the validation is at {validation.metric:.1%}, far above the training split's "
            f"{train.metric:.1%}: the validation split is easier, or the training labels are noisier.",
            {"train": train.metric, "validation": validation.metric, "standard error": error},
        )


def _share(examples: int) -> float:
    """A quarter of the examples, or more, up to a half, where a quarter is too few."""
    return min(0.5, max(0.25, math.ceil(110 * FEW / examples) / 100)) if examples else 0.25


def noisy_validation(view: View) -> Iterator[Finding]:
    """A validation split so small that its metric is mostly chance."""
    data, facts = view.record.data, view.record.splits.get("validation")
    count = data.examples.get("validation", FEW) if data else FEW
    if count >= FEW:
        return
    metric = view.record.primary_metric
    error = facts.error if facts else math.nan
    shown = f"{facts.metric:.3g} has a standard error of {error:.2g}" if facts else "has a large standard error"
    yield Finding(
        "noisy_validation",
        f"There are only {count} validation examples: {metric} {shown}, and in the best case one example changes it by "
        f"{1 / count:.1%}. Choices made by it are partly chance.",
        {"examples": count, "standard error": error},
        (f"data.validation={_share(data.examples.get('train', 0) + count if data else 0)}",),
        severity="note",
        step=0,
        certain=True,
    )
