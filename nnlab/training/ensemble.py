"""What an ensemble gains: metrics of the average of 1, 2, ..., M members, of each member, and of the vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nnlab.loss.base import Loss
from nnlab.metric_names import HIGHER_IS_BETTER
from nnlab.training.evaluation import Evaluation
from nnlab.units import Units


def ensemble_report(
    loss: Loss, evaluation: Evaluation, targets: Tensor, rows: Sequence[int], units: Units | None = None
) -> dict[str, Any]:
    """Report on one split, from the members' predictions (M, N, *) and targets (N, ...).

    Returns:
        `members`: metrics of each; `mean`, `std`: over the members; `by_size`: metrics of the averaged prediction of
        the first 1, ..., M, and its `loss` with all weights (a loss that cannot tell: the members' mean); `gain`: by
        how much that of all is better than the mean, negative where it is worse; `vote`: accuracy of the majority
        (classification; ties go to the smaller class).
    """
    members = [{name: float(value[row]) for name, value in evaluation.metrics.items()} for row in rows]
    losses = torch.tensor([member["loss"] for member in members])
    predictions = evaluation.prediction[list(rows)]
    by_size = []
    for size in range(1, len(rows) + 1):
        combined = loss.combine(predictions[:size])
        metrics = {name: float(value) for name, value in loss.measured(combined, targets, units).items()}
        own = loss.loss_of(combined, targets)
        by_size.append({"loss": float(losses[:size].mean() if own is None else own), **metrics})
    table = {name: torch.tensor([member[name] for member in members], dtype=torch.float64) for name in members[0]}
    mean = {name: float(values.mean()) for name, values in table.items()}
    sign = {name: 1 if name in HIGHER_IS_BETTER else -1 for name in table}
    report: dict[str, Any] = {
        "members": members,
        "mean": mean,
        "std": {name: float(values.std()) if len(values) > 1 else 0.0 for name, values in table.items()},
        "by_size": by_size,
        "gain": {name: sign[name] * (by_size[-1][name] - mean[name]) for name in table},
    }
    if not targets.is_floating_point():
        report["vote"] = vote_accuracy(predictions, targets)
    return report


def vote_accuracy(predictions: Tensor, targets: Tensor) -> float:
    """Accuracy of the majority vote of members' class scores (M, N, C)."""
    votes = torch.nn.functional.one_hot(predictions.argmax(-1), predictions.shape[-1]).sum(0)
    return float((votes.argmax(-1) == targets).double().mean())
