"""Which jobs of a study are trained together, and how many at a time.

A population saves the cost of starting small operations; large matrices gain nothing from being stacked, and on a CPU
they lose, because what one network needs no longer fits into the processor's cache. Time per member and step of 16
members stacked against alone (one thread of a 2-core machine, parameters P, batch B): 9 times faster at P B = 8e4,
5 at 3e5, 2.4 at 1e6, about even from 5e6 to 1e7, slower beyond.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nnlab.device import free_memory
from nnlab.sweep.job import Job
from nnlab.training.memory import SHARE

LARGEST_STACKED = 5e6  # parameters times examples in a minibatch, on a CPU


@dataclass(frozen=True)
class Cost:
    """What training one member takes.

    Attributes:
        parameters: number of trained parameters.
        batch_size: examples in a minibatch.
        bytes: memory of one member.
        data_bytes: memory of one data set, which members that share it take once.
        shared_bytes: memory that a population takes once.
        device: where it trains.
    """

    parameters: int
    batch_size: int
    bytes: int
    data_bytes: int
    shared_bytes: int
    device: torch.device


@dataclass
class Group:
    """Jobs that are trained in the same way.

    Attributes:
        chunks: the jobs that are trained together, in the order of the grid.
        cost: what one of them takes.
        reason: why they run one by one, where they do.
    """

    chunks: list[list[Job]]
    cost: Cost
    reason: str = ""

    @property
    def jobs(self) -> list[Job]:
        """All of them."""
        return [job for chunk in self.chunks for job in chunk]

    @property
    def together(self) -> bool:
        """Whether any of them are trained together."""
        return any(len(chunk) > 1 for chunk in self.chunks)


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
    alone = [[job] for job in jobs]
    if jobs[0].key is None:
        return Group(alone, cost, jobs[0].why_alone)
    if stack == "never":
        return Group(alone, cost, "`hydra.launcher.stack=never`")
    if stack == "auto" and not stacking_gains(cost) and len(jobs) > 1:
        reason = f"stacking {cost.parameters} parameters at batch size {cost.batch_size} gains nothing on a CPU"
        return Group(alone, cost, reason)
    room = SHARE * free_memory(cost.device) if memory is None else memory * 1e9
    group = Group(parted(jobs, cost, room), cost)
    if len(jobs) > 1 and not group.together:
        group.reason = f"two of them do not fit into {room / 1e9:.2g} GB of memory"
    return group


def parted(jobs: Sequence[Job], cost: Cost, room: float) -> list[list[Job]]:
    """As few parts as fit into the memory, of about equal need; jobs that share their data stay together if they can.

    Args:
        jobs: those that share their data side by side.
        cost: what one of them takes.
        room: bytes.
    """
    free = room - cost.shared_bytes
    families = [list(family) for _, family in itertools.groupby(jobs, lambda job: job.data)]
    most = max(1, int((free - cost.data_bytes) // max(cost.bytes, 1)))
    pieces = [piece for family in families for piece in _equal_parts(family, -(-len(family) // most))]
    needs = [len(piece) * cost.bytes + cost.data_bytes for piece in pieces]
    total = sum(needs)
    middles = [before + own / 2 for before, own in zip(itertools.accumulate(needs, initial=0), needs, strict=False)]
    for count in range(max(1, math.ceil(total / max(free, 1))), len(pieces)):
        places = [int(count * middle / total) for middle in middles]
        need = [sum(own for own, at in zip(needs, places, strict=True) if at == place) for place in range(count)]
        if max(need) <= free:
            of_place = itertools.groupby(zip(places, pieces, strict=True), lambda pair: pair[0])
            return [[job for _, piece in group for job in piece] for _, group in of_place]
    return pieces


def _equal_parts(jobs: list[Job], count: int) -> list[list[Job]]:
    """Jobs in parts of (nearly) equal size."""
    bounds = [round(i * len(jobs) / count) for i in range(count + 1)]
    return [jobs[start:end] for start, end in itertools.pairwise(bounds)]


def stacking_gains(cost: Cost) -> bool:
    """Whether a population is faster than its members one after another: not where one alone fills a CPU's caches."""
    return cost.device.type != "cpu" or cost.parameters * cost.batch_size <= LARGEST_STACKED
