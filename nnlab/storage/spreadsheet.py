"""Cells of CSV files that spreadsheets open: text from data or from the command line is never a formula.

The starts of formulas are those of OWASP's page "CSV Injection".
"""

from __future__ import annotations

from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that starts like one gets an apostrophe before it.

    >>> safe("=1+1"), safe("-5"), safe("setosa"), safe(-0.5)
    ("'=1+1", '-5', 'setosa', -0.5)
    """
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
