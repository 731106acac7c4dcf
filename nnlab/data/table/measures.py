"""Units of one kind, and how many of one another is: exact by definition (BIPM 2019, SI; international yard and pound).

mass g, length m, time s, volume l, parts %; others, and temperatures, are not converted
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction

from nnlab.data.table.amounts import PER_CENT

_KINDS: tuple[Mapping[str, str], ...] = (
    {
        **{"µg": "1e-6", "mcg": "1e-6", "mg": "0.001", "g": "1", "gr": "1", "gram": "1", "kg": "1000", "kilo": "1000"},
        **{"t": "1e6", "lb": "453.59237", "lbs": "453.59237", "pound": "453.59237", "oz": "28.349523125"},
    },
    {
        **{"µm": "1e-6", "mm": "0.001", "cm": "0.01", "dm": "0.1", "m": "1", "meter": "1", "metre": "1", "km": "1000"},
        **{"in": "0.0254", "inch": "0.0254", "ft": "0.3048", "yd": "0.9144", "mi": "1609.344", "mile": "1609.344"},
    },
    {
        **{"µs": "1e-6", "ms": "0.001", "s": "1", "sec": "1", "second": "1", "min": "60", "minute": "60", "m": "60"},
        **{"h": "3600", "hr": "3600", "hour": "3600", "d": "86400", "day": "86400", "week": "604800"},
    },
    {"ml": "0.001", "cl": "0.01", "dl": "0.1", "l": "1", "liter": "1", "litre": "1", "hl": "100"},
    {"%": "1", "‰": "0.1"},
)

# What signs may stand for; others, such as CHF, are codes by ISO 4217.
_CURRENCIES: Mapping[str, frozenset[str]] = {
    **{"$": frozenset({"USD", "CAD", "AUD", "NZD"}), "US$": frozenset({"USD"}), "R$": frozenset({"BRL"})},
    **{"€": frozenset({"EUR"}), "£": frozenset({"GBP"}), "¥": frozenset({"JPY", "CNY"}), "₺": frozenset({"TRY"})},
    **dict.fromkeys(("kr", "kr."), frozenset({"SEK", "NOK", "DKK"})),
    **dict.fromkeys(("₹", "Rs", "Rs."), frozenset({"INR"})),
    **{"Fr.": frozenset({"CHF"}), "zł": frozenset({"PLN"}), "Kč": frozenset({"CZK"})},
}


def convertible(units: Collection[str]) -> bool:
    """Whether units are all of one kind, of which is known how many of one another is.

    >>> convertible(["g", "kg"]), convertible(["km", "h"]), convertible(["GB", "MB"])
    (True, False, False)
    """
    return any(all(_size(unit, kind) for unit in units) for kind in _KINDS)


def converted(value: float, unit: str, into: str) -> float | None:
    """A number in one unit as one in another; None where they are of different kinds, or not known.

    >>> converted(500, "g", "kg"), converted(1.2, "t", "kg"), converted(90, "Minutes", "h"), converted(1, "kg", "m")
    (0.5, 1200.0, 1.5, None)
    """
    for kind in _KINDS:
        size, own = _size(unit, kind), _size(into, kind)
        if size and own:
            return float(f"{value * float(size / own):.15g}")
    return None


def same_unit(first: str, second: str) -> bool:
    """Whether two units are one, in the singular and the plural.

    >>> same_unit("day", "days"), same_unit("m", "ms")
    (True, False)
    """
    if first == second:
        return True
    shorter, longer = sorted((first, second), key=len)
    return len(shorter) > 2 and longer == f"{shorter}s"


def other_currency(first: str, second: str) -> bool:
    """Whether two signs stand for different currencies for certain.

    >>> other_currency("$", "€"), other_currency("$", "CAD"), other_currency("CAD", "USD"), other_currency("%", "€")
    (True, False, True, False)
    """
    return PER_CENT not in (first, second) and not _CURRENCIES.get(first, {first}) & _CURRENCIES.get(second, {second})


def _size(unit: str, kind: Mapping[str, str]) -> Fraction | None:
    """How large a unit is in one of the kind; None where it is of another."""
    names = [unit, unit.lower().removesuffix(".")]
    names += [name.removesuffix("s") for name in names if len(name) > 2] + [names[-1].removesuffix("es")]
    found = next((kind[name] for name in names if name in kind), None)
    return None if found is None else Fraction(found)
