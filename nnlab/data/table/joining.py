"""Pieces of one column behind one another, whatever form each piece was read in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnlab.data.table.column import Column, Form, coded_column


def join_columns(parts: Sequence[Column]) -> Column:
    """One column from its pieces; text where any piece has text, for then not all cells are numbers."""
    if len(parts) == 1:
        return parts[0]
    forms = {part.form for part in parts if not part.missing.all()}
    if len(forms) <= 1 and "text" not in forms:
        form: Form = next(iter(forms)) if forms else "number"
        values = [part.values if part.form != "text" else part.numbers() for part in parts]
        return Column(parts[0].name, form, np.concatenate(values))
    places: dict[str, int] = {}
    codes = []
    for part in parts:
        text = part.as_text()
        table = np.array([places.setdefault(level, len(places)) for level in text.levels] + [-1], dtype=np.int32)
        codes.append(table[text.values])
    return coded_column(parts[0].name, np.concatenate(codes), list(places))
