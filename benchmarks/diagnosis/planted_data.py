"""Data sets with one fault each, planted in a sound one before or while it is split."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from benchmarks.diagnosis.exported import EXPORTS, exported, spelled_twice
from nnlab.data.base import Raw, Source
from nnlab.randomness import generator
from nnlab.types import Task

Plant = Literal[
    "none",
    "class_absent",
    "shifted_validation",
    "unscaled_validation",
    "column_differs",
    "columns_permuted",
    "sorted_split",
    "near_duplicates",
    "pair_leak",
    "xor_leak",
    "target_outliers",
    "wrong_labels",
    "wrong_training_labels",
    "swapped_classes",
    "off_by_one",
    "labels_renamed",
    "placeholder_inputs",
    "placeholder_targets",
    "inputs_lost",
    "copied_target",
    "half_of_the_labels",
    "huge_column",
    "large_targets",
    "other_season",
    "classes_merged",
    "validation_shuffled",
    "five_times",
    "lone_input",
    "lone_target",
    "training_shuffled",
    "noise_columns",
    "noisy_target_column",
    "held_out_negated",
    "pictures_transposed",
    "column_joined_wrongly",
    "training_values_lost",
    "oversampled",
    "mixed_units",
    "shrunk",
    "shifted_after_sort",
    "names_doubled",
    "numbered_by_class",
    "same_patients",
    "rows_standardized",
    "class_brighter",
    "filled_by_class",
    "held_out_in_other_units",
    "forgotten_positives",
    "column_sorted_alone",
]
SPLIT = (  # what tells the splits apart
    *("class_absent", "shifted_validation", "unscaled_validation", "column_differs", "columns_permuted"),
    *("labels_renamed", "wrong_training_labels", "other_season", "classes_merged", "validation_shuffled"),
    *("training_shuffled", "held_out_negated", "pictures_transposed", "column_joined_wrongly", "training_values_lost"),
    *("class_brighter", "held_out_in_other_units"),
)


@dataclasses.dataclass(kw_only=True)
class PlantedData(Source):
    """Another data set with a fault.

    Args:
        source: the data set.
        plant: the fault.
    """

    source: Source
    plant: Plant = "none"

    def read(self, seed: int, root: Path) -> Raw:
        """The examples with their fault; where it lies in the splits, they are made here, 60 : 20 : 20."""
        raw = self.source.read(seed, root)
        draw = generator(seed, "planted")
        order = torch.randperm(len(raw.targets), generator=draw)
        # Vectors, so that a fault may touch columns.
        x, y = raw.inputs[order].double().flatten(1), raw.targets[order].clone()
        raw = dataclasses.replace(raw, test=None, columns=())
        if self.plant in SPLIT or self.plant == "sorted_split":
            return self._split(raw, x, y, draw)
        plant = exported if self.plant in EXPORTS else _whole
        x, y = plant(self.plant, x, y, draw)
        if self.plant == "names_doubled":
            raw = dataclasses.replace(raw, task=Task.MULTICLASS, target_names=spelled_twice(raw.target_names))
        return dataclasses.replace(raw, inputs=x, targets=y)

    def _split(self, raw: Raw, x: Tensor, y: Tensor, draw: torch.Generator) -> Raw:
        n = len(x)
        if self.plant == "sorted_split":
            key = y.double().flatten() if y.ndim > 1 else _strongest(x, y)
            order = key.argsort()
            x, y = x[order], y[order]
        train, held = torch.arange(n) < int(0.6 * n), torch.arange(n) >= int(0.6 * n)
        if self.plant == "class_absent":
            keep = held | (y != y.max())
            x, y, train, held = x[keep], y[keep], train[keep], held[keep]
        std = x[train].std(0)
        if self.plant == "shifted_validation":
            x[held] += 1.5 * std
        elif self.plant == "unscaled_validation":
            x[held] = 40 * x[held] + 5 * std
        elif self.plant == "column_differs":
            columns = _columns(x, y)
            x[held.nonzero(), columns] = x[held.nonzero(), columns] * 10 + 6 * std[columns]
        elif self.plant == "columns_permuted":
            x[held] = x[held].flip(1)
        elif self.plant == "labels_renamed":
            y[held] = (y[held] + 1) % (int(y.max()) + 1)
        elif self.plant == "wrong_training_labels":
            y[train] = _redrawn(y[train], 0.5, draw)
        elif self.plant == "other_season":
            x[held] = x[held] - 2 * std
        elif self.plant == "classes_merged":
            y[train] = y[train].clamp(max=int(y.max()) - 1)
        elif self.plant == "training_shuffled":
            y[train] = y[train][torch.randperm(int(train.sum()), generator=draw)]
        elif self.plant == "held_out_negated":
            x[held] = -x[held]
        elif self.plant == "pictures_transposed":
            side = math.isqrt(x.shape[1])
            x[held] = x[held].view(-1, side, side).mT.flatten(1)
        elif self.plant == "column_joined_wrongly":
            columns, other = _columns(x, y), torch.randperm(int(held.sum()), generator=draw)
            x[held.nonzero(), columns] = x[held][other][:, columns]
        elif self.plant == "training_values_lost":
            lost = (torch.rand(x.shape, generator=draw) < 0.6) & train[:, None]
            x = torch.where(lost, x[train].mean(0), x)
        elif self.plant == "class_brighter":
            bright = train & (y == 0)
            x[bright] += 2 * x.std()
        elif self.plant == "held_out_in_other_units":
            y[held] = 2.54 * y[held]
        elif self.plant == "validation_shuffled":
            y[held] = y[held][torch.randperm(int(held.sum()), generator=draw)]
        part = train.clone()
        validated = torch.zeros_like(held)
        validated[held.nonzero().flatten()[: int(held.sum()) // 2]] = True
        keep = part | validated
        test = x[~keep], y[~keep]
        return dataclasses.replace(raw, inputs=x[keep], targets=y[keep], test=test, validated=validated[keep])


def _strongest(x: Tensor, y: Tensor) -> Tensor:
    """The column that goes most with the classes."""
    centered = x - x.mean(0)
    goals = (y.double() - y.double().mean())[:, None]
    return x[:, ((centered * goals).sum(0).abs() / centered.norm(dim=0).clamp(min=1e-9)).argmax()]


def _columns(x: Tensor, y: Tensor) -> Tensor:
    """The third of the columns that goes most with the targets."""
    goals = y.double().reshape(len(y), -1)
    goals, centered = goals - goals.mean(0), x - x.mean(0)
    strength = (centered.T @ goals).abs().amax(1) / centered.norm(dim=0).clamp(min=1e-9)
    return strength.argsort(descending=True)[: max(1, x.shape[1] // 3)]


def _redrawn(y: Tensor, share: float, draw: torch.Generator) -> Tensor:
    chosen = torch.rand(len(y), generator=draw) < share
    if y.is_floating_point():
        return torch.where(chosen[:, None], y[torch.randperm(len(y), generator=draw)], y)
    return torch.where(chosen, torch.randint(int(y.max()) + 1, y.shape, generator=draw), y)


def _whole(plant: str, x: Tensor, y: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    n, std = len(x), x.std(0)
    if plant == "near_duplicates":
        again = x + 0.01 * std * torch.randn(x.shape, generator=draw, dtype=x.dtype)
        return torch.cat([x, again]), torch.cat([y, y])
    if plant in ("pair_leak", "xor_leak"):
        goal = y.double().reshape(n, -1)[:, :1]
        if plant == "pair_leak":
            one = torch.randn(n, 1, generator=draw, dtype=x.dtype) * goal.std() * 3
            return torch.cat([x, one, goal - one], 1), y
        one = torch.randint(2, (n, 1), generator=draw).double()
        return torch.cat([x, one, (one + goal) % 2], 1), y
    if plant == "target_outliers":
        far = torch.rand(n, generator=draw) < 0.01
        y[far] *= 300
    elif plant == "wrong_labels":
        y = _redrawn(y, 0.4, draw)
    elif plant == "swapped_classes":
        chosen = (torch.rand(n, generator=draw) < 0.45) & (y < 2)
        y = torch.where(chosen, 1 - y, y)
    elif plant == "off_by_one":
        y = y.roll(1, 0)
    elif plant == "placeholder_inputs":
        x = torch.where(torch.rand(x.shape, generator=draw) < 0.03, torch.full_like(x, -9999.0), x)
    elif plant == "placeholder_targets":
        far = torch.rand(n, generator=draw) < 0.05
        y[far] = y.mean() + 60 * y.std()
        y[far] = torch.full_like(y[far], 9999.0)
    elif plant == "inputs_lost":
        x = torch.where(torch.rand(n, 1, generator=draw) < 0.7, torch.zeros_like(x), x)
    elif plant == "half_of_the_labels":
        chosen = y < (int(y.max()) + 2) // 2
        y[chosen] = y[chosen][torch.randperm(int(chosen.sum()), generator=draw)]
    elif plant == "huge_column":
        x[:, 0] *= 1e6
    elif plant == "large_targets":
        y = 1e4 * y
    elif plant == "five_times":
        return x.repeat(5, 1), y.repeat(5, *[1] * (y.ndim - 1))
    elif plant == "lone_input":
        x[n // 2, _columns(x, y)[0]] = 1e6
    elif plant == "noise_columns":
        x = torch.cat([x, std.mean() * torch.randn(n, 200, generator=draw, dtype=x.dtype)], 1)
    elif plant == "noisy_target_column":
        goal = y.double().reshape(n, -1)[:, :1]
        x = torch.cat([x, goal + 0.05 * goal.std() * torch.randn(n, 1, generator=draw, dtype=x.dtype)], 1)
    elif plant == "oversampled":
        rare = y.double().reshape(n, -1)[:, 0] >= y.double().reshape(n, -1)[:, 0].quantile(0.6)
        return torch.cat([x, *[x[rare]] * 3]), torch.cat([y, *[y[rare]] * 3])
    elif plant == "mixed_units":
        column, other = _columns(x, y)[0], torch.rand(n, generator=draw) < 0.3
        x[other, column] *= 1000
    elif plant == "shrunk":
        x = 1e-4 * (x - x.mean(0)) / std
    elif plant == "lone_target":
        y[n // 2] = 1e6
    elif plant == "copied_target":
        x = torch.cat([x, 3 * y.double().reshape(n, -1)[:, :1] + 1], 1)
    return x, y
