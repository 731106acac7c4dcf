"""Leaks: held-out examples that are training examples.

Rows that agree are a leak only beyond what chance gives (`agreement`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nnlab.diagnosis.facts.agreement import Agreement, same_target
from nnlab.diagnosis.facts.columns import different_values
from nnlab.diagnosis.facts.levels import sample
from nnlab.diagnosis.facts.near import beyond_base_rates, crowded, near_copies, relatives
from nnlab.streaming import MOST, READ, Streamed, at_once, pieces
from nnlab.types import Split

ASKED = 512  # held-out examples that are looked for among the training examples
WINDOW = 4  # neighbors in a projection that are compared number by number
WIDE = 256  # inputs from which rows cannot agree by chance
FEWEST = 16  # data sets with fewer different examples, such as XOR, share them between splits on purpose
FINE = 0.2  # different values of a column, as a share of the rows, from which equal rows are copies
NEAR = 2e-2  # of the usual distance between neighbors: the same example, changed a little
FEW = 1000  # training rows that say whether any two of them differ
EXAMINED = 32  # examples that agree, for which chance is estimated
COMPARED = 128  # of all, for which it is estimated, too, where many agree
BY_CHANCE = 0.2  # rows that chance gives, from which an example that agrees is no copy


@dataclass(frozen=True)
class Shared:
    """Held-out examples found among the training examples.

    Attributes:
        found, asked: copies among the examples asked for.
        sampled: whether more examples are held out than were asked for.
        by_chance: others that agree, too, as rows that have neighbors may.
        expected: how many of `found` chance gives.
        related: whether they are no copies, but relatives: a few rows of one patient.
    """

    found: int
    asked: int
    by_chance: int = 0
    expected: float = 0.0
    related: bool = False
    sampled: bool = False

    @property
    def fraction(self) -> float:
        """Copies among the examples asked for."""
        return self.found / max(self.asked, 1)

    @property
    def leaks(self) -> bool:
        """Whether there are more copies than a stray duplicate, and clearly more than chance gives."""
        chance = 2 * self.expected + 3 * math.sqrt(self.expected)
        return self.found > max(self.stray, 0.3 * self.by_chance + 2 * math.sqrt(self.by_chance), chance)

    @property
    def stray(self) -> float:
        """Copies up to which nobody need care."""
        return max(2.0, 0.01 * self.asked)


def shared_examples(train: Split, held_out: Split) -> Shared:
    """How many of (at most `ASKED`) held-out examples are copies of training examples, in inputs and target."""
    part = sample(held_out, ASKED)
    return replace(_shared(train, held_out, part), sampled=len(part) < len(held_out))


def _shared(train: Split, held_out: Split, part: Split) -> Shared:
    asked, known = part.inputs.flatten(1), train.inputs.flatten(1)
    partner = _partners(asked, known)
    rows = (partner >= 0).nonzero().flatten()
    agreeing = len(rows)
    rows = rows[same_target(part.targets[rows], train.targets[partner[rows]], train.targets)]
    few = known[: at_once(known, READ, FEW)]
    if len(rows) and not _tell_apart(few):
        rows = rows[: round(beyond_base_rates(len(rows), agreeing, train.targets) * len(rows))]
    near, compared = near_copies(train, held_out) if len(rows) < 0.03 * len(part) else (0, 1)
    if near:
        return Shared(round(near / compared * len(part)), len(part))
    kin, compared = relatives(train, held_out) if not len(rows) else (0, 1)
    if kin:
        return Shared(round(kin / compared * len(part)), len(part), related=True)
    if not len(rows) or len(torch.unique(few, dim=0)) <= FEWEST:
        return Shared(0, len(asked))
    if known.shape[1] > WIDE:
        return Shared(len(rows), len(asked))
    table = Agreement(Split(known, train.targets))
    examined = _some(rows)
    copies = [chance < BY_CHANCE for chance in table.chances(known[partner[examined]], part.targets[examined])]
    found = round(sum(copies) / len(examined) * len(rows))
    shared = Shared(found, len(asked), len(rows) - found)
    if found <= shared.stray:
        return shared
    # Of many rows each of which hardly agrees with any by chance, some do.
    some = _some(torch.arange(len(asked), device=asked.device), COMPARED)
    chances = table.chances(asked[some], part.targets[some])
    expected = sum(chance for chance in chances if chance < BY_CHANCE) / max(len(chances), 1) * len(asked)
    return replace(shared, expected=expected)


def _tell_apart(known: Tensor) -> bool:
    """Whether a column has so many different values that different examples do not share all of theirs by chance."""
    return bool((different_values(known) > FINE * len(known)).any())


def _some(rows: Tensor, most: int = EXAMINED) -> Tensor:
    """At most `most` of the rows."""
    return rows[torch.linspace(0, len(rows) - 1, min(len(rows), most), device=rows.device).long()]


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
        distance = _distances(known, near, asked)
        closer = (distance < nearest) & (distance <= limit)
        nearest, partner = torch.where(closer, distance, nearest), torch.where(closer, near, partner)
    changed = (partner >= 0) & (nearest > 0)
    if bool(changed.any()) and crowded(known):
        partner[changed] = -1
    return partner


def _projected(known: Tensor | Streamed, start: int, end: int, direction: Tensor) -> Tensor:
    """The rows' inputs from `start` to `end` on a direction, (n,)."""
    if known.numel() <= MOST:
        return known[:][:, start:end] @ direction
    return torch.cat([piece[:, start:end] @ direction for piece in pieces(known, at_once(known, READ, len(known)))])


def _distances(known: Tensor, near: Tensor, asked: Tensor) -> Tensor:
    """The distance of each row asked for from the training row of its own, (n,)."""
    count = at_once(asked, READ, len(asked))
    each = zip(near.split(count), asked.split(count), strict=True)
    return torch.cat([(known[rows] - some).square().sum(1).sqrt() for rows, some in each])


def _usual_distance(known: Tensor, probes: int = 128, others: int = 1024) -> float:
    """The usual distance of a training row to its nearest neighbor, from a part of the rows."""
    others = max(2, at_once(known, 2 * READ, min(len(known), others)))
    part = known[torch.linspace(0, len(known) - 1, min(len(known), others), device=known.device).long()]
    probe = part[:: max(len(part) // probes, 1)]
    distance = torch.cdist(probe, part)
    distance[torch.arange(len(probe)), torch.arange(0, len(part), max(len(part) // probes, 1))] = float("inf")
    return float(distance.amin(1).median()) if len(part) > 1 else 0.0
