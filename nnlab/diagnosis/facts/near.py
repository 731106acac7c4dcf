"""Held-out examples that are training examples with a little noise.

Of the distances d1 < d2 from a point to its two nearest neighbors among points that are spread evenly in m dimensions,
(d1 / d2)^m is uniform (Facco et al. 2017, "Estimating the intrinsic dimension of datasets by a minimal neighborhood
information", doi:10.1038/s41598-017-11873-y), and likewise (dk / dk+1)^m is Beta(k, 1). The second gives m, and with it
how often d1 is far below d2 by chance; what is beyond it are copies. Where a few neighbors, and not one, are far nearer
than the next, with one answer, and that for many rows, they are visits of one patient, or takes of one scene; m is then
that of neighbors farther away.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnlab.diagnosis.facts.columns import different_values
from nnlab.diagnosis.facts.levels import sample
from nnlab.streaming import SAMPLED, at_once
from nnlab.types import Split

CROWD = 2048  # training rows whose neighbors are looked at
ASKED, KNOWN = 256, 8192  # held-out and training examples that are compared
WORK = 1.2e8  # multiply-adds for all distances
NEARER = 0.2  # d1 / d2 of a copy
LEAST_DIMENSION = 2.5  # in which neighbors that near are no everyday thing
FEWEST = 60  # examples
GROUP, BEYOND = 8, (16, 32)  # relatives of a row at most, and the neighbors beyond them that give the dimension
GAP, RELATED, TIMES = 0.4, 0.3, 3.0  # dk / dk+1 behind relatives, share of the rows that have some, and against chance
FINE = 0.3  # different values of a column, as a share of the rows, which is looked at for relatives
CLOSER = 0.3  # times as close as other neighbors' numbers, and as a fit comes, are the numbers of relatives
ROWS_EACH = 10  # for each coefficient of a fit with squares and products
EVEN = 0.7  # agreement of the targets of any two examples, from which it says little


def near_copies(train: Split, held_out: Split) -> tuple[int, int]:
    """How many held-out examples are near copies of training examples, beyond chance, and how many were asked for."""
    count = _comparable(train, held_out)
    if len(train) < FEWEST or count < 32 or train.inputs.shape[1:].numel() < 3:
        return 0, 0
    known = sample(train, KNOWN).inputs.flatten(1).float()
    part = sample(held_out, count)
    std = (known - known.mean(0)).square_().mean(0).sqrt()
    scale = torch.where(std > 1e-6, std, torch.ones_like(std))
    nearest = torch.cdist(part.inputs.flatten(1).float() / scale, known / scale).topk(3, largest=False)
    first, second, third = nearest.values.double().T
    usable = (second > 0) & (third > second)
    if int(usable.sum()) < 32:
        return 0, 0
    dimension = _dimension(second[usable], third[usable])
    if dimension < LEAST_DIMENSION:
        return 0, 0
    same = _same_answer(part.targets, sample(train, KNOWN).targets[nearest.indices[:, 0]], train.targets)
    near = (first > 0) & (first < NEARER * second) & usable  # equal rows may be others that agree by chance
    found = int((near & same).sum())
    found = round(found * beyond_base_rates(found, int(near.sum()), train.targets))
    chance = len(part) * NEARER**dimension
    return (found if found > chance + 4 * math.sqrt(chance) + 0.03 * len(part) else 0), len(part)


def _comparable(train: Split, held_out: Split) -> int:
    """How many held-out examples may be compared with (at most `KNOWN`) training examples: of large ones too few."""
    known, asked = at_once(train.inputs, SAMPLED, KNOWN), at_once(train.inputs, SAMPLED, ASKED)
    numbers = min(len(train), known) * train.inputs.shape[1:].numel()
    return int(min(len(held_out), asked, WORK / max(numbers, 1)))


def relatives(train: Split, held_out: Split) -> tuple[int, int]:
    """How many held-out examples have relatives among the training examples, beyond chance, of how many asked for.

    Relatives are up to `GROUP` neighbors with the example's own target, or a number close to it, that are far nearer
    than the next. Only columns that hardly repeat a value count: rows with the same categories are none.
    """
    count = _comparable(train, held_out)
    if count < 32:
        return 0, 0
    known, part = sample(train, KNOWN), sample(held_out, count)
    rows = known.inputs.flatten(1).float()
    fine = different_values(rows[:1024]) > FINE * min(len(rows), 1024)
    if len(rows) < 4 * BEYOND[1] or int(fine.sum()) < 3:
        return 0, 0
    rows, asked = rows[:, fine], part.inputs.flatten(1).float()[:, fine]
    std = rows.std(0)
    scale = torch.where(std > 1e-6, std, torch.ones_like(std))
    nearest = torch.cdist(asked / scale, rows / scale).topk(BEYOND[1], largest=False)
    distance = nearest.values.double()
    usable = distance[:, 0] > 0
    if int(usable.sum()) < 32:
        return 0, 0
    growth = float((distance[usable, BEYOND[1] - 1] / distance[usable, BEYOND[0] - 1]).log().mean())
    dimension = math.log(BEYOND[1] / BEYOND[0]) / max(growth, 1e-6)
    if dimension < LEAST_DIMENSION:
        return 0, 0
    gap, place = (distance[:, :GROUP] / distance[:, 1 : GROUP + 1]).min(1)
    targets = known.targets[nearest.indices[:, :GROUP]]
    alike = _same_answer(part.targets.unsqueeze(1), targets, train.targets)
    if part.targets.is_floating_point():
        beyond = known.targets[nearest.indices.gather(1, place.unsqueeze(1) + 1).squeeze(1)]
        left = _left(Split(rows / scale, known.targets), Split(asked / scale, part.targets))
        alike |= _closer(part.targets, targets, beyond, left, usable & (gap < GAP))
    one = alike.long().cumprod(1).gather(1, place.unsqueeze(1)).squeeze(1) > 0  # all up to the gap
    near = usable & (gap < GAP)
    found = int((near & one).sum())
    found = round(found * beyond_base_rates(found, int(near.sum()), train.targets))
    chance = GAP**dimension / (1 - GAP**dimension)
    return (found if found > max(RELATED, TIMES * chance) * count else 0), count


def _closer(own: Tensor, relatives: Tensor, beyond: Tensor, left: Tensor, near: Tensor) -> Tensor:
    """Which numbers of relatives (n, K, C) are close to the example's own (n, C), (n, K).

    None are, unless those of the nearest relatives are far closer than those of the first neighbors `beyond` (n, C),
    and than what a fit has `left` (n, C): where targets follow from the inputs, they say nothing of a person.
    """
    if int(near.sum()) < 16:
        return torch.zeros_like(relatives[..., 0], dtype=torch.bool)
    away = (relatives - own.unsqueeze(1)).abs()
    usual = torch.minimum((beyond - own)[near].abs().median(0).values, left[near].abs().median(0).values)
    close = bool((away[near, 0].median(0).values <= CLOSER * usual).all())
    return (away <= usual).all(-1) & close


def _left(train: Split, held_out: Split) -> Tensor:
    """What a fit leaves of held-out targets (n, C): with squares and products where rows are many, else linear."""
    center, columns = train.inputs.mean(0), train.inputs.shape[1]
    several = (columns + 1) * (columns + 2) // 2 * ROWS_EACH <= len(train)

    def terms(inputs: Tensor) -> Tensor:
        x = (inputs - center).double().cpu()
        x = torch.cat([torch.ones_like(x[:, :1]), x], 1)
        first, second = torch.triu_indices(columns + 1, columns + 1)
        return x[:, first] * x[:, second] if several else x

    x, asked = terms(train.inputs), terms(held_out.inputs)
    y, own = train.targets.double().cpu(), held_out.targets.double().cpu()
    gram = x.T @ x + 1e-6 * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    left: Tensor = own - asked @ torch.linalg.solve(gram, x.T @ y)
    return left.to(held_out.targets)


def crowded(known: Tensor) -> bool:
    """Whether rows have near neighbors every day, as those of a table most of whose columns are coarse."""
    count = at_once(known, SAMPLED // 2, min(len(known), CROWD))
    places = torch.linspace(0, len(known) - 1, count, device=known.device).long()
    points = known[places].flatten(1).float()
    std = points.std(0)
    points = points / torch.where(std > 1e-6, std, torch.ones_like(std))
    nearest = torch.cdist(points[:ASKED], points).topk(min(4, len(points)), largest=False).values.double()
    apart = [row[row > 0] for row in nearest.cpu()]  # without itself, and its copies
    pairs = torch.tensor([(float(row[0]), float(row[1])) for row in apart if len(row) > 1 and row[1] > row[0]])
    if len(pairs) < 32:
        return True
    nearer, farther = pairs.double().T
    return _dimension(nearer, farther, order=1) < LEAST_DIMENSION


def _dimension(nearer: Tensor, farther: Tensor, order: int = 2) -> float:
    """The dimension in which distances to the neighbors of this order and the next one are what they are."""
    return 1 / order / max(float((farther / nearer).log().mean()), 1e-6)


def beyond_base_rates(same: int, agreeing: int, targets: Tensor) -> float:
    """Share of the rows with equal inputs and target that cannot be other examples, whose targets agree by chance.

    Where nearly all targets are one class, so are those of different people who share their inputs.
    """
    if targets.is_floating_point() or not agreeing:
        return 1.0
    share = torch.bincount(targets).double() / len(targets)
    chance = float(share.square().sum())
    upper = chance + 3 * math.sqrt(chance * (1 - chance) / agreeing)
    return min(max((same / agreeing - upper) / max(1 - chance, 1e-9), 0.0), 1.0) if chance > EVEN else 1.0


def _same_answer(first: Tensor, second: Tensor, every: Tensor) -> Tensor:
    """Whether targets (...) or (..., C) are the same, of numbers up to a thousandth of the deviation of all."""
    if not first.is_floating_point():
        return first == second
    return ((first - second).abs() <= 1e-3 * every.std(0)).all(-1)
