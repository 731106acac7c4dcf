"""Precision and recall of binary classifiers over all thresholds, in TensorBoard's tab PR CURVES.

At a threshold t the examples whose probability of class 1 is at least t count as positive: precision TP / (TP + FP),
recall TP / (TP + FN). Source: van Rijsbergen 1979, "Information Retrieval", chapter 7.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.callbacks.tensorboard import EventFile
from nnlab.callbacks.views import Moment, Views
from nnlab.training import Trainer
from nnlab.types import Task
from nnlab.validation import check


class PrecisionRecall(Views):
    """Writes the curve on the validation split; see `Views` for when. Other tasks are left alone.

    Args:
        thresholds: their number, evenly spaced from 0 to 1. [2, 1000]
        most: runs of a population that are shown, the first ones. [1, inf)
    """

    def __init__(self, thresholds: int = 101, most: int = 4) -> None:
        super().__init__(most)
        self.thresholds = check("thresholds", thresholds, "[2, 1000]")

    def _wanted(self, trainer: Trainer) -> bool:
        return trainer.members[0].dataset.task is Task.BINARY

    def _show(self, view: Moment) -> None:
        prediction = view.prediction if view.trainer.loss.probabilistic else view.prediction.softmax(1)
        table = precision_recall(prediction[:, 1], view.data.validation.targets, self.thresholds)
        text = f"Validation, positive: {view.data.target_names[1]}"
        EventFile(view.run).precision_recall(view.step, "precision_recall/validation", table.cpu().numpy(), text)


def precision_recall(scores: Tensor, targets: Tensor, thresholds: int) -> Tensor:
    """True positives, false positives, true negatives, false negatives, precision, recall: (6, thresholds).

    Args:
        scores: probability of class 1, (N,).
        targets: (N,), 0 or 1.
        thresholds: their number, from 0 to 1. Precision is 1 where nothing counts as positive.

    >>> precision_recall(torch.tensor([0.1, 0.6, 0.9]), torch.tensor([0, 1, 0]), 3)[4:]
    tensor([[0.3333, 0.5000, 1.0000],
            [1.0000, 1.0000, 0.0000]])
    """
    bounds = torch.linspace(0, 1, thresholds, dtype=scores.dtype, device=scores.device)
    positive = scores.unsqueeze(0) >= bounds.unsqueeze(1)
    true = (positive & (targets == 1)).sum(1).double()
    false = (positive & (targets != 1)).sum(1).double()
    ones, zeros = (targets == 1).sum(), (targets != 1).sum()
    precision = torch.where(true + false > 0, true / (true + false).clamp(min=1), 1.0)
    recall = true / ones.clamp(min=1)
    return torch.stack([true, false, zeros - false, ones - true, precision, recall]).float()
