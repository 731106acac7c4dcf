"""Two interleaved half circles: (cos t, sin t) and (1 - cos t, 1/2 - sin t), t uniform in [0, pi], with noise.

Source: the construction of scikit-learn's `make_moons` (Pedregosa et al. 2011).
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import torch

from nnlab.data.base import Source
from nnlab.data.raw import Raw
from nnlab.randomness import generator
from nnlab.types import Task
from nnlab.validation import check


@dataclasses.dataclass(kw_only=True)
class Moons(Source):
    """Points (2,), class 0 the upper half circle and 1 the lower.

    Args:
        examples: how many, half of each class, [16, inf).
        noise: standard deviation of Gaussian noise on the points, [0, inf).
    """

    examples: int = 1000
    noise: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check("examples", self.examples, "[16, inf)")
        check("noise", self.noise, "[0, inf)")

    def read(self, seed: int, root: Path) -> Raw:
        """Points drawn from the seed."""
        draw = generator(seed, "data")
        labels = torch.arange(self.examples) % 2
        angle = math.pi * torch.rand(self.examples, generator=draw, dtype=torch.float64)
        upper = torch.stack([angle.cos(), angle.sin()], 1)
        points = torch.where(labels.unsqueeze(1) == 0, upper, torch.tensor([1.0, 0.5]) - upper)
        points = points + self.noise * torch.randn(points.shape, generator=draw, dtype=torch.float64)
        return Raw(points, labels, Task.BINARY, ("upper", "lower"), "moons")
