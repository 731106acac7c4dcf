"""Columns that were sorted alone: they rise with the row, and have nothing to do with the others or the target.

A file that was sorted by a column keeps whole rows together, and the column goes with others as before. Numbers of
rows, and times, rise too, and may go with nothing: so a single column says nothing, nor do two that rise evenly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from nnlab.diagnosis import Finding
from nnlab.diagnosis.facts.chance import ranks
from nnlab.diagnosis.facts.columns import column_name, is_date
from nnlab.types import Dataset

ROWS, FEWEST, COLUMNS = 4096, 100, 1024  # rows that are looked at, and columns at most
LEAST, MANY = 2, 3  # such columns, and how many cannot be numbers of rows and times
FEW_LEVELS, LEVELS = 3, 10  # different values of a column that is counted, and of one that decides
EVEN = 0.985  # correlation with the number of the row, from which a column may be a time or a number of rows
CHANCE = 4.0  # standard deviations of a rank correlation that is chance


def sorted_columns(dataset: Dataset, raw: Any, targets: Tensor) -> Iterator[Finding]:
    """That columns were sorted alone.

    Args:
        dataset: whose pipeline encodes raw examples.
        raw: examples in the order in which they were read.
        targets: of these.
    """
    if dataset.pipeline is None or len(dataset.input_shape) != 1 or dataset.input_size > COLUMNS:
        return
    rows = dataset.pipeline.rule.encode(raw[torch.arange(min(len(raw), ROWS))]).inputs.double()
    if len(rows) < FEWEST or rows.shape[1] != dataset.input_size:
        return
    steps = rows.diff(dim=0)
    changes = (steps != 0).sum(0)
    rising = ((steps >= 0).all(0) | (steps <= 0).all(0)) & (changes >= FEW_LEVELS - 1)
    found = [column for column in rising.nonzero().flatten().tolist() if not is_date(dataset, column)]
    others = rows[:, ~rising]
    if len(found) < LEAST or not others.shape[1]:
        return
    number = torch.arange(len(rows), dtype=rows.dtype)
    fine = [column for column in found if changes[column] >= LEVELS - 1]
    uneven = [column for column in fine if abs(_correlation(rows[:, column], number)) < EVEN]
    goals = targets[: len(rows)]
    known = goals.double().reshape(len(rows), -1) if goals.is_floating_point() else _members(goals, dataset.target_size)
    among = _ranked(torch.cat([others, known], 1))
    strongest = (_ranked(rows[:, found]).T @ among).abs().amax(1) / len(rows)
    limit = CHANCE + math.sqrt(2 * math.log(among.shape[1]))  # the largest of so many
    telling = bool(fine) and (len(found) >= MANY or (len(fine) >= LEAST and bool(uneven)))
    if not telling or float(strongest.max()) * math.sqrt(len(rows)) > limit:
        return
    names = ", ".join(column_name(dataset, column) for column in found[:3]) + (", ..." if len(found) > 3 else "")
    yield Finding(
        "columns_sorted",
        f"{len(found)} columns ({names}) rise or fall from the first row to the last, and go with no other column and "
        f"not with the target (rank correlations of {float(strongest.max()):.2f} at most)",
        {"columns": len(found), "largest correlation": float(strongest.max())},
        step=0,
        certain=True,
    )


def _members(labels: Tensor, classes: int) -> Tensor:
    return torch.nn.functional.one_hot(labels, classes).double()


def _ranked(values: Tensor) -> Tensor:
    """Ranks (N, D) of columns, standardized."""
    order = ranks(values)
    order = order - order.mean(0)
    return order / order.square().mean(0).sqrt().clamp(min=1e-12)


def _correlation(first: Tensor, second: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first, second]))[0, 1])
