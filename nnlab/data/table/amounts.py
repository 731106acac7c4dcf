"""Numbers as people write them: plain, with thousands apart, with a currency or per cent, with a decimal comma.

1234.5    1,234.50    1'234.50    $1,234.50    -5 CHF    45%    and with a comma    1234,5    1.234,50 €    4,5 %
below zero, as bookkeepers have it, (1,234.50), and as some programs do, 1234.50-
"""

from __future__ import annotations

import math
import re

_SIGN = "[+\\-\u2212]?"  # the last one is the minus of typography
PER_CENT = "%"  # the only unit that may stand in an amount; per mille is a unit as any other
_BLANK = " \u00a0\u2009\u202f"
_CURRENCY = (
    r"(?:US\$|R\$|[$€£¥₹₽₩₺₴₪฿]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|TRY)(?![A-Za-z])"
    r"|Fr\.|kr(?![A-Za-z])\.?|zł|Kč|Rs\.?)"
)


def _amount(thousands: str, point: str) -> re.Pattern[str]:
    """How an amount is written with one of `thousands` between groups of digits (12,34,567 in India) and a `point`."""
    groups = rf"[1-9]\d{{0,2}}(?P<apart>[{thousands}])(?:\d\d(?P=apart))*\d{{3}}(?:(?P=apart)\d{{3}})*"
    return re.compile(
        rf"(?P<bracket>\()?(?P<sign>{_SIGN})[{_BLANK}]?(?P<before>{_CURRENCY}[{_BLANK}]?)?(?P<inner>{_SIGN})"
        rf"(?P<digits>(?:{groups}|\d+)(?:{point}\d*)?|{point}\d+)(?P<power>[eE][+-]?\d+|[dD][+-]\d{{2,3}})?"
        rf"(?P<after>[{_BLANK}]?(?:{_CURRENCY}|%))?(?(bracket)\)|(?P<behind>-)?)"
    )


_WITH_POINT = _amount(f",'\u2019{_BLANK}", r"\.")
_WITH_COMMA = _amount(f".'\u2019{_BLANK}", ",")
# A number and what is written behind it, such as 170 cm, $5/h and 1,5 m3/s.
_QUANTITY = re.compile(
    rf"(?P<amount>(?:{_CURRENCY}[{_BLANK}]?)?{_SIGN}(?:\d|\.\d)(?:[\d.,'\u2019{_BLANK}]*\d)?(?:[eE][+-]?\d+)?)[{_BLANK}]?"
    r"(?P<unit>(?:[^\W\d_]|[°′″'\"/%‰$€£¥₹])(?:[^\d\n]|(?<=[^\W\d_])\d){0,19})"
)
_LEADING_ZERO = re.compile(r"[+-]?0\d+$")


def number_of(text: str) -> float:
    """A text as a finite number, or NaN.

    >>> number_of(" 1e3 "), number_of("1_000"), number_of("inf")
    (1000.0, nan, nan)
    """
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def amount_of(text: str) -> float:
    """A text as a finite number, also with thousands apart, a currency or per cent, or NaN.

    A decimal comma counts where it can be nothing else: beside a currency, per cent, or thousands with points.

    >>> amount_of("$1,234.50"), amount_of("45%"), amount_of("1.234,50"), amount_of("4,5 %"), amount_of("1,2")
    (1234.5, 45.0, 1234.5, 4.5, nan)
    >>> amount_of("(1,234)"), amount_of("5.5-"), amount_of("(-5)"), amount_of("2.5D+01"), amount_of("25D+01")
    (-1234.0, -5.5, nan, 25.0, nan)
    """
    value = number_of(text)
    if value == value:
        return value
    stripped = text.strip()
    found = _WITH_POINT.fullmatch(stripped)
    if found is None:
        found = _WITH_COMMA.fullmatch(stripped)
        if found is None or not (found["before"] or found["after"] or found["apart"]):
            return math.nan
    below = "-" if found["bracket"] or found["behind"] else ""
    sign = (found["sign"] + found["inner"] + below).replace("\u2212", "-")
    power = (found["power"] or "").lower()
    if len(sign) > 1 or ("d" in power and "." not in found["digits"]):  # of Fortran, where there is a point
        return math.nan
    return number_of(f"{sign}{_plain(found)}{power.replace('d', 'e')}")


def is_amount(text: str) -> bool:
    """Whether a text is a number as people write it."""
    return not math.isnan(amount_of(text))


def with_point(text: str) -> str:
    """An amount of a table with decimal commas as one with a decimal point; any other text as it is.

    >>> with_point("1.234,5 €"), with_point("1.234"), with_point("2,5"), with_point("1.2.2024")
    ('1234.5 €', '1234', '2.5', '1.2.2024')
    """
    found = _WITH_COMMA.fullmatch(text.strip())
    if not _digits_of(found) or found is None or not (found["apart"] or "," in found["digits"]):
        return text
    return f"{found.string[: found.start('digits')]}{_plain(found)}{found.string[found.end('digits') :]}"


def _plain(found: re.Match[str]) -> str:
    """The digits of an amount as Python writes them."""
    digits = found["digits"].replace(found["apart"], "") if found["apart"] else found["digits"]
    return digits.replace(",", ".")


def quantity_of(text: str) -> tuple[str, str]:
    """The amount and the unit in a text; the unit is empty where the text is none, or an amount without per cent.

    >>> quantity_of("170,5 cm"), quantity_of("5 €"), quantity_of("ten cm"), quantity_of("1 h 5 min"), quantity_of("5%")
    (('170,5', 'cm'), ('5 €', ''), ('ten cm', ''), ('1 h 5 min', ''), ('5', '%'))
    """
    found = _QUANTITY.fullmatch(text)
    alone = found is None or (
        found["unit"] != PER_CENT and (_WITH_POINT.fullmatch(text) or _WITH_COMMA.fullmatch(text))
    )
    if found is None or alone:
        return text, ""
    return found["amount"], found["unit"].strip()


def decimal_sign(text: str) -> str:
    """The decimal sign that an amount shows: `.` or `,`; `?` where it could be either; empty where it shows none.

    Three digits behind the only sign may be a fraction or the last of the thousands.

    >>> [decimal_sign(text) for text in ("2.5", "2,5 %", "2,5 cm", "1.234.567", "1.234", "1,234", "1234", "two")]
    ['.', ',', ',', ',', '?', '?', '', '']
    """
    if "." not in text and "," not in text:
        return ""
    text, _ = quantity_of(text)
    point, comma = (_digits_of(pattern.fullmatch(text)) for pattern in (_WITH_POINT, _WITH_COMMA))
    if point and comma:
        return "" if point == comma else "?"
    return "." if point else "," if comma else ""


def _digits_of(found: re.Match[str] | None) -> str:
    """The digits of an amount; empty where it is none, as thousands apart with a power of ten are none."""
    return "" if found is None or (found["apart"] in (".", ",") and found["power"]) else _plain(found)


def sign_of(text: str) -> str:
    """The currency of an amount, or its per cent; empty where it has none.

    >>> sign_of("$1,234.50"), sign_of("45 %"), sign_of("-5 CHF"), sign_of("1.5")
    ('$', '%', 'CHF', '')
    """
    stripped = text.strip()
    found = _WITH_POINT.fullmatch(stripped) or _WITH_COMMA.fullmatch(stripped)
    return ((found["before"] or found["after"] or "") if found else "").strip(_BLANK)


def is_below_zero(text: str) -> bool:
    """Whether an amount is below zero by brackets or a minus behind it, as `(5)` and `5-` are beside others."""
    return text.endswith(("-", ")"))


def is_code(text: str) -> bool:
    """Whether a text has digits that count nothing, such as 01234."""
    return _LEADING_ZERO.match(text) is not None
