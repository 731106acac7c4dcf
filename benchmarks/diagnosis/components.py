"""Broken parts for the zoo: data sets, preprocessing and architectures with one fault each, selected by `_target_`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.diagnosis.everyday_data import EVERYDAY
from nnlab.architecture import MLP
from nnlab.architecture.base import Head, MakeActivation
from nnlab.data.base import Source
from nnlab.data.preprocessing import Preprocessing, Rescale, Transform
from nnlab.data.raw import Raw
from nnlab.randomness import generator
from nnlab.types import Task

Change = Literal["duplicated", "target_column", "imbalanced", "shuffled"]


@dataclasses.dataclass(kw_only=True)
class Altered(Source):
    """Another data set, changed before it is split.

    Args:
        source: the data set.
        change: `duplicated`: every example twice; `target_column`: the target among the inputs; `imbalanced`: of all
            classes but the first only one in 25 examples; `shuffled`: targets drawn from other examples.
        noise: standard deviation of noise on the inputs, in units of theirs.
    """

    source: Source
    change: Change
    noise: float = 0.0

    def read(self, seed: int, root: Path) -> Raw:
        """The changed examples."""
        raw = self.source.read(seed, root)
        draw = generator(seed, "altered")
        inputs, targets = raw.inputs.double(), raw.targets
        inputs = inputs + self.noise * inputs.std() * torch.randn(inputs.shape, generator=draw, dtype=torch.float64)
        if self.change == "duplicated":
            inputs, targets = torch.cat([inputs, inputs]), torch.cat([targets, targets])
        elif self.change == "target_column":
            column = targets.double().reshape(len(targets), -1)[:, :1]
            inputs = torch.cat([inputs.flatten(1), column], 1)
        elif self.change == "imbalanced":
            keep = (targets == 0) | (torch.rand(len(targets), generator=draw) < 0.04)
            inputs, targets = inputs[keep], targets[keep]
        else:
            targets = targets[torch.randperm(len(targets), generator=draw)]
        return dataclasses.replace(raw, inputs=inputs, targets=targets, test=None)


Kind = Literal[
    "circles",
    "friedman",
    "shells",
    "board",
    "clusters",
    "waves",
    "linear",
    "wine",
    "curve",
    "hastie",
    "stripes",
    "flips",
    "iris",
    "swiss",
    "mixed",
    "engine",
    "letters",
    "loans",
    "rooms",
    "harvest",
    "reactor",
]


@dataclasses.dataclass(kw_only=True)
class Generated(Source):
    """Data sets that only the zoo has, most of them from scikit-learn's generators.

    Args:
        kind: which.

            - `circles`: one class around the other (noise 0.1, half the radius)
            - `friedman`: regression on ten inputs, five of which matter (Friedman 1991, noise 1)
            - `shells`: three classes, rings of one Gaussian in two dimensions
            - `board`: the fields of a 3 x 3 board, black or white
            - `clusters`: four classes of two Gaussian clusters each in twelve dimensions
            - `waves`: regression with a product, a sine and a square of six uniform inputs (noise 0.15)
            - `linear`: regression on ten inputs that explain two thirds of the variance
            - `wine`: three cultivars by thirteen measurements (UCI, 178 examples)
            - `curve`: the position along an S-shaped sheet in three dimensions (noise 0.4)
            - `hastie`: whether ten Gaussian numbers have a sum of squares above 9.34 (Hastie et al. 2009)
            - `stripes`: two classes by the sine of one direction in six dimensions, where simple methods fail
            - `flips`: two classes in thirty dimensions, six of which matter, with 8% of the labels drawn at random
            - `iris`: three species by four measurements (Fisher 1936, 150 examples)
            - `swiss`: the position along a rolled sheet in three dimensions (noise 0.5)
            - `mixed`: three classes by ten columns, four of a few levels, two skewed, four that do not matter
            - `engine`: regression on four quantities of very different sizes (Friedman 1991, the second)
            - `letters`, `loans`, `rooms`, `harvest`, `reactor`: see `everyday_data`
        examples: how many; wine has 178 at most.
    """

    kind: Kind = "circles"
    examples: int = 1000

    def read(self, seed: int, root: Path) -> Raw:
        """Drawn from the seed."""
        x, y = _drawn(self.kind, self.examples, seed)
        inputs = torch.from_numpy(x)
        if np.issubdtype(y.dtype, np.integer):
            count = int(y.max()) + 1
            task = Task.BINARY if count == 2 else Task.MULTICLASS
            return Raw(inputs, torch.from_numpy(y), task, tuple(f"class {c}" for c in range(count)), self.kind)
        return Raw(inputs, torch.from_numpy(y)[:, None], Task.REGRESSION, ("y",), self.kind)


def _drawn(kind: Kind, n: int, seed: int) -> tuple[Any, Any]:
    """Inputs (n, D) and targets (n,), whole numbers where they are classes."""
    from sklearn import datasets

    draw = np.random.default_rng(seed)
    if kind in EVERYDAY:
        return EVERYDAY[kind](draw, n)
    if kind == "circles":
        return datasets.make_circles(n, noise=0.1, factor=0.5, random_state=seed)
    if kind == "friedman":
        return datasets.make_friedman1(n, noise=1.0, random_state=seed)
    if kind == "shells":
        return datasets.make_gaussian_quantiles(n_samples=n, n_features=2, n_classes=3, random_state=seed)
    if kind == "board":
        x = draw.uniform(-1.5, 1.5, (n, 2))
        return x, np.floor(x + 1.5).sum(1).astype(np.int64) % 2
    if kind == "clusters":
        sizes = {"n_features": 12, "n_informative": 6, "n_classes": 4, "n_clusters_per_class": 2}
        return datasets.make_classification(n, **sizes, class_sep=2.0, flip_y=0.0, random_state=seed)
    if kind == "waves":
        x = draw.uniform(-1, 1, (n, 6))
        return x, x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + x[:, 3] ** 2 + 0.15 * draw.standard_normal(n)
    if kind == "linear":
        x = draw.standard_normal((n, 10))
        return x, 100 + 50 * (x @ np.linspace(0, 1, 10) / 1.876 + 0.7 * draw.standard_normal(n))
    if kind == "wine":
        x, y = datasets.load_wine(return_X_y=True)
        return x[:n], y[:n]
    if kind == "iris":
        x, y = datasets.load_iris(return_X_y=True)
        return x[:n], y[:n]
    if kind == "stripes":
        x = draw.standard_normal((n, 6))
        return x, (np.sin(x @ np.array([2.0, -1.5, 1.0, 0.5, 0.0, 0.0])) > 0).astype(np.int64)
    if kind == "flips":
        sizes = {"n_features": 30, "n_informative": 6, "n_redundant": 8, "n_clusters_per_class": 1}
        return datasets.make_classification(n, **sizes, class_sep=1.5, flip_y=0.08, random_state=seed)
    if kind == "swiss":
        return datasets.make_swiss_roll(n, noise=0.5, random_state=seed)
    if kind == "mixed":
        levels = draw.integers(0, 4, (n, 4)).astype(float)
        fine, skewed = draw.standard_normal((n, 4)), np.exp(draw.standard_normal((n, 2)))
        score = levels[:, 0] - 1.5 + fine[:, 0] * (levels[:, 1] - 1.5) + np.log(skewed[:, 0])
        score += 0.2 * draw.standard_normal(n)
        return np.concatenate([levels, fine, skewed], 1), np.digitize(score, [-0.9, 0.9]).astype(np.int64)
    if kind == "engine":
        return datasets.make_friedman2(n, noise=50.0, random_state=seed)
    if kind == "curve":
        return datasets.make_s_curve(n, noise=0.4, random_state=seed)
    x, y = datasets.make_hastie_10_2(n, random_state=seed)
    return x, (y > 0).astype(np.int64)


class Unscaled(Preprocessing):
    """Inputs far from zero mean and unit variance: standardized, then times `factor` plus `offset`.

    Args:
        factor: standard deviation afterwards.
        offset: mean afterwards.
    """

    def __init__(self, factor: float = 50.0, offset: float = 100.0) -> None:
        self.factor, self.offset = factor, offset

    def fit(self, inputs: Tensor) -> Transform:
        axes = (0,) if inputs.ndim == 2 else (0, *range(2, inputs.ndim))
        mean, std = inputs.mean(axes, keepdim=True)[0], inputs.std(axes, keepdim=True)[0].clamp(min=1e-8)
        scale = std / self.factor
        return Rescale(mean - self.offset * scale, scale)


class FrozenMLP(MLP):
    """An MLP whose weights were switched off for training; biases still learn."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Head,
        activation: MakeActivation,
        widths: list[int] = [32, 32],  # noqa: B006 (only read)
        batch_norm: bool = False,
    ) -> None:
        super().__init__(input_shape, head, activation, widths, batch_norm)
        for parameter in self.parameters():
            parameter.requires_grad_(parameter.ndim < 2)


class SlowNormMLP(MLP):
    """An MLP with batch norm whose running statistics hardly move, so that evaluation uses wrong ones."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Head,
        activation: MakeActivation,
        widths: list[int] = [32, 32],  # noqa: B006 (only read)
        batch_norm: bool = True,
        momentum: float = 1e-4,
    ) -> None:
        super().__init__(input_shape, head, activation, widths, batch_norm)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = momentum
