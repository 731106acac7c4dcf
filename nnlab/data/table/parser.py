"""Pieces of a text table as columns, by polars: what looks like numbers at the start is parsed as numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlab.console import counted
from nnlab.data.table.amounts import number_of
from nnlab.data.table.column import EXACT, MISSING, Frame
from nnlab.data.table.dialect import BLANKS, Dialect, split_line
from nnlab.data.table.series import series_column
from nnlab.errors import UserError

if TYPE_CHECKING:
    import polars

SAMPLE_BYTES = 1 << 18
NULLS = sorted({form for word in MISSING for form in (word, word.upper(), word.title())} | {"NaN", "#N/A"} - {""})


def behind(block: bytes, lines: int) -> bytes:
    """A piece without its first lines."""
    at = 0
    for _ in range(lines):
        at = block.find(b"\n", at) + 1 or len(block)
    return block[at:]


class Parser:
    """Pieces of one file as frames.

    Args:
        dialect: how the file is written.
        sample: its first rows, which say which columns look like numbers.
        origin: what messages call the file.
        texts: columns that held texts in training, whose cells are texts though they may look like numbers.

    Attributes:
        headers: rows so far that were the header again, and left out.
    """

    def __init__(self, dialect: Dialect, sample: bytes, origin: str, texts: Collection[str] = ()) -> None:
        self.dialect, self.origin, self.headers = dialect, origin, 0
        sign, quote = re.escape(self._separator).encode(), dialect.quote.encode()
        blank = rb" +" if self._separator == "\t" else rb"[ \t]+"  # a tab that separates is an empty cell
        self._padding = re.compile(
            rb"(?:(?<=" + sign + rb")" + blank + rb"(?=" + quote + rb"))|"
            rb"(?:(?<=" + quote + rb")" + blank + rb"(?=" + sign + rb"))"
        )
        self.padded = bool(self._padding.search(sample[:SAMPLE_BYTES])) and dialect.separator not in BLANKS
        start = sample if len(sample) <= SAMPLE_BYTES else sample[: sample.rfind(b"\n", 0, SAMPLE_BYTES) + 1]
        self.numeric = [name for name in self._look_numeric(start) if name not in texts]

    def frame(self, block: bytes, line: int, row: int, lines: int) -> Frame:
        """The columns of a piece of so many lines, whose first line in the file is `line` and first row `row`."""
        exact = lines + (not block.endswith(b"\n"))
        if self.padded:
            block = self._padding.sub(b"", block)
        if self.dialect.separator in BLANKS or self.dialect.comment:
            block = self._tidied(block)
        parsed = self._parsed(block, line)
        if parsed.width and parsed.to_series(-1).null_count():  # short or blank lines, which polars fills up in silence
            tidy = self._tidied(block)
            self._check_lengths(tidy, line)
            parsed = parsed if len(tidy) == len(block) else self._parsed(tidy, line)
        parsed = self._without_headers(parsed)
        columns = {}
        for name in self.dialect.names:
            series = parsed.drop_in_place(name)
            columns[name] = series_column(series, self.dialect.decimals[name])
        first_line = line - row + 1 if exact == len(parsed) and line >= row else None
        return Frame(columns, self.origin, np.arange(row, row + len(parsed)), first_line, self.dialect.writing)

    def _without_headers(self, parsed: polars.DataFrame) -> polars.DataFrame:
        """The rows that do not say the names of all columns again, as files put behind one another have them."""
        import polars

        texts = [name for name, kind in parsed.schema.items() if kind == polars.String]
        if len(texts) < parsed.width or parsed.width < 2 or not (parsed.to_series(0) == texts[0]).any():
            return parsed
        again = parsed.select(polars.all_horizontal(polars.col(name) == name for name in texts)).to_series()
        self.headers += int(again.sum())
        return parsed.filter(~again.fill_null(False))

    def _look_numeric(self, sample: bytes) -> list[str]:
        """Names of the columns that hold numbers in the sample, without leading zeros, which codes have."""
        sample = self._padding.sub(b"", sample) if self.padded else sample
        lines = self._tidied(sample).decode(errors="replace").strip("\n").split("\n")[:500]
        rows = [self._cells(line) for line in lines]
        names = []
        for position, name in enumerate(self.dialect.names):
            cells = [row[position] for row in rows if position < len(row) and row[position] not in NULLS]
            if self.dialect.decimals[name] == ",":
                cells = [cell.replace(",", ".") for cell in cells]
            plain = (cell and number_of(cell) == number_of(cell) and not re.match(r"[+-]?0\d", cell) for cell in cells)
            if all(plain):
                names.append(name)
        return names

    def _cells(self, line: str) -> list[str]:
        """The cells of a tidied line."""
        separator = self._separator
        return split_line(line, separator, self.dialect.quote)

    def _tidied(self, block: bytes) -> bytes:
        """A piece without blank lines and comments, runs of blanks as tabs, and line ends of one kind."""
        block = block.replace(b"\r\n", b"\n")
        comment = self.dialect.comment.encode()
        if self.dialect.separator in BLANKS:
            return b"\n".join(self._tabbed(line) for line in block.split(b"\n") if _counts(line, comment))
        return b"\n".join(line for line in block.split(b"\n") if _counts(line, comment)) + b"\n"

    def _tabbed(self, line: bytes) -> bytes:
        """A line with one tab for each run of blanks outside of quotes."""
        if self.dialect.separator == " " and self.dialect.quote.encode() not in line:
            return b"\t".join(line.split())
        return "\t".join(split_line(line.decode(), self.dialect.separator, self.dialect.quote)).encode()

    @property
    def _separator(self) -> str:
        """The separator of tidied lines."""
        return "\t" if self.dialect.separator in BLANKS else self.dialect.separator

    def _parsed(self, block: bytes, line: int) -> polars.DataFrame:
        """A piece as polars reads it: numbers where the start looked so, unless a cell is none."""
        import polars

        text = dict.fromkeys(self.dialect.names, polars.String)
        try:
            parsed = self._read(block, text | dict.fromkeys(self.numeric, polars.Float64))
            long = [name for name in self.numeric if _is_long(parsed[name])]
            if not long:
                return parsed
            self.numeric = [name for name in self.numeric if name not in long]
            return self._parsed(block, line)
        except polars.exceptions.PolarsError:
            pass
        try:
            return self._read(block, text)
        except polars.exceptions.PolarsError:
            self._check_lengths(block, line)
        try:
            return self._read(self._requoted(block), text)
        except polars.exceptions.PolarsError as error:
            raise UserError(f"cannot read {self.origin} ({str(error).splitlines()[0]})") from error

    def _requoted(self, block: bytes) -> bytes:
        """A piece whose quotes stand around cells alone or are doubled, as polars wants it; some stood within cells."""
        quotes = {"delimiter": self._separator, "quotechar": self.dialect.quote}
        written = io.StringIO()
        rows = csv.reader(io.StringIO(block.decode(), newline=""), **quotes)  # type: ignore[arg-type]
        csv.writer(written, lineterminator="\n", **quotes).writerows(rows)  # type: ignore[arg-type]
        return written.getvalue().encode()

    def _read(self, block: bytes, schema: dict[str, Any]) -> polars.DataFrame:
        """polars' reader with our dialect; decimal commas are ours, as polars takes thousands such as 1.234 for 1.234.

        Raises:
            polars.exceptions.PolarsError: a cell is no number where one is wanted, or a row is too long.
        """
        import polars

        numbers = [name for name, kind in schema.items() if kind == polars.Float64]
        commas = [name for name in numbers if self.dialect.decimals[name] == ","]
        table = polars.read_csv(
            block,
            has_header=False,
            schema=schema | dict.fromkeys(commas, polars.String),
            separator=self._separator,
            quote_char=self.dialect.quote,
            null_values=NULLS,
            raise_if_empty=False,
        )
        for name in commas:
            cells = table[name]
            if not cells.str.contains(".", literal=True).any():
                table.replace_column(table.get_column_index(name), _numbers_with_comma(cells))
        return table

    def _check_lengths(self, block: bytes, line: int) -> None:
        """Refuse the first row of another length than the header; the number of its line is exact without comments."""
        width = len(self.dialect.names)
        separator = self._separator
        reader = csv.reader(io.StringIO(block.decode(), newline=""), delimiter=separator, quotechar=self.dialect.quote)
        before = 0
        for row in reader:
            if len(row) != width and row and not (len(row) == width + 1 and not row[-1].strip()):
                raise UserError(
                    f"{self.origin}: line {line + before + 1} has {counted(len(row), 'cell')}, where the table has "
                    f"{width} columns; complete it, put quotes around a cell that holds the separator, or take the "
                    "line out"
                )
            before = reader.line_num


def _numbers_with_comma(cells: polars.Series) -> polars.Series:
    """Texts with decimal commas as numbers; as they are where one is none."""
    import polars

    numbers = cells.str.strip_chars().str.replace(",", ".", literal=True).cast(polars.Float64, strict=False)
    return numbers if numbers.null_count() == cells.null_count() else cells


def _is_long(cells: polars.Series) -> bool:
    """Whether some numbers are so long that float64 may not hold all of their digits."""
    if not cells.dtype.is_float():
        return False
    return bool((cells.abs() >= EXACT).any())


def _counts(line: bytes, comment: bytes) -> bool:
    """Whether a line is a row: neither blank nor a comment."""
    stripped = line.strip()
    return bool(stripped) and not (comment and stripped.startswith(comment))
