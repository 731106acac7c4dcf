"""An input column that gives the target away: alone it predicts what all others together do not.

A date is known before anything else is, and many a quantity follows one other up to some noise: neither is a leak.
A column that was measured tells classes apart up to a border at which they mix; what knows the answer has none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.chance import ranks
from nnlab.diagnosis.facts.columns import column_name, column_source, is_date
from nnlab.diagnosis.facts.levels import sample
from nnlab.streaming import at_once
from nnlab.types import Dataset, Split

WIDE = 256  # inputs from which one of them cannot be told to give the target away
COLUMN_EXAMPLES = 4096
NUMBERS = 1 << 22  # of which correlations are computed at a time
FEWEST_CORRELATED = 60  # among hundreds of inputs, some tell a few examples apart by chance
DETERMINES = 0.9998  # correlation (ratio) with which a column is the target itself
ALONE = 0.93  # share of a constant's errors that a column which gives the target away avoids alone ...
WITHOUT = 0.6  # ... while simple methods avoid less than this share without it
WITHOUT_EXACT, MANY = 0.9, 200  # ... of a column that tells all classes of so many examples apart without a border
ALONE_NUMBER = 0.98  # the same for numbers, many of which follow another one ...
COPIED, TIMES = 0.985, 8.0  # ... of a copy with noise, and times as many errors as it leaves that others leave ...
WITHOUT_COPY = 0.95  # ... which avoid less than this
MONOTONE = 0.995  # ... unless they are in the same order, as a logarithm is (correlation of the ranks)
BORDER = 0.02  # changes of the class along a column, as a share of the examples, beyond those between the classes
BINS = 64
ORDERED = 0.55  # correlation (ratio) of the ranks below which a column is not looked at further


@dataclass(frozen=True)
class Giveaway:
    """An input column that gives the target away.

    Attributes:
        column, name: its index and name among the network's inputs.
        alone, others: share of a constant's errors that it avoids alone, and that simple methods avoid without it.
        source: the column of the table that it comes from, where the data are a table.
        measured: whether classes mix at their borders, as they do where the column is a good measurement and no leak.
    """

    column: int
    name: str
    alone: float
    others: float
    source: str = ""
    measured: bool = False


def find_giveaway(dataset: Dataset) -> Giveaway | None:
    """The column that gives the target away alone, if there is one among several."""
    part = sample(dataset.train, COLUMN_EXAMPLES)
    inputs = part.inputs.flatten(1)
    if len(part) < FEWEST_CORRELATED or inputs.shape[1] < 2 or not bool(torch.isfinite(inputs).all()):
        return None
    columns = inputs.split(at_once(inputs.T, NUMBERS, inputs.shape[1]), 1)
    each = [_correlations(some.float(), part.targets, dataset.target_size) for some in columns]
    correlations = torch.cat(each)
    for column in (correlations > DETERMINES).nonzero().flatten().tolist():
        # One number for all of a class may be that of other classes, too, as a genus is of several species.
        own = inputs[:, column].contiguous()
        if part.targets.is_floating_point() or _borders(own, part.targets) < dataset.target_size:
            return Giveaway(column, column_name(dataset, column), 1.0, float("nan"), column_source(dataset, column))
    if inputs.shape[1] > WIDE or len(dataset.input_shape) == 3:  # no single pixel says what a picture shows
        return None
    alone, column = _best_alone(part, dataset.target_size)
    if alone < ALONE or is_date(dataset, column) or _loose(inputs[:, column], part.targets, alone):
        return None  # what follows time, or one quantity up to some noise, is no leak
    others, borders = _skill_without(dataset, part, column), _borders(inputs[:, column], part.targets)
    exact = borders < dataset.target_size and len(part) >= MANY  # of few, a good measurement may have all right
    copied = math.isinf(borders) and alone >= COPIED and 1 - others > TIMES * (1 - alone)
    if others >= (WITHOUT_COPY if copied else WITHOUT_EXACT if exact else WITHOUT):
        return None
    measured = borders > dataset.target_size + BORDER * len(part) and math.isfinite(borders)
    return Giveaway(column, column_name(dataset, column), alone, others, column_source(dataset, column), measured)


def _borders(column: Tensor, targets: Tensor) -> float:
    """How often the class changes along a column, or is another among equal values; infinity for numbers.

    A column that holds a consequence of the class has an interval for each, and one change less than there are classes.
    """
    if targets.is_floating_point():
        return math.inf
    values, place = torch.unique(column, return_inverse=True)
    table = torch.zeros(len(values), int(targets.max()) + 1, device=column.device)
    table.index_put_((place, targets), torch.ones_like(column), accumulate=True)
    among_equals = table.sum() - table.amax(1).sum()
    changes = (table.argmax(1).diff() != 0).sum()
    return float(changes + among_equals)


def _loose(column: Tensor, targets: Tensor, alone: float) -> bool:
    """Whether a column that predicts a number well is still no function of it."""
    if not targets.is_floating_point() or alone >= ALONE_NUMBER:
        return False
    ordered = _correlations(ranks(column.unsqueeze(1)), ranks(targets.cpu()).to(column.device), targets.shape[1])
    return float(ordered.max()) < MONOTONE


def _correlations(inputs: Tensor, targets: Tensor, classes: int) -> Tensor:
    """The largest |correlation| of each input (N, D) with a target, (D,).

    With classes it is the correlation ratio (Fisher 1925): the root of the share of an input's variance that lies
    between the classes, 1 where the input is one number within each class.
    """
    x = inputs - inputs.mean(0)
    if not targets.is_floating_point():
        member = torch.nn.functional.one_hot(targets, classes).to(x.dtype)
        between = ((member.T @ x).square() / member.sum(0).clamp(min=1)[:, None]).sum(0)
        total = x.square().sum(0)
        varies = total > 1e-6 * total.max()
        return torch.where(varies, between / total.clamp(min=1e-30), torch.zeros_like(total)).sqrt()
    y = targets.to(x.dtype) - targets.to(x.dtype).mean(0)
    scale = x.norm(dim=0)[:, None] * y.norm(dim=0)[None]
    varies = scale > 1e-4 * scale.max()
    return torch.where(varies, (x.T @ y).abs() / scale.clamp(min=1e-30), torch.zeros_like(scale)).amax(1)


def _best_alone(split: Split, classes: int) -> tuple[float, int]:
    """The largest skill on one half of the examples of what each column's bins predict from the other half.

    Bins hold equally many examples, but equal values stay together; classes: the most frequent in the bin; regression:
    its mean. Skill is the share of a constant's errors that are avoided.
    """
    x, targets = split.inputs.flatten(1), split.targets
    halves = [torch.arange(start, len(x), 2, device=x.device) for start in (0, 1)]
    labels = not targets.is_floating_point()
    y = torch.nn.functional.one_hot(targets, classes).double() if labels else targets.double()
    bins = max(min(BINS, len(x) // 6), 2)
    order = x.argsort(0).argsort(0).float()
    ranked = targets.argsort(0).argsort(0).float() if not labels else targets
    suspects = (_correlations(order, ranked, classes) > ORDERED).nonzero().flatten().tolist()
    found = {}
    for column in suspects:
        values = x[:, column].contiguous()
        edges = torch.unique(values.float().quantile(torch.linspace(0, 1, bins + 1, device=x.device)[1:-1]))
        place = torch.searchsorted(edges.to(values.dtype), values)
        places, wrong, before = torch.arange(len(edges) + 1, device=x.device), 0.0, 0.0
        for fitted, tested in (halves, halves[::-1]):
            center = y[fitted].mean(0)
            sums = torch.zeros(len(edges) + 1, y.shape[1], dtype=y.dtype, device=y.device)
            sums.index_add_(0, place[fitted], y[fitted])
            count = torch.bincount(place[fitted], minlength=len(edges) + 1).unsqueeze(1)
            filled = torch.where(count[:, 0] > 0, places, 0).cummax(0).values  # an empty bin answers as that below it
            answer = torch.where(count > 0, sums / count.clamp(min=1), center)[filled[place[tested]]]
            if labels:
                wrong += float((answer.argmax(1) != targets[tested]).sum())
                before += float((targets[tested] != center.argmax()).sum())
            else:
                wrong += float((answer - y[tested]).square().sum())
                before += float((center - y[tested]).square().sum())
        # Each half has a bin into which the border between two answers falls.
        wrong = max(wrong - 2, 0.0) if labels else wrong
        found[column] = 1 - wrong / before if before > 0 else 0.0
    best = max(found, key=lambda column: found[column], default=0)
    return found.get(best, 0.0), best


def _skill_without(dataset: Dataset, part: Split, column: int) -> float:
    """What simple methods reach without a column on one half of the training examples, from the other.

    The validation split may differ from it, and then says nothing about the column.
    """
    from nnlab.diagnosis.facts.references import simple_predictions, skill, suitable_sizes

    keep = [j for j in range(dataset.input_size) if j != column]
    part = sample(part, suitable_sizes(dataset.input_size)[0])
    rows = torch.randperm(len(part), generator=torch.Generator().manual_seed(0)).to(part.inputs.device)
    halves = [Split(part.inputs.flatten(1)[some][:, keep], part.targets[some]) for some in rows.tensor_split(2)]
    reached: list[list[float]] = []
    for known, asked in (halves, halves[::-1]):
        predictions, center = simple_predictions(dataset, known, asked)
        reached.append([skill(prediction, center, asked.targets) for prediction in predictions])
    best: float = max(first + second for first, second in zip(*reached, strict=True))
    return best / 2
