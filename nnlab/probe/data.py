"""Experiments on the data of a run: splits that differ, labels that are wrong, renamed, or belong to other rows."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from nnlab.config.build import build_source, data_root, data_seed, load_dataset, loss_tasks
from nnlab.console import silenced
from nnlab.data.once import read_once
from nnlab.data.raw import Raw
from nnlab.diagnosis import Finding
from nnlab.diagnosis.facts.chance import association, ranks
from nnlab.diagnosis.facts.labels import label_facts, renamed
from nnlab.diagnosis.facts.levels import sample, thumbnails
from nnlab.diagnosis.facts.references import simple_predictions, skill
from nnlab.diagnosis.facts.shift import measure_shift
from nnlab.diagnosis.finding import Number
from nnlab.diagnosis.rules.fit import UNRELATED
from nnlab.diagnosis.rules.labels import label_findings, renamed_finding
from nnlab.diagnosis.rules.splits import shift_findings
from nnlab.errors import UserError
from nnlab.probe.columns import useless_columns
from nnlab.probe.order import sorted_columns
from nnlab.runs.out_of_fold import OutOfFold, out_of_fold
from nnlab.training.memory import NotEnoughMemory
from nnlab.types import Dataset, Split, Task

log = logging.getLogger(__name__)

FOLDS = 4
OFFSETS = (-1, 1)  # rows by which targets may belong to other inputs
RELATED = 0.2  # skill of simple methods gained by an offset
CHANCE = 3.0  # of a root of the held-out rows: as much skill a method may gain by chance
ROWS = 1024
FEW, CARRIED = 30, 0.3  # validation examples, and skill that training examples have ahead, from which splits differ


def data_findings(config: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the data of a config whose networks can learn what there is to learn; the cause first."""
    dataset = load_dataset(config)
    alone = list(_sorted_alone(config, dataset))
    if alone:
        return alone  # what follows is asked of rows that belong together
    folds = _folds(config, dataset)
    differ = list(shift_findings(dataset, measure_shift(dataset)))
    classes = dataset.task is not Task.REGRESSION
    found = list(_labels(dataset, folds, bool(differ))) if folds is not None and classes else []
    notes = [finding for finding in found if not finding.fault]
    found = [finding for finding in found if finding.fault]
    if folds is not None and not differ and not any(finding.name == "classes_renamed" for finding in found):
        found = [*_does_not_carry_over(dataset, folds), *(found or _training_apart(dataset, folds))]
    found = [*differ, *found]
    if folds is not None and not found:

        def predict(few: Dataset) -> Tensor:
            return out_of_fold(config, FOLDS, few).validation

        found = list(useless_columns(dataset, folds.validation, predict))
    return [*(found or _offset(config, dataset)), *notes]


def targets_related(config: Mapping[str, Any]) -> bool:
    """Whether out-of-fold predictions of all training examples, more than there are for validation, beat chance."""
    dataset = load_dataset(config)
    folds = _folds(config, dataset)
    return folds is not None and association(folds.prediction, dataset.train.targets.cpu()) > UNRELATED


def _folds(config: Mapping[str, Any], dataset: Dataset) -> OutOfFold | None:
    try:
        folds = out_of_fold(config, FOLDS, dataset)
    except NotEnoughMemory as error:
        log.warning("labels and splits are not looked at by networks: %s", error)
        return None
    except (UserError, RuntimeError, ValueError) as error:
        log.debug("no out-of-fold predictions: %s", error)
        return None
    finite = bool(torch.isfinite(folds.prediction).all() and torch.isfinite(folds.validation).all())
    return folds if finite else None


def _labels(dataset: Dataset, folds: OutOfFold, shifted: bool) -> Iterator[Finding]:
    """What is wrong with labels; splits whose inputs differ are answered wrongly for that."""
    targets, known = dataset.train.targets.cpu(), dataset.validation.targets.cpu()
    other = renamed(folds.validation, known)
    facts = label_facts(folds.prediction, dataset.train.inputs, targets, folds.learned, folds.validation, known)
    if other is not None and facts.train > other[2] and not shifted:
        yield renamed_finding(*other, dataset.target_names)
    else:
        yield from label_findings(facts, dataset.target_names)


def _does_not_carry_over(dataset: Dataset, folds: OutOfFold) -> Iterator[Finding]:
    """That new training examples are predicted well and validation examples are not, though their inputs look alike."""
    own, held = dataset.train.targets.cpu(), dataset.validation.targets.cpu()
    center = _center(own, dataset.target_size)
    inside = skill(folds.prediction, center.expand(len(own), -1), own)
    outside = skill(folds.validation, center.expand(len(held), -1), held)
    if len(held) >= FEW and inside > RELATED and _far_ahead(inside, outside, len(held)):
        yield _differ(
            f"Networks avoid {inside:.0%} of the errors of a constant on training examples that they have not seen, "
            f"and {max(outside, 0):.0%} on validation examples, whose inputs look alike",
            {"skill on unseen training examples": inside, "skill on validation": outside},
            "In the validation split targets depend on inputs in another way: columns in another order, other labels "
            "or units.",
        )


def _training_apart(dataset: Dataset, folds: OutOfFold) -> Iterator[Finding]:
    """That validation targets follow from their inputs, and training targets do not follow from theirs."""
    train, held = dataset.train, dataset.validation
    count = min(len(train), len(held), ROWS)  # of either: more examples would be more skill
    if count < 2 * FEW:
        return
    targets = train.targets.cpu()
    constant = _center(targets, dataset.target_size).expand(len(targets), -1)
    part, own = thumbnails(train, count), thumbnails(held, count)
    inside = max(skill(folds.prediction, constant, targets), _skill(dataset, part.inputs.flatten(1), part.targets))
    outside = _skill(dataset, own.inputs.flatten(1), own.targets)
    if _far_ahead(outside, max(inside, 0.0), len(own)):
        yield _differ(
            f"Simple methods avoid {outside:.0%} of the errors of a constant on validation examples, from other "
            f"validation examples; on training examples they and networks avoid {max(inside, 0):.0%}",
            {"skill within validation": outside, "skill within training": inside},
            "The targets of the training split do not belong to its inputs: they were shuffled, or put together with "
            "other rows.",
        )


def _far_ahead(skill: float, other: float, held: int) -> bool:
    """Whether one skill is ahead of another by more than so many held-out examples may make it by chance."""
    return skill - other > max(CARRIED, 4 / math.sqrt(held))


def _differ(observed: str, evidence: Mapping[str, Number], why: str) -> Finding:
    why = f"{why} Prepare both splits from the same rows, in the same way."
    return Finding("splits_differ", observed, evidence, why=why, step=0, certain=True)


def _center(targets: Tensor, classes: int) -> Tensor:
    if targets.is_floating_point():
        return targets.mean(0)
    return torch.bincount(targets, minlength=classes).double() / len(targets)


def _as_read(config: Mapping[str, Any]) -> Raw:
    with silenced():  # what was guessed about the data has been said
        return read_once(build_source(config), loss_tasks(config), data_seed(config), data_root(config))[0]


def _sorted_alone(config: Mapping[str, Any], dataset: Dataset) -> Iterator[Finding]:
    """Whether columns rise with the rows in the order in which they were read, and go with nothing."""
    if len(dataset.input_shape) == 1:  # large pictures are not read again for it
        raw = _as_read(config)
        yield from sorted_columns(dataset, raw.inputs, raw.targets)


def _offset(config: Mapping[str, Any], dataset: Dataset) -> Iterator[Finding]:
    """Whether targets go with the inputs of the row before or after, in the order in which they were read."""
    raw = _as_read(config)
    if not isinstance(raw.inputs, Tensor) or len(raw.inputs) < 60:
        return
    rows = slice(0, 2 * ROWS)
    inputs, targets = raw.inputs[rows].flatten(1).float(), raw.targets[rows]
    if targets.is_floating_point():  # by their order, so that a few far targets do not decide
        order = ranks(targets.reshape(len(targets), -1))
        targets = ((order - order.mean(0)) / order.std(0).clamp(min=1e-9)).float()
    reached = {offset: _skill(dataset, inputs, targets.roll(offset, 0)) for offset in (0, *OFFSETS)}
    best = max(OFFSETS, key=lambda offset: reached[offset])
    if reached[best] - max(reached[0], 0.0) > max(RELATED, CHANCE / math.sqrt(len(inputs) / 3)):
        neighbor = "previous" if best == 1 else "next"
        yield Finding(
            "targets_shifted",
            f"Simple methods avoid {max(reached[0], 0):.0%} of a constant's errors, but {reached[best]:.0%} where each "
            f"row is given the target of the {neighbor} row of the data as they were read",
            {"skill": reached[0], "shifted by a row": reached[best]},
            step=0,
            certain=True,
        )


def _skill(dataset: Dataset, inputs: Tensor, targets: Tensor) -> float:
    """Of simple methods on a third of the rows, from the others."""
    third = torch.arange(len(inputs)) % 3 == 0
    train, held = Split(inputs[~third], targets[~third]), Split(inputs[third], targets[third])
    predictions, center = simple_predictions(dataset, sample(train, ROWS), sample(held, ROWS // 2))
    return max(skill(each, center, sample(held, ROWS // 2).targets) for each in predictions)
