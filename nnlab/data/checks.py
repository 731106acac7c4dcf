"""What no data set may hold: numbers that are not finite, and classes that cannot be in every split."""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.storage.array_file import ArrayFile
from nnlab.streaming import at_once, pieces

CHECKED = 1 << 24  # numbers that are checked at a time


def check_finite(values: Tensor | ArrayFile, what: str, origin: str) -> None:
    """Refuse NaN and infinite values.

    Raises:
        UserError: says how many there are, and the row and column of the first, counted from 0.
    """
    if not values.dtype.is_floating_point:
        return
    count, start, first = 0, 0, None
    for piece in pieces(values, at_once(values, CHECKED, len(values) or 1)):
        bad = ~torch.isfinite(piece.float())  # as float32, in which the engine computes
        if bad.any():
            first = first or (start, torch.nonzero(bad)[0].tolist())
            count += int(bad.sum())
        start += len(piece)
    if first is not None:
        row, rest = first[0] + first[1][0], first[1][1:]
        column = f"column {rest[0]}" if len(rest) == 1 else f"position {tuple(rest)}"
        raise UserError(
            f"{origin}: {count} of the {what} are NaN, infinite or beyond float32, the first in row {row}, "
            f"{column} (counted from 0); remove or replace them"
        )


def check_classes(labels: Tensor, names: tuple[str, ...], origin: str) -> None:
    """Refuse a class that cannot be stratified.

    Raises:
        UserError: a class has a single example.
    """
    lonely = torch.nonzero(torch.bincount(labels) == 1)
    if len(lonely):
        raise UserError(
            f"{origin}: class `{names[int(lonely[0])]}` has a single example, which cannot be both for training and "
            "for testing; add examples of it or leave it out"
        )
