"""A file as a stream of bytes, whatever it is compressed with, and its text in UTF-8, whatever it is encoded in."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import IO, Any, cast

from nnlab.errors import UserError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zip")
IN_PIECES = (".csv", ".parquet")  # among others; what needs little memory whatever its size
DAMAGED = (EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
BLOCK = 1 << 23  # bytes of text that are parsed at a time; larger ones leave the processor's cache


def format_of(path: Path) -> str:
    """The suffix that says the format, in lower case and without that of a compression; of a .zip its member's.

    >>> format_of(Path("Table.CSV.gz"))
    '.csv'
    """
    suffix = path.suffix.lower()
    if suffix == ".zip":
        suffix = PurePath(_member(path)).suffix.lower()
    elif suffix in COMPRESSIONS:
        suffix = path.with_suffix("").suffix.lower()
    return suffix


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The uncompressed bytes of a file.

    Raises:
        UserError: it cannot be read, is damaged, or is a .zip of several files.
    """
    try:
        with _open(path) as stream:
            yield stream
    except DAMAGED as error:
        raise UserError(f"{path} is damaged or cut off ({error}); get it again") from error
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror or error})") from error


def _open(path: Path) -> IO[bytes]:
    """The stream by the suffix of the compression."""
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return zipfile.ZipFile(path).open(_member(path))
    if suffix == ".zst":
        import zstandard

        return cast(IO[bytes], zstandard.open(path, "rb"))
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return cast(IO[bytes], openers.get(suffix, open)(path, "rb"))


def _member(path: Path) -> str:
    """The one file in a .zip; folders and what macOS adds do not count."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")]
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path} ({error})") from error
    if len(names) != 1:
        raise UserError(f"{path} must hold one table, but holds {len(names)} files; unpack it and name one of them")
    return names[0]


def check_room(path: Path, needed: int) -> None:
    """Refuse a file that cannot be read with the memory there is, which would end the process without a word.

    Args:
        path: the file.
        needed: bytes that reading it takes at least.

    Raises:
        UserError: says how much is free.
    """
    import torch

    from nnlab.device import free_memory

    free = free_memory(torch.device("cpu"))
    if needed > free:
        raise UserError(
            f"reading {path} takes {needed / 1e9:.2g} GB of memory or more, and {free / 1e9:.2g} GB are free"
            + ("" if format_of(path) in IN_PIECES else f"; as {' or '.join(IN_PIECES)} it is read in pieces")
        )


def encoding_of(start: bytes) -> str:
    """The encoding of a text from its first bytes: by its mark, by zeros between letters, or whether it is UTF-8."""
    marks: tuple[tuple[bytes, str], ...] = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"))
    marks = (*marks, (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
    for mark, encoding in marks:
        if start.startswith(mark):
            return encoding
    if start[:400].count(0) > len(start[:400]) // 4:
        return "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
    return "utf-8"


def decoded(block: bytes, encoding: str) -> tuple[bytes, str]:
    """Bytes that are UTF-8, and the encoding that they had: what is no UTF-8 is Latin-1 as Windows has it.

    Raises:
        UserError: the bytes are not in `encoding`, where it is another than UTF-8.
    """
    if encoding == "utf-8":
        if block.isascii():
            return block, encoding
        try:
            block.decode()
            return block, encoding
        except UnicodeDecodeError:
            encoding = "cp1252"
    try:
        return block.decode(encoding).encode(), encoding
    except (UnicodeDecodeError, LookupError) as error:
        if encoding == "cp1252":
            return block.decode("latin-1").encode(), "latin-1"
        raise UserError(f"the file is not in the encoding `{encoding}` ({error}); set `data.encoding`") from error


def blocks(stream: IO[bytes], encoding: str | None, quote: bytes = b'"', size: int = BLOCK) -> Iterator[bytes]:
    """A text in pieces of UTF-8 that end with a line, outside of quotes; line ends are as in the file.

    Args:
        stream: uncompressed bytes.
        encoding: of the text; None: found from its start, and Latin-1 from the first piece on that is not UTF-8.
        quote: the character within which a line end does not end a row.
        size: of a piece in bytes; one row may make it larger.
    """
    start = stream.read(size)
    encoding = encoding or encoding_of(start)
    if encoding not in ("utf-8", "cp1252", "latin-1"):
        decoder = codecs.getincrementaldecoder(encoding)()
        pieces = _pieces(start, stream, size, lambda data: decoder.decode(data, not data).encode())
    else:
        pieces = _pieces(start.removeprefix(codecs.BOM_UTF8), stream, size, lambda data: data)
    rest = b""
    for piece in pieces:
        rest += piece
        end = _row_end(rest, quote)
        if end:
            block, encoding = decoded(rest[:end], encoding if encoding in ("cp1252", "latin-1") else "utf-8")
            yield block
            rest = rest[end:]
    if rest.strip():
        yield decoded(rest, encoding if encoding in ("cp1252", "latin-1") else "utf-8")[0]


def _pieces(start: bytes, stream: IO[bytes], size: int, convert: Any) -> Iterator[bytes]:
    """All of a stream, converted; the decoder sees an empty piece at the end."""
    piece = start
    while piece:
        yield convert(piece)
        piece = stream.read(size)
    yield convert(b"")


def _row_end(data: bytes, quote: bytes) -> int:
    """Where the last complete row ends: behind the last line end that is not within quotes; 0 where there is none."""
    end = data.rfind(b"\n") + 1
    inside = data.count(quote, 0, end) % 2 if end and quote in data else 0
    while end and inside:
        before = data.rfind(b"\n", 0, end - 1) + 1
        inside = (inside + data.count(quote, before, end)) % 2
        end = before
    return end
