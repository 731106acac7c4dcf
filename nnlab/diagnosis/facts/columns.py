"""What input columns are called, and which column of a table they come from."""

from __future__ import annotations

from nnlab.data.pipeline import ColumnRule
from nnlab.types import Dataset


def column_source(dataset: Dataset, column: int) -> str:
    """The column of the table that an input comes from; empty where the data are no table."""
    rule = dataset.pipeline.rule if dataset.pipeline is not None else None
    if not isinstance(rule, ColumnRule):
        return ""
    name = dataset.input_names[column]
    return next((each.name for each in rule.encodings if name in each.input_names), "")


def column_name(dataset: Dataset, column: int) -> str:
    """The name of an input column, or its number where the data set does not know names."""
    names = dataset.input_names
    return f"`{names[column]}`" if column < len(names) else f"input column {column}"
