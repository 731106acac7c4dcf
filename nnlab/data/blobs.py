"""Gaussian clusters: x = mu_c + noise * e with e ~ N(0, I) and centres mu_c uniform in [-1, 1]^D.

Source: the classes of linear discriminant analysis (Fisher 1936): equal, isotropic covariances.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from nnlab.data.base import Source
from nnlab.data.raw import Raw
from nnlab.randomness import generator
from nnlab.types import Task
from nnlab.validation import check


@dataclasses.dataclass(kw_only=True)
class Blobs(Source):
    """Vectors (features,), one class for each cluster.

    Args:
        examples: how many, equally many of each class, [16, inf) and at least four for each class.
        noise: standard deviation within a cluster, [0, inf).
        classes: number of clusters C, [2, inf); with two the task is binary.
        features: dimension D, [1, inf).
    """

    examples: int = 1000
    noise: float = 0.2
    classes: int = 3
    features: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check("classes", self.classes, "[2, inf)")
        check("examples", self.examples, f"[{max(16, 4 * self.classes)}, inf)")
        check("noise", self.noise, "[0, inf)")
        check("features", self.features, "[1, inf)")

    def read(self, seed: int, root: Path) -> Raw:
        """Centres and points drawn from the seed."""
        draw = generator(seed, "data")
        labels = torch.arange(self.examples) % self.classes
        centres = 2 * torch.rand(self.classes, self.features, generator=draw, dtype=torch.float64) - 1
        noise = torch.randn(self.examples, self.features, generator=draw, dtype=torch.float64)
        task = Task.BINARY if self.classes == 2 else Task.MULTICLASS
        names = tuple(f"blob {c}" for c in range(self.classes))
        return Raw(centres[labels] + self.noise * noise, labels, task, names, "blobs")
