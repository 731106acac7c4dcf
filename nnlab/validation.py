"""Range checks that a constructor states in the notation of a textbook, as in `check("momentum", 1.2, "[0, 1)")`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import TypeVar

from nnlab.errors import UserError, did_you_mean

Number = TypeVar("Number", int, float)

LARGEST = 1e9  # that an interval without an end holds: more of anything is a slip

_INTERVAL = re.compile(r"([\[(])\s*([^,]+?)\s*,\s*([^,]+?)\s*([\])])")


def check(name: str, value: Number, interval: str, largest: float = LARGEST) -> Number:
    """Return `value` if it lies in `interval`, such as "[0, 1)" or "(0, inf)"; infinite ends stand for `largest`.

    >>> check("momentum", 0.9, "[0, 1)")
    0.9
    >>> check("momentum", 1.2, "[0, 1)")
    Traceback (most recent call last):
    nnlab.errors.UserError: `momentum` must be in [0, 1), got 1.2
    >>> check("epochs", 2**31, "(0, inf)")
    Traceback (most recent call last):
    nnlab.errors.UserError: `epochs` must be in (0, inf), and at most 1,000,000,000 in size, got 2147483648

    Raises:
        UserError: the value is outside the interval, larger than `largest` where that has no end, or not a
            number (NaN).
    """
    match = _INTERVAL.fullmatch(interval)
    if match is None:
        raise ValueError(f"not an interval: {interval!r}")
    left, low, high, right = match.groups()
    above = value >= float(low) if left == "[" else value > float(low)
    below = value <= float(high) if right == "]" else value < float(high)
    if not (above and below) or math.isnan(value):
        raise UserError(f"`{name}` must be in {interval}, got {value}")
    if abs(value) > largest and "inf" in interval:
        raise UserError(f"`{name}` must be in {interval}, and at most {largest:,.0f} in size, got {value}")
    return value


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """Return `value` if it is one of `choices`.

    Raises:
        UserError: it is not, or no word; the sentence suggests the nearest choice.
    """
    if not isinstance(value, str):  # a reference to a section, perhaps
        raise UserError(f"`{name}` must be one of {', '.join(choices)}, got a {type(value).__name__}")
    if value not in choices:
        nearest = did_you_mean(value, choices)
        every = f" (valid: {', '.join(choices)})" if nearest.startswith("did") else ""
        raise UserError(f"`{name}` has no option {value!r}; {nearest}{every}")
    return value
