"""Any table that people have, by its suffix, as columns."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from nnlab.data.table.codes import as_known
from nnlab.data.table.column import Column, Frame, narrowed
from nnlab.data.table.delimited import TextOptions, read_text, stream_frames, text_frames
from nnlab.data.table.footer import without_notes
from nnlab.data.table.formats import read_arff, read_arrow, read_excel, read_json, read_parquet, read_svmlight
from nnlab.data.table.opening import COMPRESSIONS, check_room, format_of
from nnlab.data.table.spool import Spool
from nnlab.data.table.texts import noted, pointed
from nnlab.data.table.times import find_times
from nnlab.data.table.totals import without_totals
from nnlab.data.table.units import find_units, mixed_currencies, other_currencies, without_unit
from nnlab.errors import UserError

log = logging.getLogger(__name__)

TEXT = (".csv", ".tsv", ".txt", ".tab", ".data", ".dat")
OTHERS = (".parquet", ".feather", ".arrow", ".xlsx", ".json", ".jsonl", ".ndjson", ".arff", ".svm", ".libsvm")
SUFFIXES = (*TEXT, *OTHERS)
# Bytes that are in memory, at least, for each of a file that is read as a whole; about half of what was measured.
AT_ONCE = {
    ".json": 7,
    ".jsonl": 8,
    ".ndjson": 8,
    ".arff": 5,
    ".svm": 6,
    ".libsvm": 6,
    ".feather": 1,
    ".arrow": 1,
    ".xlsx": 4,
}


def read_table(path: Path, options: TextOptions, spool: Spool | None = None) -> tuple[Frame, tuple[str, ...]]:
    """All columns of a file, and what was guessed, each with the key that overrules it.

    Text and parquet with a `spool` are read into files, a piece or a column at a time.

    Raises:
        UserError: the file is missing, damaged, empty or no table; or its suffix says nothing.
    """
    if not path.is_file():
        what = "is a folder; `data=image_folder` reads folders of images" if path.is_dir() else "does not exist"
        raise UserError(f"{path} {what}")
    suffix = format_of(path)
    if suffix not in SUFFIXES:
        raise UserError(
            f"{path} must end in {', '.join(SUFFIXES)}, each also with {', '.join(COMPRESSIONS)}; arrays in .npz and "
            ".npy files are read with `data=arrays`"
        )
    said: tuple[str, ...] = ()
    if suffix in AT_ONCE:
        check_room(path, AT_ONCE[suffix] * path.stat().st_size)
    if suffix in TEXT:
        frame, said = read_text(path, options, spool)
    elif suffix == ".arff":
        frame, said = read_arff(path)
    elif suffix == ".xlsx":
        frame, said = read_excel(path, options.header)
    elif suffix in (".json", ".jsonl", ".ndjson"):
        frame = read_json(path)
    elif suffix == ".parquet":
        frame = read_parquet(path, spool)
    else:
        readers = {".svm": read_svmlight, ".libsvm": read_svmlight}
        frame = readers.get(suffix, read_arrow)(path)
    if not len(frame):
        raise UserError(f"{path} has no rows of data")
    if suffix not in TEXT:
        frame, notes = without_notes(frame) if options.footer and suffix == ".xlsx" else (frame, ())
        frame, found = noted(frame, options.expected, "." if suffix == ".arff" else options.decimal)
        frame = _in_numbers(frame, spool)
        frame, totals = without_totals(frame) if options.footer else (frame, ())
        said = (*said, *found, *totals, *notes)
    if options.expected.decimals:
        return as_known(frame, options.expected), (*said, *other_currencies(frame, options.expected.units))
    for line in mixed_currencies(frame):
        log.warning("%s: %s", path.name, line)
    frame, units = _with_units(frame, options.target, spool)
    return frame, (*said, *units)


def _in_numbers(frame: Frame, spool: Spool | None) -> Frame:
    """The same table, texts that are made of numbers as numbers."""
    columns = {}
    for position, (name, column) in enumerate(frame.columns.items()):
        found = narrowed(pointed(column, frame.writing.decimals[name]))
        columns[name] = found if spool is None or found is column else spool.put(found, position)
    return dataclasses.replace(frame, columns=columns)


def _with_units(frame: Frame, target: str | int | None, spool: Spool | None) -> tuple[Frame, tuple[str, ...]]:
    """The same table, numbers with their unit in every cell as numbers, which columns hold texts noted; and a line."""
    units, said = find_units(frame, target)
    columns = dict(frame.columns)
    for position, (name, column) in enumerate(frame.columns.items()):
        if name in units and column.form == "text":
            bare = without_unit(column, units[name], frame.writing.decimals[name])
            found = Column(name, "number", bare.numbers())
            columns[name] = found if spool is None else spool.put(found, position)
    texts = [name for name, column in columns.items() if column.form == "text"]
    writing = dataclasses.replace(frame.writing, units=units, texts=texts)
    return dataclasses.replace(frame, columns=columns, writing=writing), said


def read_start(path: Path, options: TextOptions) -> Frame:
    """The first rows of a text table; other files whole."""
    if path.is_file() and format_of(path) in TEXT:
        frame = next(text_frames(path, options))[0]
        if not len(frame):
            raise UserError(f"{path} has no rows of data")
        frame = dataclasses.replace(frame, columns={name: narrowed(column) for name, column in frame.columns.items()})
        return _with_units(frame, options.target, None)[0]
    return read_table(path, options)[0]


def frames(
    source: Path | IO[bytes], options: TextOptions, rows: int = 65536
) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    """A table in pieces, each with what was guessed: text is read piece by piece, other files whole; a stream is text.

    Args:
        source: a file, or a stream of bytes such as standard input.
        options: what is known about a text table.
        rows: at most so many in a piece.
    """
    if not isinstance(source, Path):
        pieces = stream_frames(source, "standard input", options)
    elif source.is_file() and format_of(source) in TEXT:
        pieces = text_frames(source, options)
    else:
        pieces = iter([read_table(source, options)])
    times: dict[str, str | None] | None = None
    seen: dict[str, None] = {}
    for frame, said in pieces:
        if times is None:  # as the first piece has them, for a few rows at the end may say less
            times, dates = find_times(frame.columns, options.expected.times)
        seen |= dict.fromkeys((*said, *dates, *other_currencies(frame, options.expected.units)))
        frame = dataclasses.replace(frame, writing=dataclasses.replace(frame.writing, times=times))
        for start in range(0, len(frame), rows):
            piece = frame[np.arange(start, min(start + rows, len(frame)))]
            yield as_known(piece, options.expected), tuple(seen)
