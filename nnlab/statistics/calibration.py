"""Do predicted probabilities mean what they say? The reliability diagram, and the confusion of classes.

Probabilities are (..., N, C), also for binary tasks (C = 2), and targets (..., N) int64; leading axes, such as the
members M of a population, stay. Source: Guo et al. 2017, arXiv:1706.04599, equations 2-3; the calibration error itself
is a metric, see `nnlab.loss.metrics`.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Reliability:
    """What a reliability diagram shows, each (..., bins); bin b holds confidences in (b / bins, (b + 1) / bins].

    Attributes:
        confidence: mean confidence of the examples in a bin, NaN where it is empty.
        accuracy: fraction of them that are predicted right, NaN where it is empty.
        count: their number, int64.
    """

    confidence: Tensor
    accuracy: Tensor
    count: Tensor


def reliability(probabilities: Tensor, targets: Tensor, bins: int = 15) -> Reliability:
    """Confidence against accuracy in `bins` bins of equal width; the confidence is that of the predicted class.

    Args:
        probabilities: (..., N, C).
        targets: (..., N) int64, or (N,) shared by all leading axes.
        bins: number of bins, at least 1.
    """
    confidence, predicted = probabilities.max(-1)
    right = predicted == targets
    inner_edges = torch.linspace(0, 1, bins + 1, dtype=confidence.dtype, device=confidence.device)[1:-1]
    index = torch.bucketize(confidence, inner_edges)
    # Bin by bin rather than by scattered addition, whose order, and so its last bits, changes from run to run on CUDA.
    members = [index == position for position in range(bins)]
    count = torch.stack([inside.sum(-1) for inside in members], -1)
    total = torch.stack([(confidence * inside).sum(-1) for inside in members], -1)
    correct = torch.stack([(right & inside).sum(-1) for inside in members], -1)
    return Reliability(total / count, correct.to(total.dtype) / count, count)


def confusion_matrix(targets: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Counts (..., C, C), int64: row t, column p holds the examples of class t that were predicted as p.

    Args:
        targets: (..., N) int64 in [0, C), or (N,) shared by all leading axes of `predicted`.
        predicted: (..., N) int64 in [0, C).
        classes: C.

    Raises:
        ValueError: a label is outside [0, C).

    >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2)
    tensor([[1, 0],
            [1, 1]])
    """
    targets, predicted = torch.broadcast_tensors(targets, predicted)
    for labels in (targets, predicted):
        if bool(((labels < 0) | (labels >= classes)).any()):
            raise ValueError(f"labels must be in [0, {classes}), got {int(labels.min())} ... {int(labels.max())}")
    pairs = targets * classes + predicted
    counts = pairs.new_zeros(*pairs.shape[:-1], classes * classes)
    counts.scatter_add_(-1, pairs, torch.ones_like(pairs))
    return counts.reshape(*pairs.shape[:-1], classes, classes)
