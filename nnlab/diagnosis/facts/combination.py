"""Input columns that give the target away together, as sum, difference, product or quotient, though none does alone."""

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
WIDE = 256  # inputs from which nothing is tried ...
PAIRED = 40  # ... nor pairs of as many that have more than two values
DETERMINED = 0.995  # share of the target's variance that a pair which gives it away explains
ALONE = 0.6  # share that each of the two may explain alone ...
EXACT = 1e-4  # ... unless the target is theirs, up to so many standard deviations
SEVERAL = (3, 6)  # columns that are added up to the target
ROWS_EACH = 2  # for each coefficient of a fit of all columns
EQUAL = 1e-2  # relative difference of the coefficients of columns that are added up, and of others from zero


@dataclass(frozen=True)
class Combination:
    """Columns that give the target away together.

    Attributes:
        names: of the columns.
        sources: the columns of the table that they come from; empty where the data are no table.
        how: `sum` or `difference` (of multiples of them, if they are two), `product`, or `quotient`.
        explained, alone: share of the target's variance that they explain together, and the best one alone.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    how: str
    explained: float
    alone: float


def find_combination(dataset: Dataset) -> Combination | None:
    """The columns that determine the targets although none of them does alone, if there are some.

    These are two, or up to six that add up to it. Inputs from one column of a table, such as two of its categories,
    are none.
    """
    if not 3 <= dataset.input_size <= WIDE or len(dataset.input_shape) != 1 or len(dataset.train) < FEWEST:
        return None
    part = sample(dataset.train, ROWS)
    raw = before_preprocessing(dataset, part.inputs.double())
    goals = _standardized(_codes(part.targets, dataset.target_size))
    return _two(dataset, raw, goals) or _several(dataset, raw, goals)


def _found(
    dataset: Dataset, columns: list[int], how: str, explained: float, alone: float, signs: Tensor
) -> Combination:
    """The columns in words, what is taken away last."""
    if how == "sum" and bool((signs < 0).any() & (signs > 0).any()):
        how, columns = "difference", [columns[place] for place in signs.argsort(descending=True, stable=True)]
    names = tuple(column_name(dataset, column) for column in columns)
    sources = tuple(column_source(dataset, column) for column in columns)
    return Combination(names, sources, how, min(explained, 1.0), alone)


def _two(dataset: Dataset, raw: Tensor, goals: Tensor) -> Combination | None:
    """Two of the columns (N, D), whose sum or product is the target (N, C), or nearly so, or whose quotient it is."""
    x, columns = _standardized(raw), list(range(raw.shape[1]))
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
        fit = _exact(parts[best, :kept].T, goals)
        if fit is None:
            best = int(torch.where(alone < ALONE, share, torch.zeros_like(share)).argmax())
            if alone[best] >= ALONE or share[best] <= DETERMINED:
                continue
        explained, weights = (float(share[best]), solved[best]) if fit is None else (1.0, fit)
        signs = weights[:2, int(with_goal[a[best]].abs().argmax())].sign()
        return _found(dataset, [int(a[best]), int(b[best])], how, explained, float(alone[best]), signs)
    for above, below in ((a, b), (b, a)):
        quotient = _standardized(torch.nan_to_num(raw[:, above] / raw[:, below], 0.0, 0.0, 0.0))
        best = int((quotient.T @ goals).square().amax(1).argmax())
        if alone[best] < DETERMINED and _exact(quotient[:, best : best + 1], goals) is not None:
            both = [int(above[best]), int(below[best])]
            return _found(dataset, both, "quotient", 1.0, float(alone[best]), torch.ones(2))
    return None


def _several(dataset: Dataset, raw: Tensor, goals: Tensor) -> Combination | None:
    """A few of the columns (N, D) that add up to the target (N, 1), each as it is or taken away."""
    x = _standardized(raw)
    fit = _exact(x, goals) if len(x) >= ROWS_EACH * x.shape[1] else None
    if fit is None:
        return None
    size = fit[:, 0] / (raw - raw.mean(0)).square().mean(0).sqrt().clamp(min=1e-12)
    used = ((size.abs() > EQUAL * size.abs().max()) & (fit[:, 0].abs() > EXACT)).nonzero().flatten()
    equal = bool((size[used].abs() / size[used].abs().max() > 1 - EQUAL).all())
    alone = float((x.T @ goals / len(x)).square().max())
    if not SEVERAL[0] <= len(used) <= SEVERAL[1] or not equal or alone >= DETERMINED:
        return None
    return _found(dataset, used.tolist(), "sum", 1.0, alone, size[used].sign())


def _exact(parts: Tensor, goals: Tensor) -> Tensor | None:
    """The fit (K, 1) of (N, K) to a number (N, 1), if that is what it gives, but for rows whose inputs are clipped."""
    if goals.shape[1] > 1:
        return None
    fit = torch.linalg.lstsq(parts, goals).solution
    return fit if float((parts @ fit - goals).abs().quantile(0.95)) < EXACT else None


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
