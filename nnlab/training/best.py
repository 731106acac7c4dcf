"""The best weights that each member has had, by its validation metric."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.metric_names import HIGHER_IS_BETTER
from nnlab.training.stack import Stack
from nnlab.types import Dataset

Score = tuple[float, float]  # primary metric and loss, smaller is better


def better(metric: str, value: float, than: float, by: float = 0.0) -> bool:
    """Whether `value` improves on `than` by more than `by`, for a metric such as `loss` or `accuracy`."""
    return value > than + by if metric in HIGHER_IS_BETTER else value < than - by


def check_metric(metric: str, known: Sequence[str], datasets: Sequence[Dataset]) -> None:
    """Refuse a metric that cannot decide between the weights of a run.

    Raises:
        UserError: this loss and task have no such metric, or the validation split cannot be ranked.
    """
    if metric not in known:
        raise UserError(
            f"`trainer.metric={metric}` is not measured with this loss and these targets; valid: {', '.join(known)}"
        )
    if metric == "r2" and any(len(dataset.validation) < 2 for dataset in datasets):
        raise UserError(
            "`trainer.metric=r2` needs two validation examples, and there is 1; enlarge that split with "
            "`data.validation`"
        )
    if metric in ("auroc", "average_precision"):
        for dataset in datasets:
            if len(dataset.validation.targets.unique()) < 2:
                raise UserError(
                    f"`trainer.metric={metric}` needs examples of two classes in the validation split, which holds "
                    f"{len(dataset.validation)} of one class; enlarge it with `data.validation`"
                )


class Best:
    """Best weights, step and metrics of M members.

    Args:
        stack: the networks with their initial weights.
        window: validations whose mean decides.

    Attributes:
        theta: (M, P), at first the initial weights.
        buffers: (M, ...) by name.
        steps: the step after which each member was best.
        metrics: its validation metrics then.
        scores: the mean of primary metric and loss that it had then, smaller is better; None before it is known.
        recent: what each member's last validations gave, at most `window` of them.
    """

    def __init__(self, stack: Stack, window: int = 1) -> None:
        self.window = window
        self.theta: Tensor = stack.theta.clone()
        self.buffers = {name: value.clone() for name, value in stack.buffers.items()}
        members = len(stack)
        self.steps = [0] * members
        self.metrics: list[dict[str, float]] = [{} for _ in range(members)]
        self.scores: list[Score | None] = [None] * members
        self.recent: list[list[Score]] = [[] for _ in range(members)]

    def offer(self, stack: Stack, row: int, member: int, step: int, metrics: dict[str, float], primary: str) -> bool:
        """Keep the stack's `row` if it beats the member's best: by the primary metric, then by the loss."""
        recent = self.recent[member] = [*self.recent[member], _key(metrics, primary)][-self.window :]
        score = (sum(value for value, _ in recent) / len(recent), sum(loss for _, loss in recent) / len(recent))
        if score >= (self.scores[member] or _key(self.metrics[member], primary)):
            return False
        self._keep(stack, row, member, step)
        self.metrics[member], self.scores[member] = metrics, score
        return True

    def restore(self, stack: Stack, row: int, member: int) -> None:
        """Write the member's best weights into the stack's `row`."""
        stack.theta[row].copy_(self.theta[member])
        for name, value in stack.buffers.items():
            value[row].copy_(self.buffers[name][member])

    def keep_final(self, stack: Stack, row: int, member: int, step: int, loss: float) -> None:
        """A member that leaves before its first validation keeps its last weights, if their `loss` is a number."""
        if not self.metrics[member] and math.isfinite(loss) and bool(torch.isfinite(stack.theta[row]).all()):
            self._keep(stack, row, member, step)

    def _keep(self, stack: Stack, row: int, member: int, step: int) -> None:
        self.theta[member].copy_(stack.theta[row])
        for name, value in stack.buffers.items():
            self.buffers[name][member].copy_(value[row])
        self.steps[member] = step


def _key(metrics: dict[str, float], primary: str) -> Score:
    """Smaller is better; nothing yet, or a loss or metric that is not finite, is worst."""
    value, loss = (metrics.get(name, math.inf) for name in (primary, "loss"))
    if not (math.isfinite(value) and math.isfinite(loss)):
        return (math.inf, math.inf)
    return (-value if primary in HIGHER_IS_BETTER else value, loss)
