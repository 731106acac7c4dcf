"""A curve whose noise grows: y = sin(2 pi x) + noise * x * e with x uniform in [0, 1] and e ~ N(0, 1).

Source: the setting of Nix and Weigend 1994, "Estimating the mean and variance of the target probability
distribution": a Gaussian output that learns mu(x) and sigma(x) can tell where it is uncertain, a linear one cannot.
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
class Heteroscedastic(Source):
    """Inputs (1,) and one target.

    Args:
        examples: how many, [16, inf).
        noise: standard deviation of the noise at x = 1; it is 0 at x = 0 and linear between. [0, inf)
    """

    examples: int = 1000
    noise: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check("examples", self.examples, "[16, inf)")
        check("noise", self.noise, "[0, inf)")

    def read(self, seed: int, root: Path) -> Raw:
        """Points drawn from the seed."""
        draw = generator(seed, "data")
        x = torch.rand(self.examples, 1, generator=draw, dtype=torch.float64)
        noise = torch.randn(self.examples, 1, generator=draw, dtype=torch.float64)
        y = torch.sin(2 * math.pi * x) + self.noise * x * noise
        return Raw(x, y, Task.REGRESSION, ("y",), "heteroscedastic")
