"""Series of polars as columns: numbers, truth values, moments and times (in seconds) to float64, text to codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlab.data.table.amounts import with_point
from nnlab.data.table.column import EXACT, Column, coded_column

if TYPE_CHECKING:
    import polars


def series_column(series: polars.Series, decimal: str = ".") -> Column:
    """A column of polars as one of ours; what is nested becomes its text.

    Args:
        series: of any type.
        decimal: how numbers among the texts are written.
    """
    import polars

    kind = series.dtype
    if kind.is_integer() and bool(((series >= EXACT) | (series <= -EXACT)).any()):
        series = series.cast(polars.String)
        kind = series.dtype
    if kind.is_numeric():
        return Column(series.name, "number", series.cast(polars.Float64).to_numpy().astype(np.float64, copy=False))
    if kind == polars.Boolean:
        return Column(series.name, "truth", series.cast(polars.Float64).to_numpy().astype(np.float64))
    if kind in (polars.Date, polars.Datetime):
        moments = series.cast(polars.Datetime("us")).cast(polars.Int64).cast(polars.Float64)
        return Column(series.name, "time", moments.to_numpy().astype(np.float64) / 1e6)
    if kind == polars.Null:
        return Column(series.name, "number", np.full(len(series), np.nan))
    if kind in (polars.Duration, polars.Time):  # whatever unit the file counts in, as that of another file may differ
        length = series.cast(polars.Duration("ns")) if kind == polars.Duration else series
        return Column(series.name, "number", length.cast(polars.Int64).cast(polars.Float64).to_numpy() / 1e9)
    if kind.is_nested():
        return coded_column(series.name, *_factorized([repr(cell) for cell in series.to_list()]))
    text = series.bin.encode("hex") if kind == polars.Binary else series.cast(polars.String)
    levels = text.unique().drop_nulls()
    codes = text.cast(polars.Enum(levels)).to_physical().cast(polars.Int64).fill_null(-1).to_numpy()
    names: list[str | None] = levels.to_list()
    if decimal == ",":
        names = [name and with_point(name) for name in names]
    return coded_column(series.name, codes, names)


def _factorized(cells: Sequence[str]) -> tuple[Any, list[str | None]]:
    """Codes and levels of texts."""
    codes: dict[str | None, int] = {}
    return np.array([codes.setdefault(cell, len(codes)) for cell in cells]), list(codes)
