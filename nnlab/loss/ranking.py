"""Metrics of the order in which examples are ranked, for classes of any frequency: AUROC and average precision.

For a class with n_1 examples among n, ranked by its score with P(k) true positives and F(k) false ones among the k
examples that are at or above the k-th distinct score:

    AUROC = sum_k (F(k) - F(k-1)) (P(k) + P(k-1)) / (2 n_1 (n - n_1)),

the probability that an example of the class has a higher score than one of another, ties counting half; and

    AP = sum_k (P(k) - P(k-1)) / n_1 * P(k) / (P(k) + F(k)),

the mean precision over the recalls. Two classes are ranked by the score of the second; with more, each is ranked
against all others and the values are averaged over the classes that the targets hold.
Sources: Hanley and McNeil 1982 (doi 10.1148/radiology.143.1.7063747); Manning, Raghavan and Schuetze 2008, section 8.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.loss.targets import widen

Array = npt.NDArray[Any]

CHUNK = 1 << 22  # scores that are ranked at once, which bounds the memory


class Ranking(NamedTuple):
    """The examples of the class, from the lowest to the highest score of each of R rankings, one ranking after another.

    Attributes:
        true, false: how many examples of the class, and of others, are at or above each one's score, (P,) int64.
        false_before: how many others are above it.
        positives, negatives: (R,) how many examples of the class, and of others, there are.
        usable: (R,) whether there are both, and no score is NaN.
    """

    true: Tensor
    false: Tensor
    false_before: Tensor
    positives: Tensor
    negatives: Tensor
    usable: Tensor


def auroc(prediction: Tensor, targets: Tensor, probabilistic: bool) -> Tensor:
    """Area under the ROC curve, (...), of predictions (..., N, C) for targets (..., N); NaN with a single class.

    `probabilistic` says that predictions are probabilities, not scores whose difference decides between two classes.
    """
    return ranked(prediction, targets, probabilistic, ["auroc"])["auroc"]


def average_precision(prediction: Tensor, targets: Tensor, probabilistic: bool) -> Tensor:
    """Average precision, (...), of predictions (..., N, C) for targets (..., N); NaN with a single class."""
    return ranked(prediction, targets, probabilistic, ["average_precision"])["average_precision"]


def area(ranking: Ranking) -> Tensor:
    """Area under the ROC curve of each ranking, (R,): 1 - sum over the class of (F + F before) / 2 n_1 (n - n_1)."""
    above = _sums(ranking.false + ranking.false_before, ranking.positives)
    pairs = ranking.positives * ranking.negatives
    return (2 * pairs - above).double() / (2 * pairs.clamp_min(1))


def _mean_precision(ranking: Ranking) -> Tensor:
    precision = ranking.true.double() / (ranking.true + ranking.false)
    return _sums(precision, ranking.positives) / ranking.positives.clamp_min(1)


def _sums(values: Tensor, lengths: Tensor) -> Tensor:
    """Sums (R,) of values (P,) over R stretches of the given lengths; whole numbers below 2^53 exactly."""
    summed: Tensor = torch.segment_reduce(values.double(), "sum", lengths=lengths, unsafe=True)
    return summed


CURVES: dict[str, Callable[[Ranking], Tensor]] = {"auroc": area, "average_precision": _mean_precision}


def ranked(prediction: Tensor, targets: Tensor, probabilistic: bool, names: Iterable[str]) -> dict[str, Tensor]:
    """Those of `CURVES` that `names` asks for, each (...), averaged over the classes that can be ranked.

    All come from one ranking of the examples, which is most of their work.
    """
    curves = {name: CURVES[name] for name in names}
    if not curves:
        return {}
    scores, positive = one_against_rest(widen(prediction), targets, probabilistic)
    rows, examples = scores.shape[:-1], scores.shape[-1]
    size = max(1, CHUNK // examples)
    values: dict[str, list[Tensor]] = {name: [] for name in curves}
    usable = []
    parts = (each.reshape(-1, examples).split(size) for each in (scores, positive))
    for some, hits in zip(*parts, strict=True):
        ranking = rank(some, hits)
        for name, curve in curves.items():
            values[name].append(curve(ranking))
        usable.append(ranking.usable)
    known = torch.cat(usable).view(rows)
    return {
        name: (torch.where(known, torch.cat(found).view(rows), 0.0).sum(-1) / known.sum(-1)).to(scores.dtype)
        for name, found in values.items()
    }


def rank(scores: Tensor, positive: Tensor) -> Ranking:
    """Rank examples by `scores` (R, N), of which `positive` (R, N) are of the class."""
    scores = scores.contiguous()
    count = scores.shape[-1]
    positives = positive.sum(-1)
    negatives = count - positives
    first = positives.cumsum(0) - positives  # place of each ranking's lowest example of the class among those of all
    row = torch.repeat_interleave(positives)
    number = torch.arange(len(row), device=row.device)
    behind, own, equal = _places(_ordinals(scores), positive)  # among equal scores, the class last
    is_new = torch.ones_like(row, dtype=torch.bool)
    is_new[1:] = (own[1:] != own[:-1]) | (row[1:] != row[:-1])
    lowest = torch.where(is_new, number, 0).cummax(0).values  # of those with the same score
    # Whoever is below an example is of the class, as many as its number says, or of the others.
    start = count * torch.arange(len(positives), device=row.device)
    others = (negatives + start - first)[row] + number
    return Ranking(
        true=(positives + first)[row] - lowest,
        false=others - behind + equal[lowest],
        false_before=others - behind,
        positives=positives,
        negatives=negatives,
        usable=(positives > 0) & (negatives > 0) & ~scores.amax(-1).isnan(),
    )


def _ordinals(scores: Tensor) -> Tensor:
    """Whole numbers (R, N) >= 0 in the order of the scores; the bits of floats that are not negative are just that."""
    if scores.device.type == "cpu" and bool(scores.amin() >= 0):
        return (scores + 0.0).view(torch.int32 if scores.element_size() == 4 else torch.int64)
    ascending, order = _sorted(scores)
    is_new = torch.zeros_like(order)
    is_new[..., 1:] = ascending[..., 1:] != ascending[..., :-1]
    return torch.empty_like(order).scatter_(-1, order, is_new.cumsum(-1))


def _sorted(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (R, N) from the lowest on, and where they were; on the processor by NumPy, several times as fast."""
    if scores.device.type != "cpu":
        return scores.sort(dim=-1)
    order = torch.from_numpy(np.argsort(scores.numpy(), -1))
    return scores.gather(-1, order), order


def _places(ordinals: Tensor, marks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where marked examples lie in rows (R, N) sorted by ordinals, then marks; and their ordinals; (P,) each.

    Also how many others have the same ordinal, of the first of those marked with it. An ordinal and its mark are sorted
    as one number, which takes a fraction of the time of finding an order.
    """
    if ordinals.device.type != "cpu":
        keys = (ordinals << 1 | marks).sort(dim=-1).values
        apart = keys + (2 * keys.shape[-1] * torch.arange(len(keys), device=keys.device)).unsqueeze(-1)
        keys, apart = keys.flatten(), apart.flatten()
        place = (keys & 1 == 1).nonzero().squeeze(-1)
        return place, keys[place] >> 1, place - torch.searchsorted(apart, apart[place] - 1)
    unsigned = ordinals.numpy().view(f"u{ordinals.element_size()}")
    numbers = unsigned << 1 | marks.numpy()
    numbers.sort(-1)
    numbers = numbers.reshape(-1)
    found = np.flatnonzero((numbers & 1).astype(bool))
    own, start = numbers[found], found // ordinals.shape[-1] * ordinals.shape[-1]
    equal = np.zeros_like(found)
    meets = np.flatnonzero((numbers[found - 1] == own - 1) & (found > start))
    equal[meets] = found[meets] - _from(numbers, own[meets] - 1, start[meets], found[meets])
    kind = f"i{ordinals.element_size()}"
    return torch.from_numpy(found), torch.from_numpy((own >> 1).view(kind)), torch.from_numpy(equal)


def _from(numbers: Array, wanted: Array, low: Array, high: Array) -> Array:
    """The first places between `low` and `high` from which on rising numbers are not below those wanted."""
    while (low < high).any():
        middle = (low + high) // 2
        below = numbers[middle] < wanted
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    return low


def one_against_rest(prediction: Tensor, targets: Tensor, probabilistic: bool) -> tuple[Tensor, Tensor]:
    """Scores and membership (..., R, N); R = 1 for two classes, else C."""
    scores = prediction.movedim(-1, -2)
    targets = targets.expand(scores.shape[:-2] + scores.shape[-1:]).unsqueeze(-2)
    if scores.shape[-2] == 2:
        second = scores[..., 1:, :]
        return second if probabilistic else second - scores[..., :1, :], targets == 1
    classes = torch.arange(scores.shape[-2], device=scores.device).unsqueeze(-1)
    return scores, targets == classes
