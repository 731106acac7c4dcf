"""Which jobs of a study are trained together, and how many at a time.

A population saves the cost of starting small operations; large matrices gain nothing from being stacked, and on a CPU
they lose, because what one network needs no longer fits into the processor's cache. Time per member and step of 16
members stacked against alone (one thread of a 2-core machine, parameters P, batch B): 9 times faster at P B = 8e4,
5 at 3e5, 2.4 at 1e6, about even from 5e6 to 1e7, slower beyond.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nnlab.device import free_memory
from nnlab.sweep.job import Job

LARGEST_STACKED = 5e6  # parameters times examples in a minibatch, on a CPU
SHARE = 0.6  # of the free memory that one population may take


@dataclass(frozen=True)
class Cost:
    """What training one member takes.

    Attributes:
        parameters: number of trained parameters.
        batch_size: examples in a minibatch.
        bytes: memory of one member.
        shared_bytes: memory that a population takes once.
        device: where it trains.
    """

    parameters: int
    batch_size: int
    bytes: int
    shared_bytes: int
    device: torch.device


@dataclass
class Group:
    """Jobs that are trained in the same way.

    Attributes:
        jobs: in the order of the grid.
        size: how many of them are trained together; 1: one by one.
        cost: what one of them takes.
        reason: why they run one by one, where they do.
    """

    jobs: list[Job]
    size: int
    cost: Cost
    reason: str = ""

    def chunks(self) -> list[list[Job]]:
        """The jobs in parts of (nearly) equal size, none larger than `size`."""
        count = -(-len(self.jobs) // self.size)
        bounds = [round(i * len(self.jobs) / count) for i in range(count + 1)]
        return [self.jobs[start:end] for start, end in itertools.pairwise(bounds)]


def by_key(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs with equal keys together, in the order of their first; jobs without a key together by their reason."""
    groups: dict[tuple[str | None, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.key, job.why_alone), []).append(job)
    return list(groups.values())


def plan(jobs: list[Job], cost: Cost, stack: str = "auto", memory: float | None = None) -> Group:
    """How jobs of one key are trained.

    Args:
        jobs: at least one.
        cost: what one of them takes.
        stack: `auto`, `always` or `never`.
        memory: gigabytes that a population may take; None: a share of what is free.
    """
    if jobs[0].key is None:
        return Group(jobs, 1, cost, jobs[0].why_alone)
    if stack == "never":
        return Group(jobs, 1, cost, "`hydra.launcher.stack=never`")
    if stack == "auto" and not stacking_gains(cost) and len(jobs) > 1:
        reason = f"stacking {cost.parameters} parameters at batch size {cost.batch_size} gains nothing on a CPU"
        return Group(jobs, 1, cost, reason)
    room = SHARE * free_memory(cost.device) if memory is None else memory * 1e9
    size = max(1, int((room - cost.shared_bytes) // max(cost.bytes, 1)))
    reason = f"two of them do not fit into {room / 1e9:.2g} GB of memory" if size == 1 and len(jobs) > 1 else ""
    return Group(jobs, size, cost, reason)


def stacking_gains(cost: Cost) -> bool:
    """Whether a population is faster than its members one after another: not where one alone fills a CPU's caches."""
    return cost.device.type != "cpu" or cost.parameters * cost.batch_size <= LARGEST_STACKED
