"""Held-out answers by methods of other kinds than networks: what several kinds agree on, none has learned by heart.

Neighbors (of each example, without itself) and ridge regression (on folds) need no training to speak of. A network that
learns wrong labels by heart is sure of wrong answers at random places; many neighbors are not, and the mean of all is
sure where the kinds agree.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBORS = (15, 40)
FOLDS, FEATURES = 4, 1024


def with_others(prediction: Tensor, inputs: Tensor, targets: Tensor, near: Tensor) -> Tensor:
    """Class probabilities (N, C): the mean of a network's held-out scores (N, C) and those of the other kinds.

    Args:
        prediction: out-of-fold probabilities, or scores of a margin loss.
        inputs: (N, ...) as the network sees them.
        targets: (N,) int64.
        near: (N, K) the nearest other examples, as `nearest` has them.
    """
    own = as_probabilities(prediction)
    x, classes = _standardized(inputs), prediction.shape[1]
    y = torch.nn.functional.one_hot(targets, classes).double()
    others = [y[near[:, :count]].mean(1) for count in NEIGHBORS]
    if x.shape[1] <= FEATURES:
        others.append(_ridge(x.double(), y))
    return torch.stack([own.double(), *others]).mean(0)


def as_probabilities(prediction: Tensor) -> Tensor:
    """Scores (N, C) of a margin loss, or probabilities, as probabilities."""
    own = prediction if bool((prediction >= 0).all()) else prediction.softmax(1)
    return own / own.sum(1, keepdim=True).clamp(min=1e-9)


def nearest(inputs: Tensor) -> Tensor:
    """The nearest other examples of each of N, the nearest first, (N, K) int64; K is the largest of `NEIGHBORS`."""
    x = _standardized(inputs)
    distance = torch.cdist(x, x).fill_diagonal_(float("inf"))
    return distance.topk(min(max(NEIGHBORS), len(x) - 1), largest=False).indices


def _standardized(inputs: Tensor) -> Tensor:
    x = inputs.flatten(1).float().cpu()
    x = x - x.mean(0)
    std = x.std(0)
    varies = std > 0
    x = x if bool(varies.all()) else x[:, varies]  # of large images every copy counts
    return x.div_(std[varies])


def _ridge(x: Tensor, y: Tensor) -> Tensor:
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    fold = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)) % FOLDS
    found = torch.zeros_like(y)
    for number in range(FOLDS):
        known = fold != number
        gram = x[known].T @ x[known]
        gram.diagonal().add_(1e-2 * int(known.sum()))
        found[~known] = x[~known] @ torch.linalg.solve(gram, x[known].T @ y[known])
    found = found.clamp(min=1e-3)
    return found / found.sum(1, keepdim=True)
