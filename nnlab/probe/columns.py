"""Whether networks are better on the few columns that go with the target than on all: the others are learned by heart.

A column goes with the target where the share eta^2 of its variance (of its ranks) that lies between the classes, or is
explained by the ranks of the targets, is beyond chance: n eta^2 has about the chi-squared distribution with as many
degrees of freedom as there are classes less one, of which the largest of D columns is wanted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from nnlab.diagnosis import Finding
from nnlab.diagnosis.facts.chance import ranks
from nnlab.diagnosis.facts.columns import column_name
from nnlab.diagnosis.facts.levels import sample
from nnlab.diagnosis.facts.references import skill
from nnlab.types import Dataset, Split

FEWEST, MOST = 20, 2048  # columns that are looked at
FEW = 1 / 3  # share of the columns that go with the target, where the others may be what harms
ROWS = 4096
GAINED = 0.1  # skill on validation


def useless_columns(dataset: Dataset, predicted: Tensor, predict: Callable[[Dataset], Tensor]) -> Iterator[Finding]:
    """That most columns harm.

    Args:
        dataset: of vectors.
        predicted: predictions (n, C) of the validation split by networks that see all columns.
        predict: such predictions by the same networks, trained on another data set.
    """
    if len(dataset.input_shape) != 1 or not FEWEST <= dataset.input_size <= MOST:
        return
    chosen = related_columns(sample(dataset.train, ROWS), dataset.target_size)
    if not 1 <= len(chosen) <= FEW * dataset.input_size:
        return
    parts = [_only(part, chosen) for part in (dataset.train, dataset.validation, dataset.test)]
    few = dataclasses.replace(dataset, train=parts[0], validation=parts[1], test=parts[2], pipeline=None)
    known = dataset.validation.targets.cpu()
    before, after = (skill(each, _constant(dataset), known) for each in (predicted, predict(few)))
    before = max(before, 0.0)
    if after - before > max(GAINED, 2 / math.sqrt(len(known))):
        names = ", ".join(column_name(dataset, column) for column in chosen[:3]) + (", ..." if len(chosen) > 3 else "")
        yield Finding(
            "columns_without_use",
            f"Networks that see only the {len(chosen)} of {dataset.input_size} input columns that go with the target "
            f"({names}) avoid {after:.0%} of the errors of a constant on validation, those that see all "
            f"{before:.0%}",
            {"columns": dataset.input_size, "related": len(chosen), "skill": before, "with these alone": after},
            step=0,
            certain=True,
        )


def related_columns(split: Split, classes: int) -> list[int]:
    """The columns that go with the target beyond chance, the strongest first."""
    x = ranks(split.inputs.flatten(1).double().cpu())
    x = x - x.mean(0)
    total = x.square().sum(0)
    targets = split.targets.cpu()
    if targets.is_floating_point():
        goals = ranks(targets.reshape(len(targets), -1).double())
        goals = goals - goals.mean(0)
        share = ((x.T @ goals).square() / (total[:, None] * goals.square().sum(0)).clamp(min=1e-12)).amax(1)
        freedom = 1
    else:
        member = torch.nn.functional.one_hot(targets, classes).double()
        share = ((member.T @ x).square() / member.sum(0).clamp(min=1)[:, None]).sum(0) / total.clamp(min=1e-12)
        freedom = classes - 1
    limit = freedom + 3 * math.sqrt(2 * freedom) + 2 * math.log(len(share))
    chosen = (len(x) * share > limit).nonzero().flatten()
    return [int(column) for column in chosen[share[chosen].argsort(descending=True)]]


def _only(split: Split, columns: list[int]) -> Split:
    return Split(split.inputs[:][:, columns], split.targets)


def _constant(dataset: Dataset) -> Tensor:
    """The best constant answer (n, C) to the validation split."""
    targets = dataset.train.targets.cpu()
    if targets.is_floating_point():
        answer = targets.double().mean(0)
    else:
        answer = torch.bincount(targets, minlength=dataset.target_size).double() / len(targets)
    return answer.expand(len(dataset.validation), -1)
