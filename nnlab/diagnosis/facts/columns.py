"""What input columns are called, which column of a table they come from, and how many different values they have."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nnlab.data.rules import ColumnRule
from nnlab.data.table.encoding import CategoryEncoding, Encoding, TimeEncoding
from nnlab.types import Dataset


def column_source(dataset: Dataset, column: int) -> str:
    """The column of the table that an input comes from; empty where the data are no table."""
    encoding = _encoding(dataset, column)
    return encoding.name if encoding is not None else ""


def is_date(dataset: Dataset, column: int) -> bool:
    """Whether an input comes from a column of dates, which are known before anything else is."""
    return isinstance(_encoding(dataset, column), TimeEncoding)


def levels_of(dataset: Dataset, column: int) -> int:
    """How many levels the category has that an input comes from; 0 where it comes from none."""
    encoding = _encoding(dataset, column)
    return len(encoding.levels) + len(encoding.shared) if isinstance(encoding, CategoryEncoding) else 0


def _encoding(dataset: Dataset, column: int) -> Encoding | None:
    rule = dataset.pipeline.rule if dataset.pipeline is not None else None
    if not isinstance(rule, ColumnRule):
        return None
    name = dataset.input_names[column]
    return next((each for each in rule.encodings if name in each.input_names), None)


def column_name(dataset: Dataset, column: int) -> str:
    """The name of an input column, or its number where the data set does not know names."""
    names = dataset.input_names
    return f"`{names[column]}`" if column < len(names) else f"input column {column}"


def different_values(rows: Tensor) -> Tensor:
    """How many different values each column of rows (N, D) has, (D,); sorted by NumPy, in a tenth of torch's time.

    >>> different_values(torch.tensor([[1.0, 2.0], [1.0, 3.0], [1.0, 2.0]]))
    tensor([1, 2])
    """
    values = np.sort(np.ascontiguousarray(rows.cpu().numpy().T), -1)
    return torch.from_numpy(np.count_nonzero(values[:, 1:] != values[:, :-1], -1) + 1).to(rows.device)
