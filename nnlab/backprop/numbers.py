"""Scalars, vectors and matrices as short text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def number_text(value: npt.NDArray[np.float64], limit: int = 48) -> str:
    """A value in at most `limit` characters: in full, or its shape and norm where it would be longer.

    >>> number_text(np.array([[2.0]])), number_text(np.array([[1.0], [0.5]])), number_text(np.eye(2))
    ('2', '[1, 0.5]', '[[1, 0], [0, 1]]')
    >>> number_text(np.ones((30, 30)))
    '30 x 30, norm 30'
    """
    rows, columns = value.shape
    if rows == columns == 1:
        return entry_text(value.item())
    if value.size > limit:
        return _summary(value)
    lines = ["[" + ", ".join(entry_text(entry) for entry in row) + "]" for row in value.tolist()]
    if columns == 1:
        text = "[" + ", ".join(entry_text(entry) for entry in value[:, 0].tolist()) + "]"
    else:
        text = "[" + ", ".join(lines) + "]"
    return text if len(text) <= limit else _summary(value)


def entry_text(entry: float, digits: int = 4) -> str:
    """One number with `digits` significant digits; whole numbers in full as far as they are readable.

    >>> entry_text(2.0), entry_text(-0.0), entry_text(1 / 3), entry_text(123456.0), entry_text(1e-9)
    ('2', '0', '0.3333', '123456', '1e-09')
    """
    if entry == int(entry) and abs(entry) < 1e9:
        return str(int(entry))
    return f"{entry:.{digits}g}"


def _summary(value: npt.NDArray[np.float64]) -> str:
    rows, columns = value.shape
    return f"{rows} x {columns}, norm {entry_text(float(np.linalg.norm(value)))}"
