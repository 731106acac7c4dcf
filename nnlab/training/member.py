"""One network of a population before training: everything that may be its own."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from nnlab.members import Hyper
from nnlab.optimizer.base import Optimizer
from nnlab.randomness import derive_seed
from nnlab.regularizer.base import Constraint, Penalty
from nnlab.regularizer.ema import WeightAverage
from nnlab.regularizer.sam import SharpnessAware
from nnlab.scheduler.base import Scheduler
from nnlab.types import Dataset


class Augmentation(Protocol):
    """What the engine needs of an augmentation."""

    def __call__(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Change inputs (M, N, ...) at random, from keys (M,)."""


@dataclass
class Member:
    """A network with its data, seed and rules.

    Attributes:
        seed: of data order, masks and augmentation; initial weights are in `network` already.
        clip_norm, clip_value: this member's own bounds.
        order_seed: seed of the data order alone, where members are to share their minibatches.
    """

    network: nn.Module
    dataset: Dataset
    seed: int
    optimizer: Optimizer
    scheduler: Scheduler
    penalties: Sequence[Penalty] = ()
    constraints: Sequence[Constraint] = ()
    averages: Sequence[WeightAverage] = ()
    sharpness: Sequence[SharpnessAware] = ()
    augmentations: Sequence[Augmentation] = field(default_factory=tuple)
    clip_norm: Hyper | None = None
    clip_value: Hyper | None = None
    order_seed: int | None = None

    @property
    def noise_key(self) -> int:
        """Key from which masks and augmentation derive theirs."""
        return derive_seed(self.seed, "noise")


def moved(members: Sequence[Member], device: torch.device, dtype: torch.dtype) -> list[Member]:
    """Members to train: their data on the device, the first network, which becomes the template of all, a copy."""
    datasets = {id(member.dataset): member.dataset.to(device, dtype) for member in members}
    networks = [copy.deepcopy(members[0].network), *(member.network for member in members[1:])]
    return [
        dataclasses.replace(member, dataset=datasets[id(member.dataset)], network=network)
        for member, network in zip(members, networks, strict=True)
    ]
