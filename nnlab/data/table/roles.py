"""Columns that say how to split: groups that stay together, the time that orders the rows, the file's own split."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from nnlab.data.raw import Raw
from nnlab.data.table.column import Column, Frame
from nnlab.data.table.kinds import find_kind
from nnlab.data.table.times import parse_times
from nnlab.errors import UserError

WORDS = {
    **dict.fromkeys(("train", "training", "tr", "learn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "te", "holdout", "eval"), "test"),
}


def group_numbers(column: Column) -> Tensor:
    """The group of each row, (n,) int64; a row without one is a group of its own."""
    text = column.as_text()
    codes = text.values.astype(np.int64)
    alone = codes < 0
    codes[alone] = len(text.levels) + np.arange(alone.sum())
    return torch.from_numpy(np.unique(codes, return_inverse=True)[1].astype(np.int64))


def times(frame: Frame, name: str) -> Tensor:
    """The time of each row as a number, (n,) float64.

    Raises:
        UserError: a cell is missing, or is neither a number nor a time.
    """
    column = frame.columns[name]
    values = parse_times(column, find_kind(column).pattern) if column.form == "text" else column.numbers()
    bad = np.flatnonzero(np.isnan(values))
    if len(bad):
        raise UserError(
            f"{frame.origin}: {frame.place(int(bad[0]))}, column `{name}` (`data.time`) is neither a number nor a time "
            f"({len(bad)} such rows); fill it in or take the rows out"
        )
    return torch.from_numpy(np.ascontiguousarray(values))


def own_split(raw: Raw, column: Column) -> Raw:
    """The raw data split as the column says: its test rows are the own test split, validation rows are marked.

    Raises:
        UserError: a word is none of a split, or there are no rows for training or testing.
    """
    text = column.as_text()
    words = [WORDS.get(level.lower(), "") for level in text.levels]
    unknown = [level for level, word in zip(text.levels, words, strict=True) if not word]
    if unknown or (text.values < 0).any():
        what = f"the word {unknown[0]!r}" if unknown else "a missing cell"
        raise UserError(
            f"column `{column.name}` (`data.split`) holds {what}, where each row needs train, validation or test"
        )
    names = np.array(words)[text.values]
    for needed in ("train", "test"):
        if needed not in names:
            raise UserError(f"column `{column.name}` (`data.split`) has no row for `{needed}`")
    tested = torch.from_numpy(names == "test")
    return dataclasses.replace(
        raw,
        inputs=raw.inputs[~tested],
        targets=raw.targets[~tested],
        validated=torch.from_numpy(names == "validation")[~tested] if "validation" in names else None,
        test=(raw.inputs[tested], raw.targets[tested]),
    )
