"""Broken parts for the zoo: data sets, preprocessing and architectures with one fault each, selected by `_target_`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from nnlab.architecture import MLP
from nnlab.architecture.base import Head, MakeActivation
from nnlab.data.base import Raw, Source
from nnlab.data.preprocessing import Preprocessing, Rescale, Transform
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


@dataclasses.dataclass(kw_only=True)
class Generated(Source):
    """Data sets that only the zoo has, so that no threshold was chosen on them.

    Args:
        kind: `circles`: one class around the other (noise 0.1, half the radius); `friedman`: regression on ten inputs,
            five of which matter (Friedman 1991, noise 1).
        examples: how many.
    """

    kind: Literal["circles", "friedman"] = "circles"
    examples: int = 1000

    def read(self, seed: int, root: Path) -> Raw:
        """Drawn from the seed."""
        from sklearn import datasets

        if self.kind == "circles":
            x, y = datasets.make_circles(self.examples, noise=0.1, factor=0.5, random_state=seed)
            return Raw(torch.from_numpy(x), torch.from_numpy(y), Task.BINARY, ("outer", "inner"), "circles")
        x, y = datasets.make_friedman1(self.examples, noise=1.0, random_state=seed)
        return Raw(torch.from_numpy(x), torch.from_numpy(y)[:, None], Task.REGRESSION, ("y",), "friedman")


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
