"""What training came to: metrics of the best weights, of an ensemble, or of the ensemble of one run's snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from nnlab.training.ensemble import ensemble_report
from nnlab.training.evaluation import SPLITS, Evaluation, evaluate
from nnlab.training.trainer import Trainer

Metrics = dict[str, dict[str, float]]


def final_metrics(trainer: Trainer, members: Sequence[int]) -> tuple[Metrics, dict[str, Any] | None]:
    """Metrics by split of a run's member; for several members those of the ensemble, and its report.

    A callback that made an ensemble of one member (snapshots) has left its report in the member's outcome.
    """
    final = trainer.final_evaluations()
    reports = trainer.outcomes[members[0]].ensemble if len(members) == 1 else None
    if reports is not None:
        return {split: report["by_size"][-1] for split, report in reports.items()}, reports
    if len(members) == 1:
        return {split: dict(evaluation.of_members[members[0]]) for split, evaluation in final.items()}, None
    data, rows = trainer.members[members[0]].dataset, list(members)
    reports = {
        split: ensemble_report(trainer.loss, evaluation, getattr(data, split).targets, rows, data.units)
        for split, evaluation in final.items()
    }
    return {split: report["by_size"][-1] for split, report in reports.items()}, reports


def ensemble_of(trainer: Trainer, theta: Tensor, buffers: dict[str, Tensor], member: int) -> dict[str, Any]:
    """Report by split on an ensemble of weights (m, P) and buffers (m, ...) of one member, such as snapshots."""
    data, rows = trainer.members[member].dataset, range(len(theta))
    return {
        split: ensemble_report(
            trainer.loss,
            evaluation_of(trainer, theta, buffers, member, split),
            getattr(data, split).targets,
            rows,
            data.units,
        )
        for split in SPLITS
    }


def evaluation_of(trainer: Trainer, theta: Tensor, buffers: dict[str, Tensor], member: int, split: str) -> Evaluation:
    """Evaluate weights (m, P) and buffers (m, ...) on a split of one member's data."""
    data, stack = trainer.members[member].dataset, trainer.stack
    with stack.set_aside():
        stack.replace(theta, buffers)
        return evaluate(stack, [getattr(data, split)] * len(theta), data.units)
