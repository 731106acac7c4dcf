"""What stands below a table and is none of its rows: sources, notes, counts of rows, rulers.

    Source: city of X, 2023    (1,234 rows affected)    240 rows in set (0.01 sec)    -- end of report --

They have another number of cells than the table has columns, or one cell among empty ones, and stand at the end. A last
row that was cut off looks like that too, and is damage; so the first of these lines has to tell what it is: by what it
says, by a blank line above it, or by words where the table has numbers.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from nnlab.data.table.amounts import amount_of, with_point
from nnlab.data.table.column import Frame, is_missing
from nnlab.data.table.dialect import BLANKS, Dialect, is_ruler, split_line

MOST_BYTES, MOST_LINES = 1 << 16, 60  # at the end of a file that are looked at
SHOWN = 60  # letters of a line that are repeated
_TELLS = re.compile(
    r"\(.*\)|\[.*\]|[-=_*~#]{2}.*|[*†‡©].*|\d[\d,.'  ]* (rows?|records?|lines?|Zeilen?|Datens[äa]tze?|lignes?)\b.*"
    r"|(Note|Notes|Source|Sources|Total|Totals|Summe|Gesamt|Quelle|Stand|Hinweis|Exported|Generated|Printed)\b.*"
    r"|[^\W\d_][\w .\-/]{0,40}:(\s.*|)|https?://.*",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Footer:
    """The end of a table's text that is none of its rows.

    Attributes:
        size: in bytes.
        lines: the text, without blank lines and rulers at its ends; empty where there are no others.
        before: lines between its beginning and the first of `lines`.
    """

    size: int
    lines: tuple[str, ...] = ()
    before: int = 0

    def said(self, line: int) -> str:
        """What to say about a footer that begins with `line` of the file, counted from 1; empty for a ruler."""
        if not self.lines:
            return ""
        words = self.lines[0].strip()
        shown = words if len(words) <= SHOWN else f"{words[:SHOWN]} ..."
        first = line + self.before
        if len(self.lines) == 1:
            return f"line {first} ({shown}) is no row: it stands below the table (data.footer)"
        last = first + len(self.lines) - 1
        return f"lines {first} to {last} ({shown} ...) are no rows: they stand below the table (data.footer)"


def find_footer(block: bytes, dialect: Dialect) -> Footer:
    """The footer at the end of a table's last piece, of size 0 where there is none.

    Args:
        block: text in UTF-8 that ends with the table.
        dialect: how it is written.
    """
    tail = block[-MOST_BYTES:].decode(errors="replace")
    if len(block) > MOST_BYTES:
        tail = tail[tail.find("\n") + 1 :]
    above, below = _split(tail.split("\n"), dialect)
    filled = [position for position, line in enumerate(below) if not _is_blank(line, dialect)]
    for start in filled:
        before = below[start - 1] if start else above[-1] if above else ""
        if _is_blank(before, dialect) or _tells(below[start], above, dialect):
            begin = start
            while begin and _is_blank(below[begin - 1], dialect):
                begin -= 1
            size = len("\n".join(below[begin:]).encode())
            return Footer(size, tuple(_shown(each, dialect) for each in below[start : filled[-1] + 1]), start - begin)
    ruler = next((position for position, line in enumerate(below) if is_ruler(line)), None)
    return Footer(0 if ruler is None or filled else len("\n".join(below[ruler:]).encode()))


def _split(lines: Sequence[str], dialect: Dialect) -> tuple[list[str], list[str]]:
    """The lines up to the last full row, and those below it; none where there is no such row among them."""
    start = len(lines)
    while start and len(lines) - start < MOST_LINES:
        line = lines[start - 1]
        if line.count(dialect.quote) % 2:  # of a cell of several lines
            break
        apart = start > 1 and _is_blank(lines[start - 2], dialect) and _says(line, dialect)
        if not _is_blank(line, dialect) and _is_full(line, dialect) and not apart:
            break
        start -= 1
    else:
        return list(lines), []
    return list(lines[:start]), list(lines[start:])


def _cells(line: str, dialect: Dialect) -> list[str]:
    """The cells of a line, without an empty one that a separator at its end makes."""
    cells = split_line(line.rstrip("\r"), dialect.separator, dialect.quote)
    return cells[:-1] if len(cells) == len(dialect.names) + 1 and not cells[-1].strip() else cells


def _shown(line: str, dialect: Dialect) -> str:
    """A line without its empty cells and, where one is filled alone, without quotes."""
    filled = [cell.strip() for cell in _cells(line, dialect) if cell.strip()]
    if len(filled) < 2 or dialect.separator in (*BLANKS, "\t"):
        return " ".join(filled)
    sign = re.escape(dialect.separator)
    return re.sub(rf"(?:{sign}\s*){{2,}}", f"{dialect.separator} ", line.strip(f" \t\r{dialect.separator}"))


def _is_blank(line: str, dialect: Dialect) -> bool:
    """Whether a line has no cell that is filled, or is a ruler or a comment."""
    if is_ruler(line) or (dialect.comment and line.lstrip().startswith(dialect.comment)):
        return True
    return not any(cell.strip() for cell in _cells(line, dialect))


def _is_full(line: str, dialect: Dialect) -> bool:
    """Whether a line has a cell for each column, more than one of them filled where there are more than two."""
    cells, width = _cells(line, dialect), len(dialect.names)
    return len(cells) == width and (width == 2 or sum(bool(cell.strip()) for cell in cells) > 1)


def _says(line: str, dialect: Dialect) -> bool:
    """Whether the words of a line are those of a footer."""
    return _TELLS.fullmatch(line.strip(f" \t\r{dialect.separator}{dialect.quote}")) is not None


def _tells(line: str, above: Sequence[str], dialect: Dialect) -> bool:
    """Whether a line says that it is no row, or has words in the first cell where the rows have numbers."""
    if _says(line, dialect):
        return True
    rows = [_cells(each, dialect) for each in above[-MOST_LINES:]]
    first = [row[0] for row in rows if len(row) == len(dialect.names) and not is_missing(row[0])]
    numbers = len(first) > 2 and all(_is_amount(cell) for cell in first[1:])  # the first one may be a name
    own = _cells(line, dialect)[0]
    return numbers and not is_missing(own) and not _is_amount(own)


def _is_amount(cell: str) -> bool:
    value = amount_of(with_point(cell))
    return value == value


def without_notes(frame: Frame) -> tuple[Frame, tuple[str, ...]]:
    """The rows of a sheet without those at its end that have one cell with words alone, as no row above has.

    Args:
        frame: a sheet, its cells as they were read.
    """
    if len(frame.columns) < 3 or len(frame) < 2:
        return frame, ()
    filled = np.sum([~column.missing for column in frame.columns.values()], axis=0)
    end, first = len(frame), ""
    while end > 1 and filled[end - 1] == 1 and (words := _only_words(frame, end - 1)):
        end -= 1
        first = words
    if end == len(frame) or filled[:end].min() < 2:
        return frame, ()
    place = frame.place(end)
    single = end == len(frame) - 1
    what = "is no row: it stands" if single else "and those below are no rows: they stand"
    return frame[np.arange(end)], (f"{place} ({first}) {what} below the table (data.footer)",)


def _only_words(frame: Frame, row: int) -> str:
    """The words in the one filled cell of a row; empty where it is a number, or says what a row above says."""
    for column in frame.columns.values():
        if not column.missing[row]:
            if column.form != "text" or (column.values[:row] == column.values[row]).any():
                return ""
            words = column.levels[column.values[row]]
            return "" if _is_amount(words) else words
    return ""
