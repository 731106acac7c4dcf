"""Data sets that were put together or exported wrongly as a whole, before they are split."""

from __future__ import annotations

import torch
from torch import Tensor

EXPORTS = (
    "shifted_after_sort",
    "names_doubled",
    "numbered_by_class",
    "same_patients",
    "rows_standardized",
    "filled_by_class",
    "forgotten_positives",
    "column_sorted_alone",
)
LOST = 0.3  # share of the values that are filled by class


def exported(fault: str, x: Tensor, y: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs (n, D) and targets (n,) or (n, C) with one of the faults."""
    n, std = len(x), x.std(0)
    goal = y.double().reshape(n, -1)[:, 0]
    if fault == "shifted_after_sort":  # rows in the order of a column, labels one row further
        order = x[:, 0].argsort()
        return x[order], y[order].roll(1, 0)
    if fault == "names_doubled":  # each class under two spellings
        return x, y + (int(y.max()) + 1) * (torch.rand(n, generator=draw) < 0.4)
    if fault == "numbered_by_class":  # a number that was given to the rows while they were ordered by the target
        number = torch.empty(n, dtype=x.dtype)
        number[(goal + 1e-6 * torch.rand(n, generator=draw)).argsort()] = torch.arange(n, dtype=x.dtype)
        return torch.cat([x, number[:, None]], 1), y
    if fault == "same_patients":  # several visits of each, hardly different
        again = torch.cat(
            [x[: n // 4] + 0.05 * std * torch.randn(n // 4, x.shape[1], generator=draw) for _ in range(4)]
        )
        return again, torch.cat([y[: n // 4]] * 4)
    if fault == "rows_standardized":  # along the wrong axis
        return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True).clamp(min=1e-9), y
    if fault == "filled_by_class":  # gaps filled with the mean of the rows with about the same target
        filled = x.clone()
        level = torch.bucketize(goal, goal.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=goal.dtype)))
        level = y if not y.is_floating_point() else level
        for each in level.unique():
            filled[level == each] = x[level == each].mean(0)
        return torch.where(torch.rand(x.shape, generator=draw) < LOST, filled, x), y
    if fault == "forgotten_positives":  # half of a class counted as the first
        return x, torch.where((y == int(y.max())) & (torch.rand(n, generator=draw) < 0.5), torch.zeros_like(y), y)
    goals, centered = goal - goal.mean(), x - x.mean(0)
    strongest = ((centered.T @ goals).abs() / centered.norm(dim=0).clamp(min=1e-9)).argsort(descending=True)
    columns = strongest[: max(1, x.shape[1] // 3)]
    x[:, columns] = x[:, columns].sort(0).values  # a spreadsheet that sorted some columns alone
    return x, y


def spelled_twice(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of classes, and the same with a blank at their end."""
    return (*names, *(f"{name} " for name in names))
