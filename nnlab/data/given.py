"""Arrays that are in memory already, as a data set: for programs that bring their own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from nnlab.data.base import Source
from nnlab.data.raw import Raw
from nnlab.data.splits import Indices, stratified_order
from nnlab.randomness import generator
from nnlab.types import Task

FEW = 10  # examples from which on some are held out for validation


@dataclasses.dataclass(kw_only=True)
class Given(Source):
    """Examples in memory, for training and validation: whoever brings them has kept those for testing.

    Args:
        raw: the examples.
    """

    raw: Raw

    def read(self, seed: int, root: Path) -> Raw:
        """The examples; one of them stands for the test split, which cannot be empty and which nobody looks at."""
        return dataclasses.replace(self.raw, test=(self.raw.inputs[:1], self.raw.targets[:1]))

    def rows(self, raw: Raw, seed: int) -> Indices:
        """Training and validation; every class is for training, and fewer than `FEW` examples are for both."""
        labels = None if raw.task is Task.REGRESSION else raw.targets
        draw = generator(seed, "split")
        count = len(raw.inputs)
        order = torch.randperm(count, generator=draw) if labels is None else stratified_order(labels, draw, True)
        none = order[:0]
        if len(order) < FEW:
            return Indices(order, order, none)
        held = max(1, round(self.validation * len(order)))
        return Indices(order[: len(order) - held], order[len(order) - held :], none)
