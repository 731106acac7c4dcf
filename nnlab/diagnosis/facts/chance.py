"""Do predictions have to do with the targets? Tests against chance, and how well predictions order the examples.

Classes: the fraction of right answers p_o against that of answers drawn independently of the labels, p_e = sum_c
P(answer = c) P(label = c), in standard deviations sqrt(p_e (1 - p_e) / n) (the numerator of Cohen's kappa, 1960); and
the area under the ROC curve of each class against the rest, whose standard deviation by chance is
sqrt((n_1 + n_0 + 1) / (12 n_1 n_0)) (Mann and Whitney 1947): an answer that never leaves the largest class can still
order the examples well. Regression: Fisher's z = artanh(r) sqrt(n - 3) of the correlation r between predictions and
targets, or between their ranks (Spearman 1904), which outliers cannot spoil.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import torch
from torch import Tensor

from nnlab.loss import decisions
from nnlab.loss.ranking import CHUNK, area, one_against_rest, rank

CHANCE = 3.0  # standard deviations above which predictions are better than chance
PAIR = 0.75  # right answers between two classes below which they are mixed up ...
OTHERS = 0.9  # ... where all other pairs are told apart this well
LEAST = 20  # examples of a pair


class Order(NamedTuple):
    """What predictions say about the order of the examples.

    Attributes:
        ranking: how well they order them, 0 by chance, 1 perfectly: the mean over classes of 2 AUROC - 1 (Gini), for
            regression the rank correlation, mean over targets.
        association: standard deviations by which they agree with the targets better than chance.
    """

    ranking: float
    association: float


NO_ORDER = Order(0.0, 0.0)  # of predictions that are no numbers, and of too few examples
UNKNOWN = Order(math.nan, math.nan)  # of those that nobody asks for


def association(prediction: Tensor, targets: Tensor) -> float:
    """Standard deviations by which predictions (N, *) agree with targets (N,) or (N, C) better than chance."""
    return orders(prediction.unsqueeze(0), targets.unsqueeze(0))[0].association


def orders(prediction: Tensor, targets: Tensor) -> list[Order]:
    """The order of each of M predictions (M, N, *) of targets (M, N) or (M, N, C)."""
    if prediction.shape[1] < 4:
        return [NO_ORDER] * len(prediction)
    of_each = _of_targets if targets.is_floating_point() else _of_classes
    size = max(1, CHUNK // prediction[0].numel())
    parts = zip(prediction.split(size), targets.split(size), strict=True)
    found = [order for part in parts for order in of_each(*part)]
    finite = torch.isfinite(prediction).flatten(1).all(1).tolist()
    return [order if usable else NO_ORDER for order, usable in zip(found, finite, strict=True)]


def _of_classes(prediction: Tensor, targets: Tensor) -> list[Order]:
    scores, positive = one_against_rest(prediction, targets, probabilistic=False)
    found = rank(scores.flatten(0, 1), positive.flatten(0, 1))
    ones, zeros = found.positives.double(), found.negatives.double()
    above = area(found) - 0.5
    deviations = above / ((ones + zeros + 1) / (12 * ones * zeros).clamp(min=1)).sqrt()
    table = (2 * above, deviations, found.usable)
    orders = []
    answered = _right_answers(prediction, targets)
    for right, gini, deviation, usable in zip(answered, *(each.view(len(scores), -1) for each in table), strict=True):
        beyond = deviation[usable].tolist() or [0.0]
        own = max(right, _of_many(max(beyond), len(beyond)))
        orders.append(Order(float(gini[usable].mean()) if bool(usable.any()) else 0.0, own))
    return orders


def _of_targets(prediction: Tensor, targets: Tensor) -> list[Order]:
    orders = []
    for own, goals in zip(prediction[..., : targets.shape[-1]], targets, strict=True):
        of_ranks = _correlations(ranks(own), ranks(goals))
        largest = max(float(_correlations(own, goals).max()), float(of_ranks.max()))
        orders.append(Order(float(of_ranks.mean()), _beyond_chance(largest, len(goals))))
    return orders


def _of_many(deviation: float, count: int) -> float:
    """The largest of `count` standard deviations as if it were the only one (Bonferroni)."""
    if count == 1 or deviation > 8:
        return deviation
    tail = min(count * NormalDist().cdf(-deviation), 0.5)
    return NormalDist().inv_cdf(1 - tail)


def ranks(values: Tensor) -> Tensor:
    """Ranks (N, C) of each column, the mean rank for equal values.

    >>> ranks(torch.tensor([[3.0], [1.0], [3.0]])).flatten().tolist()
    [2.5, 1.0, 2.5]
    """
    found = torch.empty_like(values, dtype=torch.float64)
    for column in range(values.shape[1]):
        _, place, count = torch.unique(values[:, column], return_inverse=True, return_counts=True)
        last = count.cumsum(0)
        found[:, column] = (last - (count - 1) / 2).double()[place]
    return found


def _right_answers(prediction: Tensor, targets: Tensor) -> list[float]:
    """Standard deviations by which right answers are more than chance, of predictions (M, N, C) of targets (M, N)."""
    counts, examples = decisions.count(prediction.argmax(-1), targets, prediction.shape[-1]), targets.shape[1]
    expected = (counts.decided.double() / examples * (counts.actual.double() / examples)).sum(1)
    observed = counts.right.sum(1).double() / examples
    spread = ((expected * (1 - expected)).clamp(min=1e-9) / examples).sqrt()
    return ((observed - expected) / spread).tolist()


def _correlations(first: Tensor, second: Tensor) -> Tensor:
    """Correlations (C,) of the columns."""
    centered = [(value - value.mean(0)).double() for value in (first, second)]
    norms = [value.square().sum(0).sqrt().clamp_min(1e-12) for value in centered]
    return (centered[0] * centered[1]).sum(0) / (norms[0] * norms[1])


def _beyond_chance(r: float, count: int) -> float:
    """Standard deviations of a correlation of `count` examples above none."""
    return math.atanh(min(max(r, -0.999999), 0.999999)) * math.sqrt(max(count - 3, 1))


@dataclass(frozen=True)
class Pair:
    """Two classes that predictions do not tell apart."""

    first: int
    second: int
    right: float
    count: int
    others: float


def mixed_pair(prediction: Tensor, targets: Tensor) -> Pair | None:
    """The worst pair of classes, where it is hardly told apart although all other pairs are.

    Only examples of the two classes that are answered by one of the two count.
    """
    if targets.is_floating_point() or prediction.shape[-1] < 3:
        return None
    answers, classes = prediction.argmax(-1), prediction.shape[-1]
    confusion = torch.bincount(targets * classes + answers, minlength=classes**2).view(classes, classes).double()
    right = confusion.diagonal()
    among = right[:, None] + right[None, :] + confusion + confusion.T
    share = torch.where(among >= LEAST, (right[:, None] + right[None, :]) / among.clamp_min(1), torch.ones_like(among))
    share.fill_diagonal_(1.0)
    first, second = divmod(int(share.argmin()), classes)
    worst = float(share[first, second])
    upper = torch.triu_indices(classes, classes, 1)
    others = [float(share[i, j]) for i, j in upper.T.tolist() if {i, j} != {first, second}]
    lowest = min(others, default=0.0)
    counts = confusion.sum(1)
    rest = [k for k in range(classes) if k not in (first, second) and counts[k] >= LEAST]
    found = min(
        (float(right[k] / counts[k]) for k in rest), default=0.0
    )  # a rare class that is never answered says little
    error = math.sqrt(worst * (1 - worst) / float(among[first, second].clamp_min(1)))
    if worst + error >= PAIR or lowest < OTHERS or found < PAIR:
        return None
    return Pair(min(first, second), max(first, second), worst, int(among[first, second]), lowest)


def told_apart(prediction: Tensor, targets: Tensor, pair: Pair) -> bool:
    """Whether held-out predictions tell the two classes apart better than chance."""
    scores, classes = prediction[:, [pair.first, pair.second]], (pair.first, pair.second)
    among = (targets == classes[0]) | (targets == classes[1])
    right = (scores.argmax(-1) == (targets == classes[1]).long())[among].double()
    return len(right) > 0 and (float(right.mean()) - 0.5) * 2 * math.sqrt(len(right)) >= CHANCE
