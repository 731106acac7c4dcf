"""Values that stand for none: placeholders such as -999 or 9999, and rows whose inputs were lost.

A placeholder is one number that many rows share in a column whose other values are fine (hardly two are equal) and far
from it. A lost row has the same inputs as many others, although hardly any row differs from it in a column or two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.columns import column_name
from nnlab.diagnosis.facts.levels import sample
from nnlab.streaming import at_once, pieces
from nnlab.types import Dataset, Split

ROWS, COLUMNS = 2048, 1024  # that are looked at
PIECE = 1 << 22  # numbers that are taken in double precision at a time
SHARE = (0.002, 0.5)  # of the rows that a placeholder may have; at least `LEAST` rows
LEAST, REST = 4, 30  # rows of a placeholder, other rows that say what is far from them
FAR = 6.0  # widths of the middle four fifths of the others, from their median
GAP = 0.5  # share of that distance in which there is no other value
COARSE = 0.2  # share of the others that one of their values may have
SQUEEZED = 0.2  # standard deviation of the other values of a standardized column that a placeholder has ruined
NEAREST = 1e-3  # relative error that single precision may leave in a value before preprocessing
SINGLE, ULPS = 1e-7, 4.0  # relative error of single precision, and its units that preprocessing may add up
LOST = 0.1  # share of rows with the same inputs
NEAR, CHANCE = 0.2, 0.02  # share of columns in which a row differs little from it, and of rows that do by chance


@dataclass(frozen=True)
class Placeholder:
    """A number that stands for none.

    Attributes:
        columns: names of the columns that have it, the most affected first; of inputs, or of targets.
        value: in the column's own units, or after preprocessing.
        share: of the rows, in the column that has it most often.
        squeezed: how many columns it leaves next to no room for their other values.
        processed: whether the value before preprocessing is not known.
    """

    columns: tuple[str, ...]
    value: float
    share: float
    squeezed: int
    processed: bool = False


def find_placeholder(dataset: Dataset) -> Placeholder | None:
    """The placeholder that most input columns have, over training and validation rows."""
    if dataset.input_size > COLUMNS or len(dataset.train) < REST or len(dataset.input_shape) > 1:
        return None  # a pixel that is black in many images stands for black
    rows = sample(dataset.train, ROWS).inputs
    found = [(column, *_suspicious(rows[:, column])) for column in _candidates(rows)]
    found = [each for each in found if each[2] > 0 and not _cut(original(dataset, *each[:2]))]
    if not found:
        return None
    found.sort(key=lambda each: -each[2])
    names = tuple(column_name(dataset, column) for column, *_ in found)
    column, value, share, _ = found[0]
    squeezed = sum(width < SQUEEZED for *_, width in found)
    own = original(dataset, column, value)
    return Placeholder(names, value if own is None else own, share, squeezed, own is None)


def target_placeholder(dataset: Dataset) -> Placeholder | None:
    """The placeholder among regression targets."""
    targets = dataset.train.targets
    if not targets.is_floating_point() or len(targets) < REST:
        return None
    for column in range(targets.shape[1]):
        value, share, width = _suspicious(sample(dataset.train, ROWS).targets[:, column])
        if share > 0:
            if dataset.units is not None:
                row = torch.zeros(dataset.target_size, device=targets.device)
                row[column] = value
                value = float(dataset.units.restored(row)[column])
            return Placeholder((f"`{dataset.target_names[column]}`",), _written(value), share, int(width < SQUEEZED))
    return None


def _candidates(rows: Tensor) -> list[int]:
    """Columns with equal values at one of their ends, far from the middle."""
    ordered = rows.sort(0).values
    few, half = max(LEAST, int(SHARE[0] * len(rows))) - 1, len(rows) // 2
    low = (ordered[0] == ordered[few]) & (ordered[0] < ordered[half])
    high = (ordered[-1] == ordered[-1 - few]) & (ordered[-1] > ordered[half])
    return [int(column) for column in (low | high).nonzero().flatten()]


def _suspicious(values: Tensor) -> tuple[float, float, float]:
    """The placeholder of a column, its share of the rows, and the standard deviation of the others; share 0: none."""
    for value in (float(values.min()), float(values.max())):
        same = values == value
        count, others = int(same.sum()), values[~same]
        share = count / len(values)
        if count < LEAST or not SHARE[0] <= share <= SHARE[1] or len(others) < REST:
            continue
        low, middle, high = others.double().quantile(others.new_tensor([0.1, 0.5, 0.9]).double()).tolist()
        _, counts = torch.unique(others, return_counts=True)
        fine = float(counts.max()) <= COARSE * len(others) and len(counts) > 10
        gap = float((others - value).abs().min())  # a limit that values are cut at has others next to it
        away = abs(value - middle)
        if fine and away > FAR * max(high - low, 1e-9 * abs(middle)) and gap > GAP * away:
            return value, share, float(others.std())
    return 0.0, 0.0, 1.0


def original(dataset: Dataset, column: int, value: float) -> float | None:
    """A value before preprocessing; None where it cannot be told, infinite at a limit that preprocessing sets."""
    if dataset.pipeline is None:
        return _written(value)
    rows = torch.zeros(2, dataset.input_size, dtype=torch.float64)
    rows[0, column], rows[1, column] = value, value * (1 - torch.finfo(torch.float32).eps)
    before = _reversed(dataset, rows.reshape(2, *dataset.input_shape))
    if before is None:
        return None
    own, beside = before.flatten(1)[:, column].tolist()
    precise = math.isfinite(own) and abs(own - beside) <= NEAREST * max(abs(own), 1)
    return _written(own, ULPS * abs(own - beside)) if precise else math.copysign(math.inf, value)


def before_preprocessing(dataset: Dataset, inputs: Tensor) -> Tensor:
    """Inputs (n, *) before preprocessing; themselves where these cannot be told."""
    before = _reversed(dataset, inputs)
    return inputs if before is None else torch.where(torch.isfinite(before), before, inputs)


def _reversed(dataset: Dataset, inputs: Tensor) -> Tensor | None:
    transform = None if dataset.pipeline is None else dataset.pipeline.transform
    return transform.reversed(inputs) if transform is not None and transform.keeps_inputs else None


def _cut(own: float | None) -> bool:
    """Whether a value is what preprocessing makes of all that lie far away."""
    return own is not None and math.isinf(own)


def _written(value: float, error: float = 0.0) -> float:
    """The number of the fewest digits that single precision, or an error in it, leaves no different from a value.

    >>> _written(9999.8994), _written(9999.9999, 0.001), _written(-998.99997), _written(99.9000015)
    (9999.9, 10000.0, -999.0, 99.9)
    """
    error = max(error, SINGLE * abs(value))
    near = (float(f"{value:.{digits}g}") for digits in range(1, 16))
    return next((each for each in near if abs(each - value) <= error), value)


@dataclass(frozen=True)
class LostRows:
    """Rows with the same inputs.

    Attributes:
        share: of all rows.
        answers: how many different targets they have.
    """

    share: float
    answers: int


def find_lost_rows(split: Split) -> LostRows | None:
    """The largest group of rows with the same inputs, if it is large, and not by chance."""
    part = sample(split, ROWS)
    rows = part.inputs.flatten(1)
    if len(rows) < REST or rows.shape[1] < 2:
        return None
    draw = torch.Generator().manual_seed(0)
    direction = torch.randn(rows.shape[1], generator=draw, dtype=torch.float64).to(rows.device)
    keys = torch.cat([piece.double() @ direction for piece in pieces(rows, at_once(rows, PIECE, len(rows)))])
    ordered = keys.sort()
    fresh = torch.cat([ordered.values.new_ones(1).bool(), ordered.values.diff() > 1e-9 * keys.abs().max()])
    group = fresh.cumsum(0) - 1
    counts = torch.bincount(group)
    if float(counts.max()) < LOST * len(rows):
        return None
    members = ordered.indices[group == int(counts.argmax())]
    pattern = rows[members[0]]
    rest = torch.ones(len(rows), dtype=torch.bool)
    rest[members] = False
    if int(rest.sum()) < REST:
        return None
    others = rows[rest]
    varies = others.amax(0) > others.amin(0)
    count = int(varies.sum())
    # By chance there would be rows that differ from it in one column, or a few.
    differ = count - (others == pattern)[:, varies].sum(1)
    near = float((differ <= max(1, NEAR * count)).double().mean())
    answers = len(torch.unique(part.targets[members], dim=0))
    return LostRows(len(members) / len(rows), answers) if count and near < CHANCE and answers > 1 else None
