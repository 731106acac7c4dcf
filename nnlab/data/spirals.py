"""Interleaved spiral arms: arm c at radius r in [0, 1] and angle 2 pi (turns r + c / C), with noise.

Source: Lang and Witbrock 1988, "Learning to tell two spirals apart", in its form with any number of arms.
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
class Spirals(Source):
    """Points (2,), one class for each arm.

    Args:
        examples: how many, equally many of each class, [16, inf) and at least four for each class.
        noise: standard deviation of Gaussian noise on the points, [0, inf).
        classes: number of arms C, [2, inf); with two the task is binary.
        turns: how often an arm winds around the centre, (0, inf).
    """

    examples: int = 1000
    noise: float = 0.02
    classes: int = 3
    turns: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check("classes", self.classes, "[2, inf)")
        check("examples", self.examples, f"[{max(16, 4 * self.classes)}, inf)")
        check("noise", self.noise, "[0, inf)")
        check("turns", self.turns, "(0, inf)")

    def read(self, seed: int, root: Path) -> Raw:
        """Points drawn from the seed, dense along the arms (radius is the root of a uniform number)."""
        draw = generator(seed, "data")
        labels = torch.arange(self.examples) % self.classes
        radius = torch.rand(self.examples, generator=draw, dtype=torch.float64).sqrt()
        angle = 2 * math.pi * (self.turns * radius + labels / self.classes)
        points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
        points = points + self.noise * torch.randn(points.shape, generator=draw, dtype=torch.float64)
        task = Task.BINARY if self.classes == 2 else Task.MULTICLASS
        return Raw(points, labels, task, tuple(f"arm {c}" for c in range(self.classes)), "spirals")
