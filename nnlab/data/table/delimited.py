"""Text tables as columns: polars parses piece by piece, numbers straight to float64, text to codes.

Pieces bound the memory: at any time there are the columns read so far and one piece of the file. A column that looks
like numbers at the start is parsed as numbers; where that fails later, its piece is read again as text, and what the
whole column is, is decided at the end.
"""

from __future__ import annotations

import codecs
import dataclasses
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from nnlab.data.table.column import Column, Frame, narrowed
from nnlab.data.table.dialect import Dialect, find_dialect
from nnlab.data.table.footer import find_footer
from nnlab.data.table.joining import join_columns
from nnlab.data.table.opening import BLOCK, blocks, encoding_of, opened
from nnlab.data.table.parser import SAMPLE_BYTES, Parser, behind
from nnlab.data.table.spool import Spool
from nnlab.data.table.totals import without_totals
from nnlab.data.table.writing import Writing
from nnlab.errors import UserError
from nnlab.validation import check_choice

log = logging.getLogger(__name__)

SEPARATOR_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "blanks": " ", "blank": " "}


@dataclasses.dataclass(frozen=True)
class TextOptions:
    """What the user says about a text table; None: found from its start.

    Attributes:
        separator: one character, or comma, semicolon, tab, pipe, blanks.
        header: whether the first row names the columns.
        decimal: `.` or `,`.
        encoding: a name that Python knows, such as `latin-1`.
        footer: whether totals, and notes below the table, are looked for.
        target: the target column, whose name tells a header.
        expected: how the table of a training was written, which decides where the text does not.
    """

    separator: str | None = None
    header: bool | None = None
    decimal: str | None = None
    encoding: str | None = None
    footer: bool = True
    target: str | int | None = None
    expected: Writing = dataclasses.field(default_factory=Writing)

    def __post_init__(self) -> None:
        if self.decimal is not None:
            check_choice("decimal", self.decimal, (".", ","))
        if self.separator is not None and len(self.separator.encode()) != 1:
            check_choice("separator", self.separator, tuple(SEPARATOR_NAMES))


def read_text(path: Path, options: TextOptions, spool: Spool | None = None) -> tuple[Frame, tuple[str, ...]]:
    """All columns of a text table, on disk where there is a spool for them, and what was guessed.

    Raises:
        UserError: there are no rows, or rows of another length.
    """
    pieces = text_frames(path, options)
    said: list[str] = []
    if spool is None:
        parts = [_noting(piece, said) for piece in pieces]
        frame = parts[0] if len(parts) == 1 else join_frames(parts)
    else:
        frame = spool.join(_noting(piece, said) for piece in pieces)
    if options.footer:
        kept, totals = without_totals(frame)
        frame = spool.put_rows(kept) if spool is not None and totals else kept
        said += totals
    columns = {name: narrowed(column) for name, column in frame.columns.items()}
    return dataclasses.replace(frame, columns=_without_nameless_empty(columns)), tuple(said)


def _noting(piece: tuple[Frame, tuple[str, ...]], said: list[str]) -> Frame:
    """A piece of a table; what was guessed is put into `said`, once."""
    frame, lines = piece
    said += [line for line in lines if line not in said]
    return frame


def text_frames(path: Path, options: TextOptions, size: int = BLOCK) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    """A text table piece by piece, each with what was guessed; text that is made of numbers stays text here."""
    with opened(path) as stream:
        yield from stream_frames(stream, str(path), options, size)


def stream_frames(
    stream: IO[bytes], origin: str, options: TextOptions, size: int = BLOCK
) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    """As `text_frames`, of an open stream such as standard input."""
    start = stream.read(max(size, SAMPLE_BYTES))
    if start[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        raise UserError(f"{origin} is a web page, such as one that says why there is no file; get the table itself")
    stream = _Rejoined(start, stream)  # type: ignore[assignment]
    encoding = options.encoding or encoding_of(start)
    dialect: Dialect | None = None
    parser: Parser | None = None
    line = row = 0
    pieces = blocks(stream, encoding if options.encoding or encoding != "utf-8" else None, size=size)
    for block, is_last in _with_last(pieces):
        if b"\n" not in block:
            block = block.replace(b"\r", b"\n")
        if dialect is None:
            dialect = _dialect(block, len(block) >= len(start) - 4, options, origin)
            said = (*dialect.said, *_encoding_said(start, options))
            line, block = dialect.skip, behind(block, dialect.skip)
        if is_last and options.footer and (footer := find_footer(block, dialect)).size:
            block = block[: -footer.size]
            said = (*said, *filter(None, [footer.said(line + block.count(b"\n") + 1)]))
        if parser is None:
            parser = Parser(dialect, block, origin, options.expected.texts or ())
        lines = block.count(b"\n")
        frame = parser.frame(block, line, row, lines)
        if is_last and not row and options.footer:
            frame, totals = without_totals(frame)
            said = (*said, *totals)
        line, row = line + lines, row + len(frame)
        yield frame, said
    if dialect is None or parser is None:
        raise UserError(f"{origin} is empty; it needs rows of cells, with or without a header")
    if not row:
        raise UserError(f"{origin} has a header but no rows of data")
    if parser.headers:
        log.info("%s: the header stands again in %d of its rows, which are left out", Path(origin).name, parser.headers)


def _with_last(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Pieces of a text, each with whether it is the last."""
    before = next(pieces, None)
    for piece in pieces:
        if before is not None:
            yield before, False
        before = piece
    if before is not None:
        yield before, True


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
        expected=options.expected,
    )
    if not dialect.names:
        raise UserError(f"{origin} is empty; it needs rows of cells, with or without a header")
    return dialect


def _encoding_said(start: bytes, options: TextOptions) -> tuple[str, ...]:
    """What was guessed about the encoding."""
    if options.encoding is not None:
        return ()
    if (found := encoding_of(start)).startswith(("utf-16", "utf-32")):
        return (f"the text is {found[:6].upper()} (data.encoding)",)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the last letter may be cut
    except UnicodeDecodeError:
        return ("the text is no UTF-8 and taken for Latin-1 (data.encoding)",)
    return ()


def join_frames(frames: list[Frame]) -> Frame:
    """Pieces of one table behind one another; `frames` is emptied on the way, to bound the memory."""
    origin, names, writing = frames[0].origin, list(frames[0].columns), frames[0].writing
    first_line = frames[0].first_line if len({frame.first_line for frame in frames}) == 1 else None
    parts = [dict(frame.columns) for frame in frames]
    frames.clear()
    columns = {name: join_columns([part.pop(name) for part in parts]) for name in names}
    count = len(next(iter(columns.values()))) if columns else 0
    return Frame(columns, origin, np.arange(count), first_line, writing)


def _without_nameless_empty(columns: dict[str, Column]) -> dict[str, Column]:
    """The columns without empty ones at the ends that have no name: separators that begin, or end, every line."""
    count = len(columns)
    for position in (count - 1, 0):
        name = list(columns)[position]
        nameless = name in (f"column {position + 1}", str(position))
        if len(columns) > 1 and nameless and columns[name].missing.all():
            columns.pop(name)
    return columns
