"""Two input columns that give the target away together, as their sum or product, though neither does alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from nnlab.diagnosis.facts.columns import column_name, column_source
from nnlab.diagnosis.facts.levels import sample
from nnlab.diagnosis.facts.values import before_preprocessing
from nnlab.types import Dataset

ROWS, FEWEST = 512, 60  # examples that are looked at, and below which none are
WIDE = 256  # inputs from which no pairs are tried ...
PAIRED = 40  # ... nor from as many that have more than two values
DETERMINED = 0.995  # share of the target's variance that a pair which gives it away explains
ALONE = 0.6  # share that each of the two may explain alone ...
EXACT = 1e-4  # ... unless the target is theirs, up to so many standard deviations


@dataclass(frozen=True)
class Pair:
    """Two columns that give the target away together.

    Attributes:
        names: of the columns.
        sources: the columns of the table that they come from; empty where the data are no table.
        how: `sum` (of multiples of them) or `product`.
        explained, alone: share of the target's variance that both explain together, and the better one alone.
    """

    names: tuple[str, str]
    sources: tuple[str, str]
    how: str
    explained: float
    alone: float


def find_pair(dataset: Dataset) -> Pair | None:
    """The pair of columns that determines the targets although neither does alone, if there is one.

    Inputs from one column of a table, such as two of its categories, are no pair.
    """
    if not 3 <= dataset.input_size <= WIDE or len(dataset.input_shape) != 1 or len(dataset.train) < FEWEST:
        return None
    part = sample(dataset.train, ROWS)
    x = _standardized(before_preprocessing(dataset, part.inputs.double()))
    goals = _standardized(_codes(part.targets, dataset.target_size))
    columns = list(range(x.shape[1]))
    if len(columns) > PAIRED:
        columns = [column for column in columns if len(torch.unique(x[:, column])) > 2]
    if len(columns) > PAIRED:
        return None
    sources = [column_source(dataset, column) for column in range(x.shape[1])]
    apart = [(i, j) for i, j in combinations(columns, 2) if not sources[i] or sources[i] != sources[j]]
    if not apart:
        return None
    a, b = torch.tensor(apart).T
    with_goal = x.T @ goals / len(x)  # correlations (D, C)
    product = _standardized(x[:, a] * x[:, b])
    alone = torch.maximum(with_goal[a].square(), with_goal[b].square()).amax(1)
    # Correlations of the two and their product with each other (P, 3, 3), and with the target (P, 3, C).
    parts = torch.stack([x[:, a], x[:, b], product], 2).permute(1, 2, 0)
    among = parts @ parts.mT / len(x) + 1e-6 * torch.eye(3, dtype=x.dtype)
    towards = parts @ goals / len(x)
    for how, kept in (("sum", 2), ("product", 3)):
        solved = torch.linalg.solve(among[:, :kept, :kept], towards[:, :kept])
        share = (solved * towards[:, :kept]).sum(1).amax(1)
        best = int(torch.where(alone < DETERMINED, share, torch.zeros_like(share)).argmax())
        if not _exact(parts[best, :kept], goals):
            best = int(torch.where(alone < ALONE, share, torch.zeros_like(share)).argmax())
            if alone[best] >= ALONE or share[best] <= DETERMINED:
                continue
        both = int(a[best]), int(b[best])
        names = column_name(dataset, both[0]), column_name(dataset, both[1])
        return Pair(names, (sources[both[0]], sources[both[1]]), how, min(float(share[best]), 1.0), float(alone[best]))
    return None


def _exact(parts: Tensor, goals: Tensor) -> bool:
    """Whether a number (N, 1) is what a fit of (K, N) gives, but for rows whose inputs are clipped."""
    if goals.shape[1] > 1:
        return False
    fit = torch.linalg.lstsq(parts.T, goals).solution
    return float((parts.T @ fit - goals).abs().quantile(0.95)) < EXACT


def _codes(targets: Tensor, classes: int) -> Tensor:
    """Regression targets, or the number of the class and one column for each of a few classes, (N, C)."""
    if targets.is_floating_point():
        return targets.double()
    number = targets.double().unsqueeze(1)
    if classes > 20:
        return number
    return torch.cat([number, torch.nn.functional.one_hot(targets, classes).double()], 1)


def _standardized(values: Tensor) -> Tensor:
    centered = values - values.mean(0)
    return centered / centered.square().mean(0).sqrt().clamp(min=1e-12)
