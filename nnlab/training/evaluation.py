"""Evaluating the members of a stack on a split: mean loss and the task's metrics, (M,) each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.randomness import fold
from nnlab.regularizer.base import NoiseModule
from nnlab.training.stack import Stack
from nnlab.types import Split

CHUNK = 1 << 24  # numbers of input that are evaluated at once


SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Evaluation:
    """Result on one split.

    Attributes:
        metrics: `loss` and the task's metrics, (M,) each.
        prediction: (M, N, *), as `Loss.prediction` gives it.
    """

    metrics: dict[str, Tensor]
    prediction: Tensor


def sampling_passes(stack: Stack) -> int:
    """Random passes that an evaluation averages: the most `samples` of any noise module; 0: one without noise."""
    modules = [stack.network.get_submodule(name) for name in stack.noise]
    return max((m.samples for m in modules if isinstance(m, NoiseModule)), default=0)


def evaluate(stack: Stack, split: Split, scale: Tensor | None = None) -> Evaluation:
    """Evaluate on `split`, inputs (M, N, ...); regression errors are multiplied by `scale`, (C,) or (M, 1, C)."""
    members, count = split.inputs.shape[:2]
    size = max(1, CHUNK // max(members * split.inputs[0, 0].numel(), 1))
    passes = sampling_passes(stack)
    stack.set_sampling(passes > 0)
    total: Tensor | float = 0.0
    predictions = []
    for sample in range(max(passes, 1)):
        if passes:
            keys = torch.arange(len(stack.noise), device=stack.theta.device)  # the same masks for all members
            stack.set_keys(fold(keys, sample).unsqueeze(1).expand(-1, members))
        pieces, losses = [], []
        for start in range(0, count, size):
            outputs = stack.outputs(split.inputs[:, start : start + size])
            losses.append(stack.loss.losses(outputs, split.targets[:, start : start + size]))
            pieces.append(stack.loss.prediction(outputs))
        total = total + torch.cat(losses, 1).mean(1) / max(passes, 1)
        predictions.append(torch.cat(pieces, 1))
    stack.set_sampling(False)
    prediction = stack.loss.combine(torch.stack(predictions)) if passes else predictions[0]
    metrics = {"loss": torch.as_tensor(total), **stack.loss.metrics(prediction, split.targets, scale)}
    return Evaluation(metrics, prediction)
