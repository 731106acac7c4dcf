"""Columns on disk while a large table is read: in memory there is one piece of the file, or one whole column."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nnlab.data.table.column import Column, Form, Frame, narrowed
from nnlab.data.table.joining import join_columns
from nnlab.storage.array_file import mapped_values, write_array
from nnlab.storage.files import explained


@dataclasses.dataclass(frozen=True)
class _Piece:
    """What is known of a column's part in one piece of the file; its cells are on disk."""

    form: Form
    count: int
    dtype: str
    levels: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Spool:
    """Where the columns of one table are written to.

    Attributes:
        folder: which is there.
        name: with which the names of the files begin.
    """

    folder: Path
    name: str = "column"

    def join(self, frames: Iterable[Frame]) -> Frame:
        """The pieces of a table behind one another, as `join_frames` does it in memory.

        Raises:
            WriteError: the disk is full.
        """
        written: dict[str, list[_Piece]] = {}
        first_lines = set()
        for frame in frames:
            origin, writing = frame.origin, frame.writing
            first_lines.add(frame.first_line)
            for position, (name, column) in enumerate(frame.columns.items()):
                written.setdefault(name, []).append(self._written(column, position))
        columns = {}
        for position, (name, each) in enumerate(written.items()):
            columns[name] = self._put(name, each, position, narrow=True)
        return Frame(columns, origin, None, first_lines.pop() if len(first_lines) == 1 else None, writing)

    def put_pieces(self, pieces: Iterable[Column], position: int) -> Column:
        """The pieces of one column behind one another, as they are, its cells on disk.

        Raises:
            WriteError: the disk is full.
        """
        written = []
        for piece in pieces:
            written.append(self._written(piece, position))
            name = piece.name
        return self._put(name, written, position, narrow=False)

    def _written(self, column: Column, position: int) -> _Piece:
        """Append a piece of a column to its part."""
        values, part = column.values, self._part(position)
        with explained(part), part.open("ab") as file:
            file.write(values.tobytes())
        return _Piece(column.form, len(column), values.dtype.str, column.levels)

    def _put(self, name: str, pieces: list[_Piece], position: int, narrow: bool) -> Column:
        """One column, on disk, from what was written of it; `narrow`: text that is made of numbers as numbers."""
        part = self._part(position)
        joined = _joined(name, pieces, part)
        column = self.put(narrowed(joined) if narrow else joined, position)
        part.unlink()
        return column

    def put(self, column: Column, position: int) -> Column:
        """The same column, its cells on disk."""
        path = self.folder / f"{self.name}-{position}.npy"
        write_array(path, np.asarray(column.values))
        return dataclasses.replace(column, values=mapped_values(path))

    def put_rows(self, frame: Frame) -> Frame:
        """Some rows of a table of this spool, in place of all of them."""
        others = dataclasses.replace(self, name=f"{self.name}-rows")
        columns = {name: others.put(frame.columns[name], i) for i, name in enumerate(frame.columns)}
        for path in self.folder.glob(f"{self.name}-[0-9]*.npy"):
            path.unlink()
        return dataclasses.replace(frame, columns=columns)

    def _part(self, position: int) -> Path:
        return self.folder / f"{self.name}-{position}.part"


def _joined(name: str, pieces: list[_Piece], path: Path) -> Column:
    """One column from what was written of it."""
    columns = []
    if pieces[0].form != "text" and len({(piece.form, piece.dtype) for piece in pieces}) == 1:
        pieces = [dataclasses.replace(pieces[0], count=sum(piece.count for piece in pieces))]  # joined as they lie
    with path.open("rb") as file:
        for piece in pieces:
            values = np.fromfile(file, np.dtype(piece.dtype), piece.count)
            columns.append(Column(name, piece.form, values, piece.levels))
    return join_columns(columns)
