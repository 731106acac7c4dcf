"""Evaluating the members of a stack on a split: mean loss and the task's metrics, (M,) each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.loss.base import Loss
from nnlab.metric_names import THOROUGH
from nnlab.randomness import fold
from nnlab.regularizer.base import NoiseModule
from nnlab.storage.array_file import touched
from nnlab.training.batches import groups_of, spread, stacked
from nnlab.training.stack import Stack
from nnlab.types import Split
from nnlab.units import Units

CHUNK = 1 << 20  # numbers of input that are evaluated at once
CHUNK_OFF_CPU = 1 << 24  # the same where it is launches that take time
CHUNK_IN_PLACE = 1 << 23  # the same over all members for compiled code, which copies none of it ...
LEAST = 512  # ... and for which an example counts as this many at least
CHUNK_OF_IMAGES = 1 << 18  # the same for convolutions on a CPU, whose many channels else leave its caches
PRODUCTS = 1 << 34  # multiply-adds of linear layers after which a signal may be heard, a tenth of a second
MEASURED = 1 << 18  # predictions from which metrics are computed at once

SPLITS = ("train", "validation", "test")


class Interrupted(Exception):
    """Somebody wants the program to stop, sooner than an evaluation would end."""


@dataclass(frozen=True)
class Evaluation:
    """Result on one split.

    Attributes:
        metrics: `loss` and the task's metrics, (M,) each.
        predicted: the predictions, or what computes those of some members again where they take too much memory to be
            kept.
    """

    metrics: dict[str, Tensor]
    predicted: Tensor | Callable[[Sequence[int]], Tensor]

    @functools.cached_property
    def prediction(self) -> Tensor:
        """(M, N, *), as `Loss.prediction` gives it."""
        known = self.predicted
        return known if isinstance(known, Tensor) else known(range(len(self.metrics["loss"])))

    def prediction_of(self, members: Sequence[int]) -> Tensor:
        """Those of some members (m, N, *)."""
        known = self.predicted
        return known[list(members)] if isinstance(known, Tensor) else known(members)

    @functools.cached_property
    def of_members(self) -> list[dict[str, float]]:
        """The metrics of each member, by name."""
        columns = {name: values.tolist() for name, values in self.metrics.items()}
        members = range(len(self.metrics["loss"]))
        return [{name: column[member] for name, column in columns.items()} for member in members]


def never() -> bool:
    """Nobody wants the evaluation to end early."""
    return False


def sampling_passes(stack: Stack) -> int:
    """Random passes that an evaluation averages: the most `samples` of any noise module; 0: one without noise."""
    modules = [stack.network.get_submodule(name) for name in stack.noise]
    return max((m.samples for m in modules if isinstance(m, NoiseModule)), default=0)


def examples_at_once(stack: Stack, members: int, example: Tensor) -> int:
    """How many examples such as `example` the networks of a stack should take together."""
    on_cpu = CHUNK_OF_IMAGES if stack.convolves else CHUNK
    chunk = on_cpu if stack.theta.device.type == "cpu" else CHUNK_OFF_CPU
    if stack.one_by_one:
        return max(1, min(chunk // max(example.numel(), 1), PRODUCTS // stack.theta.numel()))
    return max(1, chunk // max(members * example.numel(), 1))


def evaluate(
    stack: Stack,
    splits: Sequence[Split],
    units: Units | None = None,
    thorough: Collection[str] = THOROUGH,
    stopped: Callable[[], bool] = never,
    examples: slice | None = None,
) -> Evaluation:
    """Evaluate every member on its own split; those that share one should receive the same object.

    Args:
        stack: M networks.
        splits: M splits of equally many examples N.
        units: of regression targets.
        thorough: metrics to measure of those that take longer.
        stopped: asked between two parts, whether to give up.
        examples: a part of each split, to evaluate that alone.

    Raises:
        Interrupted: it is `stopped`.
    """
    members, groups = len(splits), groups_of(splits)
    first, end, _ = (examples or slice(None)).indices(len(groups[0]))
    count = end - first
    size = examples_at_once(stack, members, groups[0].inputs[0])
    targets = spread(stacked([split.targets[first:end] for split in groups]), members)
    passes = sampling_passes(stack)
    if stack.in_place and not passes:  # masks are drawn for each piece, which is then that of a member alone
        size = max(size, CHUNK_IN_PLACE // (members * max(LEAST, groups[0].inputs[0].numel())))
    stack.set_sampling(passes > 0)
    touched(sum(split.inputs.numel() * split.inputs.element_size() for split in groups))  # they may be of a mapping
    total: Tensor | float = 0.0
    predictions = []
    for sample in range(max(passes, 1)):
        if passes:
            keys = torch.arange(len(stack.noise), device=stack.theta.device)  # the same masks for all members
            stack.set_keys(fold(keys, sample).unsqueeze(1).expand(-1, members))
        losses = []
        for start in range(0, count, size):
            if stopped():
                raise Interrupted
            part = slice(first + start, min(first + start + size, end))
            inputs, labels = [split.inputs[part] for split in groups], [split.targets[part] for split in groups]
            touched(sum(each.numel() * each.element_size() for each in inputs))
            piece, loss = stack.evaluated(inputs, labels)
            losses.append(loss)
            if start == 0:
                predictions.append(piece if size >= count else piece.new_empty(members, count, *piece.shape[2:]))
            if size < count:
                predictions[-1][:, start : start + size] = piece
        total = total + torch.cat(losses, 1).mean(1) / max(passes, 1)
    stack.set_sampling(False)
    prediction = stack.loss.combine(torch.stack(predictions)) if passes else predictions[0]
    found = metrics_of(stack.loss, prediction, targets, units, thorough)
    return Evaluation({"loss": torch.as_tensor(total), **found}, prediction)


def metrics_of(
    loss: Loss, prediction: Tensor, targets: Tensor, units: Units | None, thorough: Collection[str]
) -> dict[str, Tensor]:
    """The task's metrics (M,), of some members after the other: what is computed on the way takes much memory."""
    size = max(1, MEASURED // max(prediction[0].numel(), 1))
    parts = []
    for start in range(0, len(prediction), size):
        rows = slice(start, start + size)
        parts.append(loss.measured(prediction[rows], targets[rows], units and units.rows(rows), thorough))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
