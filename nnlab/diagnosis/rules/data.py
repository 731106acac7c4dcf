"""Findings about the data, known before training: inputs, targets, classes, splits and leaks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from nnlab.console import counted
from nnlab.data.table.target import spelled_alike
from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.facts.data import DataFacts
from nnlab.diagnosis.finding import Finding, shown
from nnlab.diagnosis.rules.leaks import leaks
from nnlab.types import Task

LARGE, SMALL = 5.0, 0.05  # root mean square or standard deviation of inputs that count as standardized
WIDE = 10.0  # standard deviation of a single column, which the robust default of tables bounds by this
UNEVEN = 100.0  # ratio of the largest feature's standard deviation to the median one
LARGE_TARGETS, SMALL_TARGETS = 10.0, 0.05
IMBALANCED = 10.0
FEW = 50  # validation examples below which one example more or less is 2% or more
FAIR = 0.9  # skill from which inputs that were prepared in a strange way are none the worse for it
HANDFUL = 10  # held-out examples below which what is measured on them says little
CERTAIN = 30  # validation examples from which their loss says something about others

STANDARDIZE = ("data/preprocessing=standardize",)


def data_findings(data: DataFacts) -> Iterator[Finding]:
    """All that is to say about a data set, faults first."""
    if data.examples.get("train") == 1:
        single = _certain("inputs_constant", "there is a single training example", data.inputs.features)
        yield dataclasses.replace(single, variant="single")
        return
    found = [*_inputs(data), *placeholders(data), *_lone(data), *_targets(data), *_classes(data), *leaks(data)]
    yield from sorted(found, key=lambda finding: not finding.fault)


def _inputs(data: DataFacts) -> Iterator[Finding]:
    facts = data.inputs
    if data.own_rows:
        yield Finding(
            "rows_standardized",
            f"The {data.own_rows} columns of numbers have the same mean and the same standard deviation in every row",
            {"columns": data.own_rows},
            step=0,
        )
    if facts.broken:
        yield _certain("inputs_not_finite", f"{facts.broken} of the training inputs are NaN or infinite", facts.broken)
    elif facts.constant == facts.features:
        value = "zero" if facts.lowest == facts.highest == 0 else "the same for all examples"
        yield _certain("inputs_constant", f"all {facts.features} input features are {value}", facts.constant)
    else:
        yield from _scale(data)
        if facts.constant:
            never = counted(facts.constant, "input feature", "never changes", "never change", of=facts.features)
            yield Finding("constant_features", never)


def _scale(data: DataFacts) -> Iterator[Finding]:
    facts = data.inputs
    low, high = facts.std
    offset = max(map(abs, facts.mean))
    wide = facts.rms > LARGE or high > WIDE or offset > LARGE
    uneven = high > UNEVEN * facts.median_std and high > 1
    if wide or uneven or high < SMALL:
        yield Finding(
            "inputs_not_standardized",
            f"Inputs have means up to {shown(offset)}, standard deviations from {shown(low)} to {shown(high)} and a "
            f"root mean square of {shown(facts.rms)} (standardized: 0, 1 and 1)",
            {"largest mean": offset, "smallest std": low, "largest std": high, "rms": facts.rms},
            STANDARDIZE,
            step=0,
            certain=True,
        )


def placeholders(data: DataFacts) -> Iterator[Finding]:
    """Numbers that stand for none, and rows whose inputs were lost."""
    if data.lost is not None:
        yield Finding(
            "inputs_lost",
            f"{data.lost.share:.0%} of the training rows have the same inputs, to which no other row comes near, and "
            f"{data.lost.answers} different targets",
            {"share": data.lost.share, "different targets": data.lost.answers},
            step=0,
            certain=True,
        )
    for found, what in ((data.placeholder, "input"), (data.target_placeholder, "target")):
        if found is None or data.lost is not None:
            continue
        names = ", ".join(found.columns[:3]) + (", ..." if len(found.columns) > 3 else "")
        several = f"{len(found.columns)} {what} columns ({names})" if len(found.columns) > 1 else f"{what} {names}"
        ruined = found.squeezed > max(0.25 * data.inputs.features, 0) or (what == "target" and found.squeezed > 0)
        squeezed = (
            f"; their scale is that of this number, so that all other values of {found.squeezed} of them look alike"
            if found.squeezed
            else ""
        )
        after = " after preprocessing" if found.processed else ""
        value = shown(found.value, 4) if found.processed else f"{found.value:.15g}"  # which is to be typed
        yield Finding(
            "placeholders",
            f"{found.share:.1%} of the values of {several} are exactly {value}{after}, far from all others{squeezed}",
            {"value": found.value, "share": found.share, "columns": len(found.columns), "squeezed": found.squeezed},
            level="fault" if ruined else "note",
            variant="" if ruined else "harmless",
            step=0,
            certain=ruined,
        )


def _lone(data: DataFacts) -> Iterator[Finding]:
    lone = data.lone
    if lone is not None and data.lost is None and data.placeholder is None:
        several = len(lone.columns) > 1
        where = f"columns {', '.join(lone.columns[:3])}" if several else f"column {lone.columns[0]}"
        values = "value" if lone.count == 1 else f"{lone.count} values"
        value = {} if lone.value is None else {"value": lone.value}
        such = "" if lone.value is None else f" (such as {shown(lone.value, 4)})"
        decide = f"{'decides' if lone.count == 1 else 'decide'} {'their' if several else 'its'} scale"
        yield Finding(
            "lone_values",
            f"The farthest {values} of input {where}{such} {decide}, on which all "
            f"others have a standard deviation of {shown(lone.others, 2)}",
            {**value, "count": lone.count, "columns": len(lone.columns), "others": lone.others},
            ("data/preprocessing=robust",),
            step=0,
        )
    elif data.uneven is not None and data.lost is None and data.placeholder is None:
        names = data.uneven.columns
        where = f"columns {', '.join(names[:3])}" if len(names) > 1 else f"column {names[0]}"
        yield Finding(
            "uneven_scale",
            f"Most values of input {where} lie within {data.uneven.within:.2%} of the standard deviation, and so look "
            "alike: a part of the values, far larger, decides the scale",
            {"columns": len(names), "within": data.uneven.within},
            ("data/preprocessing=quantile",),
            step=0,
        )


def _targets(data: DataFacts) -> Iterator[Finding]:
    facts = data.targets
    if facts.counts:
        return
    if (
        facts.std > LARGE_TARGETS
        or facts.std < SMALL_TARGETS
        or facts.mean > LARGE_TARGETS * max(facts.std, 1.0)
        or facts.rms > LARGE_TARGETS
    ):
        yield Finding(
            "targets_not_standardized",
            f"Targets have a mean of {shown(facts.mean)} and a standard deviation of {shown(facts.std)}",
            {"target mean": facts.mean, "target std": facts.std},
            ("data.standardize_targets=true",),
            step=0,
            certain=True,
        )
    if facts.outlying > 0.5:
        scale = (f"data.target_transform={facts.transform}",) if facts.transform else ()
        yield Finding(
            "target_outliers",
            f"{counted(facts.outliers, 'training target', 'lies', 'lie')} farther from the median than 25 times the "
            f"width of the middle half, with {facts.outlying:.0%} of all squared deviations",
            {"outliers": facts.outliers, "share of squares": facts.outlying},
            scale,
            step=0,
            certain=True,
        )


def _classes(data: DataFacts) -> Iterator[Finding]:
    counts, facts = data.class_counts, data.targets
    if not counts:
        return
    alike = spelled_alike(facts.names)
    if alike:
        shown_names = "; ".join(" and ".join(repr(name) for name in names) for names in alike[:3])
        more = f", and {len(alike) - 3} more pairs" if len(alike) > 3 else ""
        yield _certain(
            "classes_spelled_alike", f"Classes differ in blanks or capitals alone: {shown_names}{more}", len(alike)
        )
    missing = [label for label, count in enumerate(counts) if count == 0]
    if missing:
        held_out = sum(facts.counts[name][label] for name in ("validation", "test") for label in missing)
        names = ", ".join(facts.name(label) for label in missing[:3]) + (", ..." if len(missing) > 3 else "")
        what = f"class {names} has" if len(missing) == 1 else f"classes {names} have"
        elsewhere = f", but {held_out} in the validation and test splits" if held_out else ""
        yield _certain("class_missing", f"{what} no training example{elsewhere}", len(missing))
        return
    ratio = max(counts) / min(counts)
    if ratio > IMBALANCED:
        yield Finding(
            "classes_imbalanced",
            f"the largest class is {shown(ratio)} times as frequent as the smallest; always answering it is right in "
            f"{max(counts) / sum(counts):.0%} of the cases",
        )


def _certain(name: str, observed: str, count: int) -> Finding:
    return Finding(name, observed, {"count": count}, step=0, certain=True)


def data_rule(view: View) -> Iterator[Finding]:
    """What training cannot change about the data: everything but notes that only the recipe has room for."""
    if view.record.data is not None:
        for finding in data_findings(view.record.data):
            if finding.name in ("target_outliers", "placeholders") and (view.weak or view.behind_constant):
                finding = dataclasses.replace(finding, level="fault", variant="")
            if finding.name == "rows_standardized" and view.skill("validation") < FAIR:
                finding = dataclasses.replace(finding, level="fault")
            if finding.name not in ("constant_features", "classes_imbalanced"):
                yield finding


def too_good(view: View) -> Iterator[Finding]:
    """A validation far above the training split, without anything that holds training back."""
    record = view.record
    data, train, validation = record.data, record.splits.get("train"), record.splits.get("validation")
    held_back = record.noise or record.augmented or record.penalties or (data is not None and data.label_noise)
    if train is None or validation is None or held_back or record.task is Task.REGRESSION:
        return
    error = math.hypot(train.error, validation.error)
    if validation.metric - train.metric > max(0.1, 5 * error):
        yield Finding(
            "validation_easier",
            f"Without regularization the validation ends at {validation.metric:.1%}, far above the training split's "
            f"{train.metric:.1%}",
            {"train": train.metric, "validation": validation.metric, "standard error": error},
        )


def noisy_validation(view: View) -> Iterator[Finding]:
    """A validation split so small that its metric is mostly chance.

    The standard error is that of any network, not of the one at hand: of an accuracy sqrt(1/4 / n) at most, of a root
    mean squared error about the part 1 / sqrt(2 n), as of normal errors.
    """
    data, metric = view.record.data, view.record.primary_metric
    count = data.examples.get("validation", FEW) if data else FEW
    if not 0 < count < FEW:
        return
    regression = view.record.task is Task.REGRESSION
    error = 1 / math.sqrt((2 if regression else 4) * count)
    if count == 1:
        says = f"{metric} on it says nothing about others"
    elif regression:
        says = f"{metric} has a standard error of about {error:.0%} of itself"
    else:
        says = f"{metric} has a standard error of up to {error:.2g}, and one example changes it by {1 / count:.1%}"
    yield Finding(
        "noisy_validation",
        f"There {'is' if count == 1 else 'are'} only {counted(count, 'validation example')}: {says}",
        {"examples": count} | ({} if count == 1 else {f"{'relative ' * regression}standard error": error}),
        (f"data.validation={_share(data.examples.get('train', 0) + count if data else 0)}",),
        step=0,
        variant="few" if count < CERTAIN else "",
        certain=True,
    )


def _share(examples: int) -> float:
    """A quarter of the examples, or more, up to a half, where a quarter is too few."""
    return min(0.5, max(0.25, math.ceil(110 * FEW / examples) / 100)) if examples else 0.25
