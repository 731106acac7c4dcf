"""Dates and times as seconds since 1970-01-01, from the ways in which tables write them."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from nnlab.console import counted
from nnlab.data.table.column import Column, Floats

# Patterns in the order in which they are preferred; the first that reads every cell is taken.
PATTERNS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d"),
    *("%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d %Y", "%b %d, %Y", "%B %d, %Y"),
    *("%d %B %Y", "%b-%d-%Y", "%b-%Y", "%b %Y", "%Y-%m", "%Y/%m", "%Y-%b-%d"),
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S.%f")
_PROBE = 200  # levels by which patterns are chosen before all are read
_LOOKS = re.compile(r"\s*(\d{1,4}[-./ ]\s?(\d{1,2}|[A-Za-z]{3,9})\b|[A-Za-z]{3,9}[ -]\d)")
_QUARTER = re.compile(r"(\d{4})[- :]?[Qq]([1-4])")
DAYS = "%Y%m%d"  # days as whole numbers, such as 20240305
FIRST_DAY, LAST_DAY = 19000101, 21001231
QUARTER = "%Y-Q"  # years and quarters, such as 1974Q1
_ISO = re.compile(r"\d{4}-\d\d-\d\d|\d{8}$")  # dates that can be nothing else
_SAMPLE = datetime.datetime(2024, 12, 31, 18, 30, 59)  # a moment whose text shows how times are written


def parse_time(text: str, pattern: str | None) -> float:
    """A text as seconds since 1970, NaN where it is not written so; a zone is applied, none is taken for UTC.

    >>> parse_time("1970-01-02", None), parse_time("02.01.1970", "%d.%m.%Y")
    (86400.0, 86400.0)
    """
    if pattern == QUARTER:
        match = _QUARTER.fullmatch(text.strip())
        pattern, text = ("%Y-%m", f"{match[1]}-{3 * int(match[2]) - 2}") if match else (pattern, text)
    try:
        moment = datetime.datetime.fromisoformat(text) if pattern is None else datetime.datetime.strptime(text, pattern)
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def parse_times(column: Column, pattern: str | None) -> Floats:
    """The cells of a column as seconds since 1970, NaN where they are missing or no time; ISO 8601 is always read."""
    if column.form in ("number", "truth") and pattern is not None:
        column = column.as_text()
    if column.form != "text":
        return column.numbers()
    return column.by_level([_parsed(level, pattern) for level in column.levels], np.nan)


def find_times(
    columns: Mapping[str, Column], expected: Mapping[str, str | None]
) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """How a table writes its times where it is in another way than the training's, and what to say about it.

    A column is in another way where all of its cells can be read so, and not all as they were in training.

    Args:
        columns: of the table, by name.
        expected: the columns of times, each with its pattern in training.
    """
    found: dict[str, str | None] = {}
    said = []
    for name, pattern in expected.items():
        column = columns.get(name)
        if column is None or column.form != "text":
            continue
        levels = [column.levels[code] for code in np.unique(column.values[column.values >= 0]).tolist()]
        if all(not math.isnan(_parsed(level, pattern)) for level in levels):
            continue
        if patterns := time_patterns(levels):
            found[name] = next((each for each in patterns if _day_first(each) == _day_first(pattern)), patterns[0])
            doubt = ", though day and month could be the other way round" if len(patterns) > 1 else ""
            said.append(
                f"times in `{name}` are written as {written(found[name])}{doubt}; training had {written(pattern)}"
            )
    return found, tuple(said)


def unread(count: int, rows: int, pattern: str | None) -> str:
    """What to say about cells that are no times.

    >>> unread(1, 20, "%d.%m.%Y")
    '1 of 20 cells could not be read as a time, which training had as 31.12.2024; it counts as missing'
    """
    end = "it counts as missing" if count == 1 else "they count as missing"
    cells = counted(rows, "cell")
    return f"{count} of {cells} could not be read as a time, which training had as {written(pattern)}; {end}"


def written(pattern: str | None) -> str:
    """The last day of 2024, in the evening, as a pattern writes it.

    >>> written("%d.%m.%Y"), written(None), written("%b %Y")
    ('31.12.2024', '2024-12-31', 'Dec 2024')
    """
    return "2024Q4" if pattern == QUARTER else _SAMPLE.strftime(pattern or "%Y-%m-%d")


def _parsed(text: str, pattern: str | None) -> float:
    """As `parse_time`; ISO 8601 is read beside any pattern."""
    value = parse_time(text, pattern)
    return parse_time(text, None) if math.isnan(value) and pattern is not None and _ISO.match(text) else value


def _day_first(pattern: str | None) -> bool:
    """Whether the day stands before a month in figures."""
    return "%m" in (pattern or "").partition("%d")[2]


def are_days(numbers: Floats) -> bool:
    """Whether all numbers are days of the calendar, such as 20240305, and five different ones at least.

    >>> are_days(np.arange(20240301, 20240320.0)), are_days(np.arange(20240301, 20240350.0))
    (True, False)
    """
    if not len(numbers) or numbers.min() < FIRST_DAY or numbers.max() > LAST_DAY:
        return False
    distinct = np.unique(numbers)
    if len(distinct) < 5 or bool((distinct != np.floor(distinct)).any()):
        return False
    return all(not math.isnan(parse_time(str(int(value)), DAYS)) for value in distinct.tolist())


def time_patterns(levels: Sequence[str]) -> list[str | None]:
    """The patterns that read every one of the texts, the preferred first; empty where they are no times.

    Several remain where day and month cannot be told apart: of patterns that read all texts alike, only the first is
    given. None stands for ISO 8601, which may stand beside any other.
    """
    if levels and all(_QUARTER.fullmatch(level) for level in levels):
        return [QUARTER]
    if not levels or not all(_LOOKS.match(level) for level in levels[:_PROBE]):
        return []
    candidates: list[str | None] = [None] if all(len(level) >= 10 for level in levels[:_PROBE]) else []
    candidates += [day + clock for day in PATTERNS for clock in CLOCKS]
    found = [each for each in candidates if _reads(levels[:_PROBE], each)]
    alike: dict[tuple[float, ...], str | None] = {}
    for pattern in found:
        alike.setdefault(tuple(parse_time(level, pattern) for level in levels[:_PROBE]), pattern)
    first = list(alike.values())
    found = [each for each in first if _reads(levels, each)] if len(levels) > _PROBE else first
    if found:
        return found
    others = [level for level in levels if not _ISO.match(level) or math.isnan(parse_time(level, None))]
    return time_patterns(others) if 0 < len(others) < len(levels) else []


def _reads(levels: Sequence[str], pattern: str | None) -> bool:
    """Whether a pattern reads every text."""
    return all(not math.isnan(parse_time(level, pattern)) for level in levels)
