"""Do predictions have to do with the labels? Tests against chance, for the networks of step 2 and a linear model.

Classes: the fraction of right answers p_o against that of answers drawn independently of the labels, p_e = sum_c
P(answer = c) P(label = c), in standard deviations sqrt(p_e (1 - p_e) / n) (the numerator of Cohen's kappa, 1960).
Regression: Fisher's z = artanh(r) sqrt(n - 3) of the correlation r between prediction and target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.loss.base import Loss
from nnlab.recipe.levels import EXAMPLES, fit_linear
from nnlab.types import Dataset, Split

CHANCE = 3.0  # standard deviations above which predictions are better than chance
PAIR = 0.75  # right answers between two classes below which they are mixed up ...
OTHERS = 0.9  # ... where all other pairs are told apart this well
LEAST = 20  # examples of a pair


def above_chance(prediction: Tensor, targets: Tensor) -> float:
    """Standard deviations by which predictions (N, *) agree with targets (N,) or (N, C) better than chance."""
    if targets.is_floating_point():
        return _correlation(prediction[..., : targets.shape[-1]], targets)
    answers = prediction.argmax(-1)
    count, classes = len(targets), prediction.shape[-1]
    answered = torch.bincount(answers, minlength=classes).double() / count
    labelled = torch.bincount(targets, minlength=classes).double() / count
    expected = float((answered * labelled).sum())
    observed = float((answers == targets).double().mean())
    return (observed - expected) / math.sqrt(max(expected * (1 - expected), 1e-9) / count)


def _correlation(prediction: Tensor, targets: Tensor) -> float:
    centred = [(value - value.mean(0)).double() for value in (prediction, targets)]
    norms = [value.square().sum(0).sqrt().clamp_min(1e-12) for value in centred]
    r = float(((centred[0] * centred[1]).sum(0) / (norms[0] * norms[1])).max())
    return math.atanh(min(max(r, -0.999999), 0.999999)) * math.sqrt(max(len(targets) - 3, 1))


def linear_above_chance(dataset: Dataset, loss: Loss) -> float:
    """`above_chance` of what `linear_held_out` gives."""
    return above_chance(*linear_held_out(dataset, loss))


def linear_held_out(dataset: Dataset, loss: Loss) -> tuple[Tensor, Tensor]:
    """Predictions and targets of linear models, each fitted to one half of the training split, on the other half."""
    inputs, targets = dataset.train.inputs[:EXAMPLES], dataset.train.targets[:EXAMPLES]
    halves = [torch.arange(start, len(targets), 2, device=targets.device) for start in (0, 1)]
    predictions, order = [], []
    for fitted, tested in (halves, halves[::-1]):
        model = fit_linear(loss, Split(inputs[fitted], targets[fitted]), dataset.target_size, 0.1)
        predictions.append(loss.prediction(model(inputs[tested])))
        order.append(tested)
    return torch.cat(predictions), targets[torch.cat(order)]


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
    if worst >= PAIR or lowest < OTHERS:
        return None
    return Pair(min(first, second), max(first, second), worst, int(among[first, second]), lowest)


def told_apart(prediction: Tensor, targets: Tensor, pair: Pair) -> bool:
    """Whether held-out predictions tell the two classes apart better than chance."""
    scores, classes = prediction[:, [pair.first, pair.second]], (pair.first, pair.second)
    among = (targets == classes[0]) | (targets == classes[1])
    right = (scores.argmax(-1) == (targets == classes[1]).long())[among].double()
    return len(right) > 0 and (float(right.mean()) - 0.5) * 2 * math.sqrt(len(right)) >= CHANCE
