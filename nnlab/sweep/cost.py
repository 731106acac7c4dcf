"""What a job will take, found by building its network and timing a few steps on its own data."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nnlab.config.build import build_trainer
from nnlab.optimizer.base import FirstOrder
from nnlab.sweep.grouping import Cost
from nnlab.training import Trainer
from nnlab.training.memory import network_bytes
from nnlab.training.native.engine import NativeEngine
from nnlab.training.recorded import WARM_UP, RecordedEngine
from nnlab.types import Dataset

TIMED_STEPS = 4


@dataclass(frozen=True)
class Measured:
    """What was found.

    Attributes:
        cost: of one member.
        steps: updates of the whole run.
        step_seconds: time of one step and member in a population; None where it was not or cannot be measured.
        alone_seconds: the same of one network alone.
    """

    cost: Cost
    steps: int
    step_seconds: float | None = None
    alone_seconds: float | None = None


def measure(config: Mapping[str, Any], members: int = 0, overrides: Sequence[str] | None = None) -> Measured:
    """Build one network, or `members` of the same to time a step; 0 times nothing.

    Args:
        config: the config of a job.
        members: how many to time together.
        overrides: that led to the config, if they are known.

    Raises:
        UserError: data, architecture and loss do not fit each other.
    """
    trainer = build_trainer([config], overrides=overrides)
    cost = member_cost(trainer)
    if not members:
        return Measured(cost, trainer.total_steps)
    alone = step_seconds(trainer)
    if members == 1 or isinstance(trainer.engine, NativeEngine):  # which trains each member as if it were alone
        return Measured(cost, trainer.total_steps, alone, alone)
    stacked = step_seconds(build_trainer([config] * members, overrides=overrides))
    return Measured(cost, trainer.total_steps, None if stacked is None else stacked / members, alone)


def member_cost(trainer: Trainer) -> Cost:
    """Memory and work of one member, from a trainer with one run."""
    data, members = trainer.members[0].dataset, len(trainer.members)
    return Cost(
        parameters=trainer.stack.theta.shape[1] * members,
        batch_size=trainer.engine.batches.batch_size,
        bytes=network_bytes(trainer) * members,
        data_bytes=dataset_bytes(data),
        shared_bytes=2 * dataset_bytes(data),  # the examples as they were read, and one data set in preparation
        device=trainer.device,
    )


def dataset_bytes(data: Dataset) -> int:
    """Memory of a data set; what is read from disk in minibatches takes none."""
    splits = (data.train, data.validation, data.test)
    tensors = [tensor for split in splits for tensor in (split.inputs, split.targets) if isinstance(tensor, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def step_seconds(trainer: Trainer) -> float | None:
    """The shortest of a few steps of a trainer that is not needed afterwards; None where a step has no fixed cost."""
    if not isinstance(trainer.engine.rules.optimizer, FirstOrder):
        return None
    shortest = math.inf
    recording = WARM_UP + 1 if isinstance(trainer.engine, RecordedEngine) else 0
    together = 8 if isinstance(trainer.engine, NativeEngine) else 1  # it takes blocks of steps, and prepares for each
    for step in range(recording + TIMED_STEPS):
        started = time.perf_counter()
        done = len(trainer.engine.advance(step * together, together))
        if trainer.device.type == "cuda":
            torch.cuda.synchronize(trainer.device)
        shortest = min(shortest, (time.perf_counter() - started) / done)
    return shortest
