"""How a text file writes its table: separator, quotes, decimal sign, comments, header; found from its first lines."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from nnlab.data.table.amounts import decimal_sign, number_of
from nnlab.data.table.column import is_missing
from nnlab.data.table.header import Header, find_header, header_row
from nnlab.data.table.writing import Writing, find_decimals

SAMPLE_LINES = 1000
RULED = 25  # lines among which rulers, and lines of empty cells, stand about the names
LEAST_SCORE = 0.6  # of a separator, below which rare ones are tried
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "blanks", "  ": "two blanks or more"}
RARE = {":": "colon", "~": "tilde", "^": "caret", "\x01": "the sign 1"}  # where no other does
BLANKS = (" ", "  ")
_COMMENT = re.compile(r"\s*(#|%|//)")
_RULER = re.compile(r"[\s|+:]*(?:[-=]{3,}[\s|+:]*)+")
_WORD = re.compile(r"""'[^']*'|"[^"]*"|\S+""")


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How to read a text table.

    Attributes:
        separator: one character; a blank stands for runs of blanks and tabs, two for runs of two or more.
        quote: the character around cells that hold the separator.
        comment: how lines start that are no rows; empty: none.
        skip: lines of the file before the first row, the header among them.
        decimals: by the name of each column, in their order, its decimal sign, `.` or `,`.
        named: whether the file names the columns.
        said: what was guessed, each with the key that overrules it.
    """

    separator: str
    quote: str
    comment: str
    skip: int
    decimals: Mapping[str, str]
    named: bool
    said: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.decimals)

    @property
    def writing(self) -> Writing:
        """What is kept of it, for other files of the same source."""
        return Writing(self.decimals, separator=self.separator, quote=self.quote, named=self.named)


def find_dialect(
    text: str,
    *,
    whole: bool,
    separator: str | None = None,
    decimal: str | None = None,
    header: bool | None = None,
    target: str | int | None = None,
    expected: Writing | None = None,
) -> Dialect:
    """The dialect of a table from the text at its start.

    Args:
        text: its first lines, the last one complete.
        whole: whether that is all of it.
        separator: where it is known, as in `Dialect`.
        decimal: where it is known.
        header: whether there is one, where it is known.
        target: the target column, whose name tells a header.
        expected: how the table of a training was written, which decides where the text does not.
    """
    expected = expected or Writing()
    lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n", SAMPLE_LINES + 1)]
    lines = lines[: SAMPLE_LINES + 1 if whole else SAMPLE_LINES]
    comment = _comment_of(lines)
    numbered = [
        (n, line)
        for n, line in enumerate(lines)
        if line.strip() and not _is_comment(line, comment) and not (n < RULED and is_ruler(line))
    ]
    body = [line for _, line in numbered]
    quote = _quote_of(body, expected.quote)
    chosen = separator or _separator_of(body, quote, expected)
    rows = [(numbered[at][0], row) for at, row in _rows(body, chosen, quote)]
    rows = [(n, row) for n, row in rows if n >= RULED or any(cell.strip() for cell in row)]
    whole = whole and len(lines) <= SAMPLE_LINES
    found = find_header(rows, whole=whole, header=header, target=target, expected=expected)
    found = _commented_header(lines, comment, chosen, quote, found) if header is None else found
    said = [*found.said]
    if separator is None and chosen not in (",", "\t", expected.separator):
        said.insert(0, f"cells are separated by {(SEPARATORS | RARE)[chosen]} (data.separator)")
    marked = [line for line in lines[found.skip :] if _is_comment(line, comment)]
    if marked and _are_rows(marked, [row for _, row in rows[found.rows :]], chosen, quote, len(found.names)):
        comment = ""
    elif marked:
        said.append(f"lines that begin with {comment} are comments, no rows (a cell that begins so stands in quotes)")
    decimals = dict.fromkeys(found.names, decimal or ".")
    if decimal is None:
        cells = [[cell.strip() for cell in row] for _, row in rows[found.rows :]]
        columns = {name: [row[i] for row in cells if i < len(row)] for i, name in enumerate(found.names)}
        decimals, notes = find_decimals(columns, expected, chosen)
        said += notes
    return Dialect(chosen, quote, comment, found.skip, decimals, found.named, tuple(said))


def is_ruler(line: str) -> bool:
    """Whether a line draws a line, as databases do below the names: `----+-----` or `|---|:--|`."""
    return _RULER.fullmatch(line) is not None and any(sign in line for sign in "-=")


def split_line(line: str, separator: str, quote: str) -> list[str]:
    """The cells of one line."""
    if separator == "  ":
        return [cell.strip(quote) for cell in re.split(r" {2,}|\t", line.strip())]
    if separator == " ":
        return [word[1:-1] if len(word) > 1 and word[0] == word[-1] == quote else word for word in _WORD.findall(line)]
    return next(csv.reader([line], delimiter=separator, quotechar=quote, skipinitialspace=True), [])


def _rows(lines: Sequence[str], separator: str, quote: str) -> list[tuple[int, list[str]]]:
    """The cells of each row, and the position in `lines` of the line on which it starts."""
    if separator in BLANKS:
        return [(at, split_line(line, separator, quote)) for at, line in enumerate(lines)]
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(lines, delimiter=separator, quotechar=quote, skipinitialspace=True)
    start = 0
    try:
        for row in reader:
            rows.append((start, row))
            start = reader.line_num
    except csv.Error:  # a cell beyond the limit of the csv module: the quotes are not quotes
        return [(at, line.split(separator)) for at, line in enumerate(lines)]
    return rows


def _comment_of(lines: Sequence[str]) -> str:
    """How lines of comment start: a sign that some lines start with, at the top or now and then, but few of them."""
    marks = Counter(match[1] for line in lines if (match := _COMMENT.match(line)))
    filled = sum(1 for line in lines if line.strip())
    for mark, count in marks.most_common():
        leading = next((line for line in lines if line.strip()), "").lstrip().startswith(mark)
        if count < filled and ((leading and count <= filled / 2) or count <= filled / 10):
            return mark
    return ""


def _is_comment(line: str, comment: str) -> bool:
    """Whether a line is no row."""
    return bool(comment) and line.lstrip().startswith(comment)


def _are_rows(marked: Sequence[str], others: Sequence[Sequence[str]], separator: str, quote: str, width: int) -> bool:
    """Whether lines that begin as comments do have as many cells as all others, whose first ones are words."""
    words = sum(1 for row in others if row and number_of(row[0]) != number_of(row[0]) and not is_missing(row[0]))
    if width < 2 or 2 * words < len(others):
        return False
    return all(len(split_line(line, separator, quote)) == width for line in marked)


def _commented_header(lines: Sequence[str], comment: str, separator: str, quote: str, found: Header) -> Header:
    """The header that the last comment above the table holds, where the table has none, as numpy writes it."""
    above = [line for line in lines[: found.skip] if _is_comment(line, comment)]
    if found.named or not above:
        return found
    names = [name.strip() for name in split_line(above[-1].lstrip().removeprefix(comment), separator, quote)]
    if len(names) != len(found.names) or any(number_of(name) == number_of(name) or not name for name in names):
        return found
    said = (f"the comment `{above[-1].strip()}` names the columns (data.header)",)
    return dataclasses.replace(found, names=tuple(names), named=True, said=said)


def _quote_of(lines: Sequence[str], expected: str) -> str:
    """Single quotes where cells stand in them and none in double quotes; a single one only where they are expected."""
    text = "\n".join(lines)
    single = len(re.findall(r"(?:^|[,;\t| ])'[^'\n]*'(?=$|[,;\t| ])", text, re.MULTILINE))
    double = len(re.findall(r'(?:^|[,;\t| ])"[^"]*"(?=$|[,;\t| ])', text, re.MULTILINE))
    return "'" if single > (expected != "'") and not double else '"'


def _separator_of(lines: Sequence[str], quote: str, expected: Writing) -> str:
    """The separator that gives rows of equal length with clean cells; a comma where nothing does.

    Where columns are expected, it is one that gives the most of their names, or else as many columns.
    """
    usual = [*SEPARATORS, *(sign for sign in RARE if sign == expected.separator)]
    rows = {separator: [row for _, row in _rows(lines, separator, quote)] for separator in usual}
    headers = {separator: header_row(each, expected) for separator, each in rows.items()}
    most = max(known for _, known in headers.values())
    likely = [separator for separator in usual if headers[separator][1] == most]
    if expected.named is False:
        count = len(expected.decimals)
        likely = [each for each in usual if _width(rows[each])[0] in (count - 1, count)] or likely
    least = 1 if most == 1 else 2
    scores = {separator: _score(rows[separator][headers[separator][0] :], least) for separator in likely}
    for separator in likely:
        if separator in BLANKS:
            scores[separator] *= 0.9  # blanks separate words in the cells of anything else
        if separator == expected.separator:
            scores[separator] *= 1.2
    best = max(scores, key=lambda separator: scores[separator])
    if not most and scores[best] < LEAST_SCORE:
        scores |= {separator: _score([row for _, row in _rows(lines, separator, quote)]) for separator in RARE}
        best = max(scores, key=lambda separator: scores[separator])
    return best if most or scores[best] > 0 else ","


def _width(rows: Sequence[list[str]]) -> tuple[int, int]:
    """The commonest length of rows, and how many have it."""
    return Counter(len(row) for row in rows).most_common(1)[0] if rows else (0, 0)


def _score(rows: Sequence[list[str]], least: int = 2) -> float:
    """How much a sample looks like a table, [0, 1]: share of rows of the commonest length, times clean cells.

    Args:
        rows: of the sample.
        least: cells of a row; where it is one, rows of the length of the first count.
    """
    width, common = _width(rows)
    if least == 1:
        width, common = len(rows[0]), sum(len(row) == len(rows[0]) for row in rows)
    if width < least:
        return 0.0
    cells = [cell for row in rows[:200] if len(row) == width for cell in row]
    return common / len(rows) * sum(map(_clean, cells)) / len(cells)


def _clean(cell: str) -> float:
    """Whether a cell is what stands between separators: a number, missing, or words without another separator."""
    text = cell.strip()
    if is_missing(text) or number_of(text) == number_of(text) or decimal_sign(text):
        return 1.0
    return 0.3 if _OTHER_SEPARATOR.search(text) else 0.95


_OTHER_SEPARATOR = re.compile(r"[;\t|]|\S,\S|\S {2,}\S")
