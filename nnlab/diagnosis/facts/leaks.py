"""Leaks: held-out examples that are training examples, and input columns that give the target away.

Rows that agree are a leak only beyond what chance gives: in a table of a few coarse columns (education, sex, region)
people share all of them without being the same person. A row that agrees with a training row by chance has
neighbors, rows that agree in every column but one; a copy of a row of fine measurements has none. With B_j training
rows that differ from it in column j alone, and a share q_j of rows that have its value there, chance alone gives

    e_j = B_j q_j / (1 - q_j)

rows that agree in all; a row for which every e_j is small is a copy. The target counts as one more column: where rows
agree in their inputs and differ in their targets, agreeing in both is chance, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.columns import column_name, column_source
from nnlab.diagnosis.facts.levels import sample
from nnlab.diagnosis.facts.near import beyond_base_rates, near_copies
from nnlab.streaming import MOST, Streamed, at_once, pieces
from nnlab.types import Dataset, Split

ASKED = 512  # held-out examples that are looked for among the training examples
READ = 1 << 24  # numbers of many that are read at a time
WINDOW = 4  # neighbors in a projection that are compared number by number
WIDE = 256  # inputs from which rows cannot agree by chance, and one input cannot be told to give the target away
FEWEST = 16  # data sets with fewer different examples, such as XOR, share them between splits on purpose
FINE = 0.2  # different values of a column, as a share of the rows, from which equal rows are copies
NEAR = 2e-2  # of the usual distance between neighbors: the same example, changed a little
EXAMINED = 32  # examples that agree, for which chance is estimated
BY_CHANCE = 0.2  # rows that chance gives, from which an example that agrees is no copy

COLUMN_EXAMPLES = 4096
FEWEST_CORRELATED = 60  # among hundreds of inputs, some tell a few examples apart by chance
DETERMINES = 0.9998  # correlation (ratio) with which a column is the target itself
ALONE = 0.93  # share of a constant's errors that a column which gives the target away avoids alone ...
WITHOUT = 0.6  # ... while simple methods avoid less than this share without it
BINS = 64
ORDERED = 0.55  # correlation (ratio) of the ranks below which a column is not looked at further


@dataclass(frozen=True)
class Shared:
    """Held-out examples found among the training examples: `found` copies of `asked`; `by_chance` agree, too."""

    found: int
    asked: int
    by_chance: int = 0

    @property
    def fraction(self) -> float:
        """Copies among the examples asked for."""
        return self.found / max(self.asked, 1)

    @property
    def leaks(self) -> bool:
        """Whether there are more copies than a stray duplicate."""
        return self.found > max(2.0, 0.01 * self.asked, 0.3 * self.by_chance + 2 * math.sqrt(self.by_chance))


@dataclass(frozen=True)
class Giveaway:
    """An input column that gives the target away.

    Attributes:
        column, name: its index and name among the network's inputs.
        alone, others: share of a constant's errors that it avoids alone, and that simple methods avoid without it.
        source: the column of the table that it comes from, where the data are a table.
    """

    column: int
    name: str
    alone: float
    others: float
    source: str = ""


def shared_examples(train: Split, held_out: Split) -> Shared:
    """How many of (at most `ASKED`) held-out examples are copies of training examples, in inputs and target."""
    part = sample(held_out, ASKED)
    asked, known = part.inputs.flatten(1), train.inputs.flatten(1)
    if isinstance(known, Streamed) and known.shape[1] <= WIDE:
        known = known[:]
    partner = _partners(asked, known)
    rows = (partner >= 0).nonzero().flatten()
    agreeing = len(rows)
    rows = rows[_same_target(part.targets[rows], train.targets[partner[rows]], train.targets)]
    if len(rows) and not _tell_apart(known[:1000]):
        rows = rows[: round(beyond_base_rates(len(rows), agreeing, train.targets) * len(rows))]
    near, compared = near_copies(train, held_out) if len(rows) < 0.03 * len(part) else (0, 1)
    if near:
        return Shared(round(near / compared * len(part)), len(part))
    if not len(rows) or len(torch.unique(known[:1000], dim=0)) <= FEWEST:
        return Shared(0, len(asked))
    if known.shape[1] > WIDE:
        return Shared(len(rows), len(asked))
    table = _Table(Split(known, train.targets))
    examined = _some(rows)
    copies = [table.chance(known[partner[row]], part.targets[row])[0] < BY_CHANCE for row in examined]
    found = round(sum(copies) / len(examined) * len(rows))
    single = _some((partner < 0).nonzero().flatten())
    chances = [table.chance(asked[row], part.targets[row])[1] for row in single]
    expected = sum(chances) / max(len(chances), 1) * len(asked)
    return Shared(found, len(asked), max(len(rows) - found, round(expected)))


def _tell_apart(known: Tensor) -> bool:
    """Whether a column has so many different values that different examples do not share all of theirs by chance."""
    distinct = (known.sort(0).values.diff(dim=0) != 0).sum(0) + 1
    return bool((distinct > FINE * len(known)).any())


def _some(rows: Tensor) -> Tensor:
    """At most `EXAMINED` of the rows."""
    return rows[torch.linspace(0, len(rows) - 1, min(len(rows), EXAMINED), device=rows.device).long()]


def _partners(asked: Tensor, known: Tensor) -> Tensor:
    """For every row asked for, a training row (almost) equal to it, or -1.

    Candidates are the neighbors in one random projection, which may round differently for equal rows. Of many inputs
    those in the middle are projected, as long as that tells rows apart.
    """
    count = known.shape[1]
    for start, end in ((count // 3, 2 * count // 3), (0, count)) if count > WIDE else ((0, count),):
        draw = torch.Generator().manual_seed(0)
        direction = torch.randn(end - start, generator=draw).to(known.device, known.dtype)
        keys, order = _projected(known, start, end, direction).sort()
        if int((keys.diff() != 0).sum()) + 1 > 0.9 * len(keys):
            break
    limit = NEAR * _usual_distance(known) if count >= 4 else 0.0
    position = torch.searchsorted(keys, asked[:, start:end] @ direction)
    nearest = torch.full((len(asked),), float("inf"), device=known.device)
    partner = torch.full((len(asked),), -1, device=known.device)
    for shift in range(-WINDOW, WINDOW):
        near = order[(position + shift).clamp(0, len(keys) - 1)]
        distance = (known[near] - asked).square().sum(1).sqrt()
        closer = (distance < nearest) & (distance <= limit)
        nearest, partner = torch.where(closer, distance, nearest), torch.where(closer, near, partner)
    return partner


def _projected(known: Tensor | Streamed, start: int, end: int, direction: Tensor) -> Tensor:
    """The rows' inputs from `start` to `end` on a direction, (n,)."""
    if known.numel() <= MOST:
        return known[:][:, start:end] @ direction
    return torch.cat([piece[:, start:end] @ direction for piece in pieces(known, at_once(known, READ, len(known)))])


def _usual_distance(known: Tensor, probes: int = 128, others: int = 1024) -> float:
    """The usual distance of a training row to its nearest neighbor, from a part of the rows."""
    part = known[torch.linspace(0, len(known) - 1, min(len(known), others), device=known.device).long()]
    probe = part[:: max(len(part) // probes, 1)]
    distance = torch.cdist(probe, part)
    distance[torch.arange(len(probe)), torch.arange(0, len(part), max(len(part) // probes, 1))] = float("inf")
    return float(distance.amin(1).median()) if len(part) > 1 else 0.0


def _same_target(first: Tensor, second: Tensor, all_targets: Tensor) -> Tensor:
    if not first.is_floating_point():
        return first == second
    scale = all_targets.std(0) if len(all_targets) > 1 else torch.ones_like(all_targets[0])
    return ((first - second).abs() <= 1e-3 * scale).all(-1)


class _Table:
    """The training rows, among which chance is estimated.

    Args:
        train: the training split.
    """

    def __init__(self, train: Split) -> None:
        self.rows, self.targets = train.inputs.flatten(1), train.targets
        few = self.rows[:1000]
        self.binary = ((few == few.amin(0)) | (few == few.amax(0))).all(0)

    def chance(self, row: Tensor, target: Tensor) -> tuple[float, float]:
        """How many training rows agree with this one by chance: the largest e_j, and the estimate of all j together.

        Where columns depend on each other (all that a county says about its people), only the others tell, and so the
        largest counts for the row; over many rows the sum of all B_j over that of (1 - q_j) / q_j is the steadier one.
        """
        agree = self.rows == row
        missing = len(row) - agree.sum(1)
        copies = missing == 0
        others = max(int((~copies).sum()), 1)
        same = _same_target(self.targets, target.expand_as(self.targets), self.targets)
        cells = [(int((copies & ~same).sum()), float((same & ~copies).sum()) / others)]
        share = ((agree.sum(0) - copies.sum()) / others).tolist()
        column = (~agree[missing == 1]).long().argmax(1)
        cells += list(zip(torch.bincount(column, minlength=len(row)).tolist(), share, strict=True))
        # A category as several columns of two values changes two of them at once.
        differ = ~agree[missing == 2]
        pairs, counts = torch.unique(differ[~(differ & ~self.binary).any(1)], dim=0, return_counts=True)
        both = [float((agree[:, columns].all(1) & ~copies).sum()) / others for columns in pairs]
        cells += list(zip(counts.tolist(), both, strict=True))
        expected = [(count, (1 - q) / max(q, 1e-9)) for count, q in cells if count]
        if not expected:
            return 0.0, 0.0
        largest = max(count / max(each, 1e-3) for count, each in expected)
        return largest, sum(count for count, _ in expected) / max(sum(each for _, each in expected), 1e-3)


def find_giveaway(dataset: Dataset) -> Giveaway | None:
    """The column that gives the target away alone, if there is one among several."""
    part = sample(dataset.train, COLUMN_EXAMPLES)
    inputs = part.inputs.flatten(1)
    if len(part) < FEWEST_CORRELATED or inputs.shape[1] < 2 or not bool(torch.isfinite(inputs).all()):
        return None
    correlations = _correlations(inputs.float(), part.targets, dataset.target_size)
    column = int(correlations.argmax())
    if float(correlations[column]) > DETERMINES:
        return Giveaway(column, column_name(dataset, column), 1.0, float("nan"), column_source(dataset, column))
    if inputs.shape[1] > WIDE or len(dataset.input_shape) == 3:  # no single pixel says what a picture shows
        return None
    alone, column = _best_alone(part, dataset.target_size)
    if alone < ALONE:
        return None
    others = _skill_without(dataset, column)
    if others >= WITHOUT:
        return None
    return Giveaway(column, column_name(dataset, column), alone, others, column_source(dataset, column))


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


def _skill_without(dataset: Dataset, column: int) -> float:
    """What simple methods reach on validation without a column."""
    from nnlab.diagnosis.facts.references import simple_predictions, skill, suitable_sizes

    keep = [j for j in range(dataset.input_size) if j != column]
    parts = [
        Split(part.inputs.flatten(1)[:, keep], part.targets)
        for part in map(sample, (dataset.train, dataset.validation), suitable_sizes(dataset.input_size))
    ]
    predictions, center = simple_predictions(dataset, *parts)
    return max(skill(prediction, center, parts[1].targets) for prediction in predictions)
