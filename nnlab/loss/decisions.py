"""Metrics of decisions that give every class the same say, however rare it is: balanced accuracy and F1.

With TP_c, P_c and T_c the numbers of examples that are rightly decided for class c, decided for it, and of it:

    recall_c = TP_c / T_c,    precision_c = TP_c / P_c,    F1_c = 2 TP_c / (P_c + T_c)

Balanced accuracy is the mean recall over the classes that the targets hold; F1 here is the mean of F1_c over the
classes that targets or decisions hold ("macro").
Sources: Brodersen et al. 2010 (doi 10.1109/ICPR.2010.764); van Rijsbergen 1979, "Information Retrieval", chapter 7.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Counts(NamedTuple):
    """Numbers of examples of each class, (..., C) int64: rightly decided for it, decided for it, and of it."""

    right: Tensor
    decided: Tensor
    actual: Tensor

    @property
    def recall(self) -> Tensor:
        """(..., C), 0 for a class that the targets do not hold."""
        return self.right.double() / self.actual.clamp_min(1)

    @property
    def precision(self) -> Tensor:
        """(..., C), 0 for a class that nothing is decided for."""
        return self.right.double() / self.decided.clamp_min(1)

    @property
    def f1(self) -> Tensor:
        """(..., C), the harmonic mean of precision and recall."""
        return 2 * self.right.double() / (self.decided + self.actual).clamp_min(1)


def count(decided: Tensor, targets: Tensor, classes: int) -> Counts:
    """Count the `decided` classes (..., N) against targets (..., N), of which there are `classes`."""
    targets = targets.expand(decided.shape)
    rows = decided.shape[:-1].numel()
    starts = torch.arange(0, rows * classes, classes, device=decided.device).view(*decided.shape[:-1], 1)

    def counted(found: Tensor) -> Tensor:
        return torch.bincount(found.flatten(), minlength=rows * classes).view(*decided.shape[:-1], classes)

    right = (starts + decided)[decided == targets]
    return Counts(counted(right), counted(starts + decided), counted(starts + targets))


def balanced_accuracy(counts: Counts) -> Tensor:
    """The mean recall, (...) float64."""
    return _mean(counts.recall, counts.actual > 0)


def f1(counts: Counts) -> Tensor:
    """The mean F1 over the classes, (...) float64."""
    return _mean(counts.f1, counts.actual + counts.decided > 0)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """The mean over the last axis of the entries that count."""
    return (values * counted).sum(-1) / counted.sum(-1)
