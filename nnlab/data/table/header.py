"""Whether a table has a header, where its rows begin, and what its columns are called."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Collection, Sequence

from nnlab.data.table.amounts import amount_of, number_of, with_point
from nnlab.data.table.column import MISSING_NUMBERS, is_missing
from nnlab.data.table.writing import Writing

Row = tuple[int, list[str]]  # the line of the file, counted from 0, and its cells

YEARS = range(1500, 2200)
SHOWN = 60  # letters of a row that are repeated
MOST_TITLES = 20  # rows above the names
MOST_UNITS = 2  # rows below the names that say more about the columns, as some surveys have them
_BRACKETS = re.compile(r"\[.*\]|\(.*\)|\{.*\}")
_LINE = re.compile(r":?[-=_]+:?|\+?[-=]{3,}\+?")
_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclasses.dataclass(frozen=True)
class Header:
    """Where a table begins.

    Attributes:
        rows: rows of the sample before the first row of data.
        skip: lines of the file before it.
        names: of the columns.
        named: whether the file names them.
        said: what was guessed, each with the key that overrules it.
    """

    rows: int
    skip: int
    names: tuple[str, ...]
    named: bool
    said: tuple[str, ...] = ()


def find_header(
    sample: Sequence[Row], *, whole: bool, header: bool | None, target: str | int | None, expected: Writing
) -> Header:
    """The header of a sample of rows; see `find_dialect` for the arguments."""
    if not sample:
        return Header(0, 0, (), False)
    width = Counter(len(row) for _, row in sample).most_common(1)[0][0]
    place, known = header_row([row for _, row in sample], expected) if header is None else (0, 0)
    if header is None and not known and isinstance(target, str):
        place = next((at for at, (_, row) in enumerate(sample[:MOST_TITLES]) if target in map(str.strip, row)), 0)
        known = place > 0
    if known:
        first, said = place, [_no_row(each, "stands above the names of the columns") for each in sample[:place]]
    else:
        first, said = _title_lines(sample, width, whole)
    rows = [row for _, row in sample[first:]]
    top, body = rows[0], rows[1:]
    if known and body:
        width = Counter(len(row) for row in body).most_common(1)[0][0]
    if header is not None or known or expected.named is False:
        is_header, why = header or known > 0, ""
    else:
        is_header, why = _is_header(top, body, target)
    if why:
        said.append(f"{why} (data.header)")
    if not is_header:
        names = tuple(str(position) for position in range(width))
        return Header(first, sample[first][0], names, False, tuple(said))
    if len(top) < width and not _always_empty(body, len(top)):
        top = ["", *top]  # R writes no name above the names of the rows
    top = [*top, *[""] * (width - len(top))][:width]
    top = _told_apart(top, sample[first - 1][1] if first else [])
    numbers = [position for position, name in enumerate(top) if name.strip() in expected.numbers]
    below = _rows_of_units(body, numbers) if header is None else 0
    said += [_no_row(each, "says more about the columns") for each in sample[first + 1 : first + 1 + below]]
    first += below
    skip = sample[first + 1][0] if first + 1 < len(sample) else sample[first][0] + 1
    return Header(first + 1, skip, unique_names(top), True, tuple(said))


def _told_apart(names: Sequence[str], above: Sequence[str]) -> list[str]:
    """Names of which equal ones have the word above them in front, where that spans several columns each.

    >>> _told_apart(["id", "high", "low", "high", "low"], ["", "before", "", "after", ""])
    ['id', 'before high', 'before low', 'after high', 'after low']
    """
    counts = Counter(name.strip() for name in names)
    filled = [cell.strip() for cell in above]
    if max(counts.values(), default=0) < 2 or len(filled) != len(names) or sum(map(bool, filled)) < 2:
        return list(names)
    spans: list[str] = []
    for cell in filled:
        spans.append(cell or (spans[-1] if spans else ""))
    apart = [
        f"{span} {name.strip()}" if counts[name.strip()] > 1 and span and name.strip() else name
        for span, name in zip(spans, names, strict=True)
    ]
    return apart if len(set(apart)) > len(counts) else list(names)


def header_row(rows: Sequence[Sequence[str]], expected: Writing) -> tuple[int, int]:
    """Where among the first rows the names of expected columns stand, and how many of them; (0, 0) where none do."""
    names = {name for name in expected.decimals if expected.named or not name.isdecimal()}
    if expected.named is False or not names:
        return 0, 0
    known = [len(names.intersection(map(str.strip, row))) for row in rows[:MOST_TITLES]]
    most = max(known, default=0)
    place = known.index(most) if most else 0
    if most == 1 and len(rows[place]) > 2:
        return 0, 0  # a word of a row that is the name of a column too
    return place, most


def unique_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Names of all columns: those without one are called by their position, a name that occurs again is numbered.

    >>> unique_names(["", "a", "a"])
    ('column 1', 'a', 'a (2)')
    """
    seen: Counter[str] = Counter()
    names = []
    for position, cell in enumerate(cells):
        name = cell.strip() or f"column {position + 1}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)


def _rows_of_units(body: Sequence[Sequence[str]], numbers: Collection[int]) -> int:
    """How many rows below the names hold units such as [cm], or questions: words above columns of numbers.

    A word above a single column of numbers may be a cell that somebody mistyped, unless it stands in brackets. At the
    positions `numbers` training had numbers.
    """
    without = itertools.takewhile(
        lambda row: not any(_amount(cell) == _amount(cell) for cell in row), body[:MOST_UNITS]
    )
    for count in range(len(list(without)), 0, -1):
        if count < len(body) and all(_tells_units(row, body[count:], numbers) for row in body[:count]):
            return count
    return 0


def _tells_units(row: Sequence[str], rest: Sequence[Sequence[str]], numbers: Collection[int]) -> bool:
    """Whether a row has words where the rest has numbers, a single one in brackets; or draws a line."""
    filled = [cell.strip() for cell in row if cell.strip()]
    if len(filled) > 1 and all(map(_LINE.fullmatch, filled)) and max(map(len, filled)) > 1:
        return True
    words = [
        cell.strip()
        for position, cell in enumerate(row)
        if not _is_gap(cell)
        and (position in numbers or _all_amounts([each[position] for each in rest if position < len(each)]))
    ]
    return len(words) > 1 or any(_BRACKETS.fullmatch(word) for word in words)


def _amount(cell: str) -> float:
    """A cell as a number, with a decimal point or comma, or NaN."""
    return amount_of(with_point(cell))


def _is_gap(cell: str) -> bool:
    """Whether a cell says that there is no number."""
    return cell.strip().lower() in MISSING_NUMBERS


def _all_amounts(cells: Sequence[str]) -> bool:
    """Whether cells are numbers, as far as they are there."""
    known = [cell for cell in cells if not _is_gap(cell)]
    return len(known) > 2 and all(_amount(cell) == _amount(cell) for cell in known)


def _title_lines(sample: Sequence[Row], width: int, whole: bool) -> tuple[int, list[str]]:
    """How many rows stand above the table, titles and counts of rows and columns, and what to say about them."""
    first = 0
    said = []
    while first < len(sample) - 1:
        _, row = sample[first]
        counts = _counts_rows(row, len(sample) - first - 1 if whole else None, width)
        trailing = len(row) == width + 1 and not row[-1].strip()
        other = len(row) != width and not trailing and not (len(row) == width - 1 and first + 1 < len(sample))
        title = width > 2 and (
            _is_title(row, sample[first + 1][1]) or _spans(row, [each for _, each in sample[first + 1 :]])
        )
        if not counts and not ((other or title) and first < MOST_TITLES):
            break
        what = "counts rows and columns" if counts else "is a title" if title else "has another number of cells"
        said.append(_no_row(sample[first], what))
        first += 1
    return first, said


def _no_row(row: Row, what: str) -> str:
    """A line about a row of the file that is none of the table."""
    return f"line {row[0] + 1} ({shown_cells(row[1])}) is no row: it {what} (data.header)"


def shown_cells(cells: Sequence[str]) -> str:
    """The filled cells of a row, for a message.

    >>> shown_cells(["Report", "", " 2023 "])
    'Report, 2023'
    """
    return ", ".join(cell.strip() for cell in cells if cell.strip())[:SHOWN]


def _is_title(row: Sequence[str], following: Sequence[str]) -> bool:
    """Whether a single cell of a row is filled, above one of names."""
    filled = [cell for cell in row if cell.strip()]
    names = all(cell.strip() and number_of(cell) != number_of(cell) for cell in following)
    return len(filled) == 1 and number_of(filled[0]) != number_of(filled[0]) and names


def _spans(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a row has names for several columns each, above that of the names of the columns."""
    filled = [cell for cell in row if cell.strip()]
    names, rest = below[0], below[1:]
    if not filled or 2 * len(filled) > len(row) or any(_amount(cell) == _amount(cell) for cell in names):
        return False
    return all(name.strip() for name in names) and any(
        _all_amounts([each[i] for each in rest if i < len(each)]) for i in range(len(names))
    )


def _counts_rows(row: Sequence[str], rows: int | None, width: int) -> bool:
    """Whether a line says how many rows and inputs follow, and the names of classes, as scikit-learn's files do."""
    numbers = [number_of(cell) for cell in row]
    if len(row) < 3 or numbers[1] != width - 1 or (rows is not None and numbers[0] != rows):
        return False
    return numbers[0] == numbers[0] and all(number != number for number in numbers[2:])


def _is_header(top: Sequence[str], body: Sequence[Sequence[str]], target: str | int | None) -> tuple[bool, str]:
    """Whether the first row names the columns, and a sentence where that was a guess."""
    cells = [cell.strip() for cell in top]
    if isinstance(target, str) and target in cells:
        return True, ""
    cells = [_with_point(cell) for cell in cells]
    columns = [[_with_point(row[i].strip()) for row in body if i < len(row)] for i in range(len(cells))]
    numeric = [i for i, cell in enumerate(cells) if number_of(cell) == number_of(cell)]
    if numeric:
        if _are_labels([cells[i] for i in numeric], [columns[i] for i in numeric]):
            return True, f"the first line is a header, for {cells[numeric[0]]}, ... are names"
        return False, "there is no header, columns are called 0, 1, ..."
    named = [(cell, column) for cell, column in zip(cells, columns, strict=True) if cell]
    if any(_numbers(column) or (_of_digits(column) and not _DIGIT.search(cell)) for cell, column in named):
        return True, ""
    recurs = any(cell and cell in column for cell, column in zip(cells, columns, strict=True))
    if recurs or len(set(filter(None, cells))) < len(list(filter(None, cells))):
        return False, "there is no header, for the first line looks like the others; columns are called 0, 1, ..."
    return True, "the first line is a header, though it looks like the rows" if body else ""


def _with_point(cell: str) -> str:
    """A number with a decimal comma as one with a point, which tells a row of numbers from one of names.

    >>> _with_point("0,126"), _with_point("a,b")
    ('0.126', 'a,b')
    """
    return cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell


def _are_labels(cells: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    """Whether numbers in the first row are names: they count up in equal steps, and the cells below are others."""
    if not all(re.fullmatch(r"\d+", cell) for cell in cells) or len(cells) < 2:
        return False
    values = [int(cell) for cell in cells]
    steps = {later - earlier for earlier, later in itertools.pairwise(values)}
    if len(steps) != 1 or not steps <= {1, 2, 5, 10}:
        return False
    if not (values[0] in (0, 1) or all(value in YEARS for value in values)):
        return False
    below = [number_of(cell) for column in columns for cell in column if not is_missing(cell)]
    alike = sum(1 for value in below if value in range(values[0] - 20, values[-1] + 21))
    return bool(below) and alike < len(below) / 2


def _numbers(column: Sequence[str]) -> bool:
    """Whether a column of the sample is made of numbers (a decimal comma counts), missing cells aside."""
    known = [cell.replace(",", ".") for cell in column if not is_missing(cell)]
    return bool(known) and sum(number_of(cell) == number_of(cell) for cell in known) > len(known) / 2


_DIGIT = re.compile(r"\d")


def _of_digits(column: Sequence[str]) -> bool:
    """Whether every cell of a column that is not missing holds a digit, as dates and codes do."""
    known = [cell for cell in column if not is_missing(cell)]
    return bool(known) and all(_DIGIT.search(cell) for cell in known)


def _always_empty(rows: Sequence[Sequence[str]], position: int) -> bool:
    """Whether the cells from `position` on are empty: a separator that ends every line."""
    return all(not cell.strip() for row in rows for cell in row[position:])
