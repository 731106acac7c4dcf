"""Rows that were standardized each by itself, along the wrong axis: all of them have one mean and one deviation.

Of columns in different units the largest ones then decide what a row looks like, and how large its values were is lost.
Spectra and signals, whose neighboring columns follow one another, are prepared so on purpose.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.diagnosis.facts.columns import different_values
from nnlab.diagnosis.facts.levels import sample
from nnlab.types import Dataset

ROWS, FEWEST, LEAST, COLUMNS = 512, 60, 4, 256  # rows that are looked at, and columns at least and at most
FINE = 0.3  # different values, as a share of the rows, of a column that such a preparation has made
EQUAL = 1e-3  # of the values' size, within which means and deviations of rows are the same
SMOOTH = 0.35  # mean difference of neighboring columns within a row, of that of any two, below which rows are signals


def standardized_rows(dataset: Dataset) -> int:
    """How many columns have one mean and one standard deviation in every training row; 0 where that is not so."""
    transform = dataset.pipeline.transform if dataset.pipeline is not None else None
    if len(dataset.input_shape) != 1 or not LEAST <= dataset.input_size <= COLUMNS or len(dataset.train) < FEWEST:
        return 0
    inputs = sample(dataset.train, ROWS).inputs.double().cpu()
    rows = inputs if transform is None else transform.reversed(inputs)
    if rows is None or rows.shape != inputs.shape or not bool(torch.isfinite(rows).all()):
        return 0
    rows = rows[:, _fine(rows)]
    if rows.shape[1] < LEAST:
        return 0
    means, stds = rows.mean(1), rows.std(1)
    size = float(stds.mean())
    if size == 0 or float(means.std()) > EQUAL * size or float(stds.std()) > EQUAL * size:
        return 0
    return 0 if _signal(rows) else rows.shape[1]


def _signal(rows: Tensor) -> bool:
    """Whether values within a row follow one another, as the points of a spectrum or a signal do."""
    between = rows.diff(dim=1).abs().mean()
    count = rows.shape[1]
    # the sum of all differences is a weighted sum of the ordered values
    rank = torch.arange(1 - count, count, 2, dtype=rows.dtype)
    every = (rows.sort(1).values * rank).sum(1).mean() * 2 / (count * (count - 1))
    return float(between) < SMOOTH * float(every)


def _fine(rows: Tensor) -> Tensor:
    """Which columns (D,) hardly repeat a value."""
    return different_values(rows) > FINE * len(rows)
