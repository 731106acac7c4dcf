"""What simple methods reach on the same data, so that a network can be called too weak: neighbors, and linear fits.

The five nearest neighbors (Fix and Hodges 1951) and ridge regression on standardized inputs need no training to
speak of. A network that stays clearly behind the better of them has not learned what is there to learn; on data that
are mostly noise, neither they nor the network get far, and nobody is blamed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.chance import Order, association, orders
from nnlab.diagnosis.facts.levels import thumbnails
from nnlab.diagnosis.facts.linear import linear_held_out
from nnlab.diagnosis.facts.once import once
from nnlab.loss.base import Loss
from nnlab.types import Dataset, Split

WIDE = 256  # inputs from which half as many examples have to do, so that the work stays a few hundredths of a second
FEATURES, NEIGHBORS = 1024, 5


@dataclass(frozen=True)
class References:
    """The better of the simple methods on validation.

    Attributes:
        skill: share of the best constant prediction's errors that are avoided; see `skill`.
        recall: of each class, that of the method which finds most of it; empty for regression.
        balanced: as `skill`, with every class counting as much as any other; see `balanced_skill`.
        find_order: measures how well they order the examples, when that is first asked for.
    """

    skill: float
    recall: tuple[float, ...] = ()
    balanced: float = float("nan")
    find_order: Callable[[], Order] = lambda: Order(float("nan"), float("inf"))

    @functools.cached_property
    def order(self) -> Order:
        """How well the better of them orders the examples, and by how much any of them is better than chance."""
        return self.find_order()


def suitable_sizes(features: int) -> tuple[int, int]:
    """How many training and validation examples the methods get for inputs of this size."""
    return (2048, 512) if features < WIDE else (1024, 256)


def measure_references(dataset: Dataset, loss: Loss) -> References:
    """The references of a data set; a few hundredths of a second."""
    answered = functools.cache(lambda: _answered(dataset))

    def find_order() -> Order:
        predictions, _, targets = answered()
        found = [orders(prediction.unsqueeze(0), targets.unsqueeze(0))[0] for prediction in predictions]
        strength = max(each.association for each in found)
        if strength < 5 and dataset.input_size < WIDE:
            strength = max(strength, association(*linear_held_out(dataset, loss)))
        return Order(max(each.ranking for each in found), strength)

    reached, recall, balanced = once("references", dataset, None, lambda: _reached(*answered(), dataset.target_size))
    return References(reached, recall, balanced, lambda: once("order", dataset, loss, find_order))


def _answered(dataset: Dataset) -> tuple[list[Tensor], Tensor, Tensor]:
    """What the methods and the best constant predict for validation examples, and the targets, in the data's units."""
    known, asked = suitable_sizes(dataset.input_size)
    train, validation = thumbnails(dataset.train, known), thumbnails(dataset.validation, asked)
    predictions, center = simple_predictions(dataset, train, validation)
    targets = validation.targets
    if dataset.units is not None and not dataset.units.is_linear:
        restored = dataset.units.restored
        center = restored(train.targets).mean(0).expand(len(targets), -1)
        predictions, targets = list(map(restored, predictions)), restored(targets)
    return predictions, center, targets


def _reached(
    predictions: list[Tensor], center: Tensor, targets: Tensor, classes: int
) -> tuple[float, tuple[float, ...], float]:
    """The best skill, of each class the best recall, and the best skill with classes that count alike."""
    best = max(skill(prediction, center, targets) for prediction in predictions)
    recalls = [_recall(prediction, targets, classes) for prediction in predictions]
    highest = tuple(map(max, *recalls)) if len(recalls) > 1 else recalls[0]
    return best, highest, max(map(balanced_skill, recalls))


def simple_predictions(dataset: Dataset, train: Split, validation: Split) -> tuple[list[Tensor], Tensor]:
    """Predictions (N, C) of both methods on the validation examples, and of the best constant."""
    mean = train.inputs.flatten(1).mean(0)
    x, z = (s.inputs.flatten(1) - mean for s in (train, validation))
    std = x.square().mean(0).sqrt()  # a tenth of the time of `std`
    scale = torch.where(std > 1e-6 * mean.abs().clamp(min=1e-6), std, torch.ones_like(std))
    x, z = x.div_(scale), z.div_(scale)
    labels = not train.targets.is_floating_point()
    y = torch.nn.functional.one_hot(train.targets, dataset.target_size).to(x.dtype) if labels else train.targets
    predictions = [_neighbors(x, y, z)]
    if x.shape[1] <= FEATURES:
        predictions.append(_ridge(x, y, z))
    return predictions, y.mean(0).expand(len(z), -1)


def skill(prediction: Tensor, baseline: Tensor, targets: Tensor) -> float:
    """From 0, no better than the best constant, to 1: the share of the baseline's errors that are avoided.

    Classification counts mistakes, regression adds squared errors (then this is R^2 against the training mean).
    """
    if targets.is_floating_point():
        wrong, before = ((p - targets).square().sum() for p in (prediction, baseline))
    else:
        wrong, before = ((p.argmax(1) != targets).double().sum() for p in (prediction, baseline))
    return float(1 - wrong / before) if float(before) > 0 else 0.0


def balanced_skill(recall: Sequence[float]) -> float:
    """The skill where rare classes count as much as others: of the mean recall, above that of one answer for all.

    >>> balanced_skill([1.0, 0.5, float("nan")]), balanced_skill([0.0, 1.0])
    (0.5, 0.0)
    """
    found = [each for each in recall if not math.isnan(each)]
    return (sum(found) - 1) / (len(found) - 1) if len(found) > 1 else math.nan


def _recall(prediction: Tensor, targets: Tensor, classes: int) -> tuple[float, ...]:
    """The recall of each class, NaN where it has no example; empty for regression."""
    if targets.is_floating_point():
        return ()
    right = torch.bincount(targets[prediction.argmax(1) == targets], minlength=classes)
    return tuple((right / torch.bincount(targets, minlength=classes)).tolist())


def _neighbors(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    distances = torch.addmm(x.square().sum(1), z, x.T, alpha=-2)  # squared, but for what all of a row share
    nearest = distances.topk(min(NEIGHBORS, len(x)), largest=False).indices
    found: Tensor = y[nearest].mean(1)
    return found


def _ridge(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    offset = y.mean(0)
    gram = x.T @ x
    gram.diagonal().add_(1e-2 * len(x))  # which keeps the condition number within 100 D
    weight = torch.cholesky_solve(x.T @ (y - offset), torch.linalg.cholesky(gram))
    prediction: Tensor = z @ weight + offset
    return prediction
