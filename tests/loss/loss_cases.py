"""The table that every test of the package walks through: each option of configs/loss, in all its variants."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from nnlab.loss import Loss
from nnlab.loss.gaussian_nll import FACTOR_FLOOR
from nnlab.types import Task

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "loss").glob("*.yaml"))

WEIGHTED = [{}, {"class_weights": [0.5, 2.0]}]
VARIANTS = {
    "binary_cross_entropy": WEIGHTED,
    "hinge": WEIGHTED,
    "multiclass_svm": [{}, {"class_weights": [0.5, 2.0, 1.0]}],
    "gaussian_nll": [{}, {"variance": "fixed", "fixed_variance": 0.3}, {"variance": "covariance"}],
    "softmax_cross_entropy": [
        {},
        {"label_smoothing": 0.1},
        {"class_weights": [0.5, 2.0, 1.0]},
        {"label_smoothing": 0.2, "class_weights": [0.5, 2.0, 1.0]},
    ],
}

SIZES = {Task.REGRESSION: 3, Task.BINARY: 2, Task.MULTICLASS: 3}


def load(name: str, **arguments: object) -> Loss:
    return instantiate(OmegaConf.load(CONFIGS[0].with_name(f"{name}.yaml")), **arguments, _convert_="all")


def every_case() -> list[object]:
    """All pairs of a loss, in each variant, and a task that it fits."""
    cases = []
    for path in CONFIGS:
        for arguments in VARIANTS.get(path.stem, [{}]):
            for task in sorted(load(path.stem).tasks):
                if "class_weights" in arguments:
                    arguments = arguments | {"class_weights": [0.5, 2.0, 1.0][: SIZES[task]]}
                label = "-".join([path.stem, task, *map(str, arguments.values())])
                cases.append(pytest.param((load(path.stem, **arguments), task), id=label))
    return cases


def draw_targets(task: Task, *shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    if task is Task.REGRESSION:
        return torch.randn(*shape, SIZES[task], generator=random, dtype=dtype)
    return torch.randint(SIZES[task], shape, generator=random)


def draw_outputs(loss: Loss, task: Task, *shape: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, loss.output_size(SIZES[task]), generator=random, dtype=dtype)


def positive(raw: Tensor, floor: float) -> Tensor:
    """The documented v(s), with the shift found from v(0) = 1."""
    return torch.log1p(torch.exp(raw + math.log(math.exp(1 - floor) - 1))) + floor


def covariance(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of three targets, by plain indexing."""
    mean, entries = outputs[:3], outputs[3:]
    a = torch.zeros(3, 3, dtype=outputs.dtype)
    a[0, 0], a[1, 1], a[2, 2] = positive(entries[:3], FACTOR_FLOOR)
    a[1, 0], a[2, 0], a[2, 1] = entries[3:]
    return mean, torch.linalg.inv(a.T @ a)
