"""Exclusive or, y = x1 XOR x2: the four points that no single unit can separate.

Source: Minsky and Papert 1969, "Perceptrons".
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from nnlab.data.base import Source
from nnlab.data.raw import Raw
from nnlab.data.splits import Indices
from nnlab.errors import UserError
from nnlab.randomness import generator
from nnlab.types import Task
from nnlab.validation import check


@dataclasses.dataclass(kw_only=True)
class XOR(Source):
    """Points (2,) at the corners of the unit square.

    With four examples there is nothing to hold out: training, validation and test split are the same four points.

    Args:
        examples: how many; the corners are repeated in turn. 4, or [16, inf).
        noise: standard deviation of Gaussian noise on the points, [0, inf).
    """

    examples: int = 4
    noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check("noise", self.noise, "[0, inf)")
        if self.examples != 4 and self.examples < 16:
            raise UserError(f"`examples` must be 4 (the corners) or in [16, inf), got {self.examples}")
        check("examples", self.examples, "[4, inf)")
        if self.examples == 4 and (self.folds is not None or self.limit is not None):
            raise UserError("the four points of xor cannot be split; set `data.examples` to use `folds` or `limit`")

    def read(self, seed: int, root: Path) -> Raw:
        """The points, inputs 0 and 1 but for the noise."""
        corners = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
        points = corners.repeat(-(-self.examples // 4), 1)[: self.examples]
        labels = (points[:, 0] != points[:, 1]).long()
        noise = torch.randn(points.shape, generator=generator(seed, "data"), dtype=torch.float64)
        return Raw(points + self.noise * noise, labels, Task.BINARY, ("0", "1"), "xor")

    def rows(self, raw: Raw, seed: int) -> Indices:
        """The same four points three times, or an ordinary split of more."""
        if self.examples > 4:
            return super().rows(raw, seed)
        rows = torch.arange(4)
        return Indices(rows, rows, rows)
