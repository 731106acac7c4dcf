"""Text tables as columns: polars parses piece by piece, numbers straight to float64, text to codes.

Pieces bound the memory: at any time there are the columns read so far and one piece of the file. A column that looks
like numbers at the start is parsed as numbers; where that fails later, its piece is read again as text, and what the
whole column is, is decided at the end.
"""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nnlab.data.table.column import MISSING, Column, Frame, narrowed, number_of
from nnlab.data.table.dialect import BLANKS, Dialect, find_dialect, split_line
from nnlab.data.table.joining import join_columns
from nnlab.data.table.opening import BLOCK, blocks, encoding_of, opened
from nnlab.data.table.series import series_column
from nnlab.data.table.spool import Spool
from nnlab.errors import UserError

if TYPE_CHECKING:
    import polars

SAMPLE_BYTES = 1 << 18
NULLS = sorted({form for word in MISSING for form in (word, word.upper(), word.title())} | {"NaN", "#N/A"} - {""})
SEPARATOR_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "blanks": " ", "blank": " "}


@dataclasses.dataclass(frozen=True)
class TextOptions:
    """What the user says about a text table; None: found from its start.

    Attributes:
        separator: one character, or comma, semicolon, tab, pipe, blanks.
        header: whether the first row names the columns.
        decimal: `.` or `,`.
        encoding: a name that Python knows, such as `latin-1`.
        target: the target column, whose name tells a header.
    """

    separator: str | None = None
    header: bool | None = None
    decimal: str | None = None
    encoding: str | None = None
    target: str | int | None = None


def read_text(path: Path, options: TextOptions, spool: Spool | None = None) -> tuple[Frame, tuple[str, ...]]:
    """All columns of a text table, on disk where there is a spool for them, and what was guessed.

    Raises:
        UserError: there are no rows, or rows of another length.
    """
    if spool is not None:
        stream = text_frames(path, options)
        first, said = next(stream)
        joined = spool.join(itertools.chain([first], (frame for frame, _ in stream)))
        return dataclasses.replace(joined, columns=_without_nameless_empty(dict(joined.columns))), said
    frames = list(text_frames(path, options))
    frame, said = frames[0] if len(frames) == 1 else (None, frames[0][1])
    parts = [part for part, _ in frames]
    frames.clear()
    frame = frame or join_frames(parts)
    columns = {name: narrowed(column) for name, column in frame.columns.items()}
    return dataclasses.replace(frame, columns=_without_nameless_empty(columns)), said


def text_frames(path: Path, options: TextOptions, size: int = BLOCK) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    """A text table piece by piece, each with what was guessed; text that is made of numbers stays text here."""
    with opened(path) as stream:
        yield from stream_frames(stream, str(path), options, size)


def stream_frames(
    stream: IO[bytes], origin: str, options: TextOptions, size: int = BLOCK
) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    """As `text_frames`, of an open stream such as standard input."""
    start = stream.read(max(size, SAMPLE_BYTES))
    stream = _Rejoined(start, stream)  # type: ignore[assignment]
    encoding = options.encoding or encoding_of(start)
    dialect: Dialect | None = None
    line = row = 0
    for block in blocks(stream, encoding if options.encoding or encoding != "utf-8" else None, size=size):
        if b"\n" not in block:
            block = block.replace(b"\r", b"\n")
        if dialect is None:
            dialect = _dialect(block, len(block) >= len(start) - 4, options, origin)
            said = (*dialect.said, *_encoding_said(start, options))
            parser = Parser(dialect, block, origin)
            line, block = dialect.skip, _behind(block, dialect.skip)
        lines = block.count(b"\n")
        frame = parser.frame(block, line, row, lines)
        line, row = line + lines, row + len(frame)
        yield frame, said
    if dialect is None:
        raise UserError(f"{origin} is empty; it needs rows of cells, with or without a header")
    if not row:
        raise UserError(f"{origin} has a header but no rows of data")


class _Rejoined(io.RawIOBase):
    """A stream from whose start something was read already."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start, self._rest = start, rest

    def read(self, size: int = -1) -> bytes:
        if self._start:
            piece, self._start = self._start[:size], self._start[size:]
            return piece
        return self._rest.read(size)


def _dialect(block: bytes, whole: bool, options: TextOptions, origin: str) -> Dialect:
    """The dialect from the first piece."""
    end = block.rfind(b"\n", 0, SAMPLE_BYTES) + 1 if len(block) > SAMPLE_BYTES else 0
    text = (block[:end] if end else block).decode()
    separator = options.separator and SEPARATOR_NAMES.get(options.separator, options.separator)
    dialect = find_dialect(
        text,
        whole=whole and not end,
        separator=separator,
        decimal=options.decimal,
        header=options.header,
        target=options.target,
    )
    if not dialect.names:
        raise UserError(f"{origin} is empty; it needs rows of cells, with or without a header")
    return dialect


def _encoding_said(start: bytes, options: TextOptions) -> tuple[str, ...]:
    """What was guessed about the encoding."""
    if options.encoding is not None:
        return ()
    if encoding_of(start).startswith("utf-16"):
        return ("the text is UTF-16 (data.encoding)",)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the last letter may be cut
    except UnicodeDecodeError:
        return ("the text is no UTF-8 and taken for Latin-1 (data.encoding)",)
    return ()


def _behind(block: bytes, lines: int) -> bytes:
    """A piece without its first lines."""
    at = 0
    for _ in range(lines):
        at = block.find(b"\n", at) + 1 or len(block)
    return block[at:]


class Parser:
    """Pieces of one file as frames.

    Args:
        dialect: how the file is written.
        sample: its start, which says which columns look like numbers.
        origin: what messages call the file.
    """

    def __init__(self, dialect: Dialect, sample: bytes, origin: str) -> None:
        self.dialect, self.origin = dialect, origin
        sign, quote = re.escape(self._separator).encode(), dialect.quote.encode()
        self._padding = re.compile(
            rb"(?:(?<=" + sign + rb")[ \t]+(?=" + quote + rb"))|(?:(?<=" + quote + rb")[ \t]+(?=" + sign + rb"))"
        )
        self.padded = bool(self._padding.search(sample[:SAMPLE_BYTES])) and dialect.separator not in BLANKS
        self.numeric = self._look_numeric(_behind(sample, dialect.skip)[:SAMPLE_BYTES])

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
        columns = {}
        for name in self.dialect.names:
            series = parsed.drop_in_place(name)
            columns[name] = series_column(series, self.dialect.decimal)
        first_line = line - row + 1 if exact == len(parsed) and line >= row else None
        return Frame(columns, self.origin, np.arange(row, row + len(parsed)), first_line)

    def _look_numeric(self, sample: bytes) -> list[str]:
        """Names of the columns that hold numbers in the sample, without leading zeros, which codes have."""
        sample = self._padding.sub(b"", sample) if self.padded else sample
        lines = self._tidied(sample).decode(errors="replace").splitlines()[:-1][:500]
        rows = [self._cells(line) for line in lines]
        names = []
        for position, name in enumerate(self.dialect.names):
            cells = [row[position] for row in rows if position < len(row) and row[position] not in NULLS]
            plain = (cell and number_of(cell) == number_of(cell) and not re.match(r"[+-]?0\d", cell) for cell in cells)
            if all(plain):
                names.append(name)
        return names

    def _cells(self, line: str) -> list[str]:
        """The cells of a tidied line."""
        separator = self._separator
        cells = split_line(line, separator, self.dialect.quote)
        return [cell.replace(",", ".") for cell in cells] if self.dialect.decimal == "," else cells

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
            return self._read(block, text | dict.fromkeys(self.numeric, polars.Float64))
        except polars.exceptions.PolarsError:
            pass
        try:
            return self._read(block, text)
        except polars.exceptions.PolarsError as error:
            self._check_lengths(block, line)
            raise UserError(f"cannot read {self.origin} ({str(error).splitlines()[0]})") from error

    def _read(self, block: bytes, schema: dict[str, Any]) -> polars.DataFrame:
        """polars' reader with our dialect."""
        import polars

        return polars.read_csv(
            block,
            has_header=False,
            schema=schema,
            separator=self._separator,
            quote_char=self.dialect.quote,
            decimal_comma=self.dialect.decimal == ",",
            null_values=NULLS,
            raise_if_empty=False,
        )

    def _check_lengths(self, block: bytes, line: int) -> None:
        """Refuse the first row of another length than the header; the number of its line is exact without comments."""
        width = len(self.dialect.names)
        separator = self._separator
        reader = csv.reader(io.StringIO(block.decode(), newline=""), delimiter=separator, quotechar=self.dialect.quote)
        before = 0
        for row in reader:
            if len(row) != width and row and not (len(row) == width + 1 and not row[-1].strip()):
                raise UserError(
                    f"{self.origin}: line {line + before + 1} has {_cells_of(row)}, where the table has {width} "
                    "columns; complete it, put quotes around a cell that holds the separator, or take the line out"
                )
            before = reader.line_num


def _counts(line: bytes, comment: bytes) -> bool:
    """Whether a line is a row: neither blank nor a comment."""
    stripped = line.strip()
    return bool(stripped) and not (comment and stripped.startswith(comment))


def join_frames(frames: list[Frame]) -> Frame:
    """Pieces of one table behind one another; `frames` is emptied on the way, to bound the memory."""
    origin, names = frames[0].origin, list(frames[0].columns)
    first_line = frames[0].first_line if len({frame.first_line for frame in frames}) == 1 else None
    parts = [dict(frame.columns) for frame in frames]
    frames.clear()
    columns = {name: join_columns([part.pop(name) for part in parts]) for name in names}
    count = len(next(iter(columns.values()))) if columns else 0
    return Frame(columns, origin, np.arange(count), first_line)


def _without_nameless_empty(columns: dict[str, Column]) -> dict[str, Column]:
    """The columns without an empty one at the end that has no name: a separator that ends every line."""
    last = list(columns)[-1]
    if last == f"column {len(columns)}" and columns[last].missing.all():
        columns.pop(last)
    return columns


def _cells_of(row: Sequence[str]) -> str:
    """The number of cells in words."""
    return "1 cell" if len(row) == 1 else f"{len(row)} cells"
