"""What simple methods reach on the same data, so that a network can be called too weak: neighbours, and a linear fit.

The five nearest neighbours (Fix and Hodges 1951) and ridge regression on standardized inputs need no training to
speak of. A network that stays clearly behind the better of them has not learned what is there to learn; on data that
are mostly noise, neither they nor the network get far, and nobody is blamed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.types import Dataset, Split

WIDE = 256  # inputs from which half as many examples have to do, so that the work stays a few hundredths of a second
FEATURES, NEIGHBOURS = 1024, 5


def suitable_sizes(features: int) -> tuple[int, int]:
    """How many training and validation examples the methods get for inputs of this size."""
    return (2048, 512) if features < WIDE else (1024, 256)


def reference_skill(dataset: Dataset, train: Split, validation: Split) -> float:
    """The better skill of the two methods on the validation examples; see `skill`."""
    mean, std = train.inputs.flatten(1).mean(0), train.inputs.flatten(1).std(0)
    scale = torch.where(std > 1e-6 * mean.abs().clamp(min=1e-6), std, torch.ones_like(std))
    x, z = ((s.inputs.flatten(1) - mean) / scale for s in (train, validation))
    labels = not train.targets.is_floating_point()
    y = torch.nn.functional.one_hot(train.targets, dataset.target_size).to(x.dtype) if labels else train.targets
    predictions = [_neighbours(x, y, z)]
    if x.shape[1] <= FEATURES:
        predictions.append(_ridge(x, y, z))
    center = y.mean(0).expand(len(z), -1)
    return max(skill(prediction, center, validation.targets) for prediction in predictions)


def skill(prediction: Tensor, baseline: Tensor, targets: Tensor) -> float:
    """From 0, no better than the best constant, to 1: the share of the baseline's errors that are avoided.

    Classification counts mistakes, regression adds squared errors (then this is R^2 against the training mean).
    """
    if targets.is_floating_point():
        wrong, before = ((p - targets).square().sum() for p in (prediction, baseline))
    else:
        wrong, before = ((p.argmax(1) != targets).double().sum() for p in (prediction, baseline))
    return float(1 - wrong / before) if float(before) > 0 else 0.0


def _neighbours(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    nearest = torch.cdist(z, x).topk(min(NEIGHBOURS, len(x)), largest=False).indices
    found: Tensor = y[nearest].mean(1)
    return found


def _ridge(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    offset = y.mean(0)
    gram = x.T @ x
    gram.diagonal().add_(1e-2 * len(x))  # which keeps the condition number within 100 D
    weight = torch.cholesky_solve(x.T @ (y - offset), torch.linalg.cholesky(gram))
    prediction: Tensor = z @ weight + offset
    return prediction
