"""Whether numbers are sums of others, up to rounding, and not by chance."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from nnlab.data.table.column import Floats

LARGE = 100  # last digits of a sum that is none by chance
SAYS_SUM = re.compile(
    r"\b((sub)?totals?|sum|\w*summe|gesamt|insgesamt|somme|suma|totaal|итого|all)\b|合计|合計|小计|小計|Σ",
    re.IGNORECASE,
)


def known(cells: Floats) -> Floats:
    """The cells that are numbers."""
    return cells[~np.isnan(cells)]


def holds_sums(parts: Sequence[tuple[Floats, float]], marked: bool, named: bool) -> bool:
    """Whether a row's numbers are sums of those above, not by chance.

    Args:
        parts: of each column, the numbers above and the row's own.
        marked: whether the row shows that it is no other.
        named: whether it says that it is a sum.
    """
    sums = [is_sum(above, own, named) for above, own in parts]
    telling = [own for is_sum, (above, own) in zip(sums, parts, strict=True) if is_sum and abs(own) > abs(above).max()]
    large = [own for own in telling if is_large(own)]  # small counts add up by chance
    if marked and len(large) > 1:
        return True
    if not (len(telling) > 1 or (large and marked) or (telling and named)):
        return False
    return all(is_sum or near(float(above.mean()), own) for is_sum, (above, own) in zip(sums, parts, strict=True))


def is_large(own: float) -> bool:
    """Whether a number is too large to be a sum by chance."""
    return abs(own) >= LARGE * 10.0 ** -_digits(own)


def is_sum(above: Floats, own: float, named: bool) -> bool:
    """Whether a number is the sum of others, up to what rounding each may make; if it says so, its own rounding too."""
    digits = max(_digits(value) for value in (own, *above[:100].tolist()))
    rounding = 0.5 * 10.0**-digits * math.sqrt(len(above))
    slack = max(rounding if abs(own) > 1000 * rounding else 0.0, 1e-9 * float(np.abs(above).sum()))
    if named:
        slack = max(slack, 2 * rounding if digits else 0.0, 0.5001 * 10.0 ** -_digits(own) if digits else 0.0)
    return abs(float(above.sum()) - own) <= slack


def near(value: float, own: float) -> bool:
    """Whether a number is another one, rounded to as many digits as it has."""
    return abs(value - own) <= 0.5001 * 10.0 ** -_digits(own) + 1e-9 * abs(value)


def _digits(value: float) -> int:
    """Digits behind the point that a number is written with.

    >>> _digits(2.0), _digits(2.25), _digits(1e-7)
    (0, 2, 7)
    """
    text = repr(value)
    mantissa, _, power = text.partition("e")
    fraction = mantissa.partition(".")[2].rstrip("0")
    return max(0, len(fraction) - int(power or 0))
