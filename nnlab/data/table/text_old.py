"""CSV files of numbers, with or without a header, in which every mistake is named by row and column."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnlab.errors import UserError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells of a file as text, row by row; `lines` are their line numbers in the file, counted from 1."""

    path: Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]

    def column(self, index: int) -> list[str]:
        """The cells of one column."""
        return [row[index] for row in self.rows]

    def numbers(self, indices: Sequence[int]) -> npt.NDArray[np.float64]:
        """The columns `indices` as finite numbers, (rows, columns) float64.

        Raises:
            UserError: a cell is empty, text, NaN or infinite; names the file, row, column and value.
        """
        try:
            values = np.array([[row[i] for i in indices] for row in self.rows], dtype=np.str_).astype(np.float64)
        except ValueError:
            values = np.full((1, 1), np.nan)
        if not np.isfinite(values).all():
            self._complain(indices)
        return values

    def _complain(self, indices: Sequence[int]) -> None:
        """Raise the error about the first cell that is no finite number."""
        bad = [(row, i) for row in range(len(self.rows)) for i in indices if not _is_finite(self.rows[row][i])]
        row, i = bad[0]
        more = f" ({len(bad)} such cells in all)" if len(bad) > 1 else ""
        raise UserError(
            f"{self.path}: row {self.lines[row]}, column `{self.columns[i]}` holds {self.rows[row][i]!r}, where a "
            f"finite number is needed{more}; correct it or leave the row out"
        )


def read_table(path: Path, target: str | int | None) -> tuple[Table, int]:
    """The cells of a CSV file and the index of its target column.

    The separator is the most frequent of comma, semicolon and tab in the first line. The first line is a header if it
    holds the name `target`, or if none of its cells outside the target column is a number; without a header, columns
    are called `0`, `1`, ...

    Args:
        path: a text file in UTF-8.
        target: name or index of the target column (negative: from the end); None: the last.

    Raises:
        UserError: no such file or column, no rows, or rows of different lengths.
    """
    lines, rows = _cells(path)
    width = len(rows[0])
    for line, row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise UserError(f"{path}: row {line} has {len(row)} cells, but row {lines[0]} has {width}; correct it")
    names = [cell.strip() for cell in rows[0]]
    index = _target_index(path, names, target)
    if _is_header(names, index, target):
        lines, rows = lines[1:], rows[1:]
    else:
        names = [str(i) for i in range(width)]
    if not rows:
        raise UserError(f"{path} has a header but no rows of data")
    if width < 2:
        raise UserError(f"{path} has a single column; it needs at least one for the inputs and one for the target")
    return Table(path, names, rows, lines), index


def _cells(path: Path) -> tuple[list[int], list[list[str]]]:
    """Line numbers and cells of all rows that are not blank."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
            numbered = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no CSV file in UTF-8 ({error})") from error
    if not numbered:
        raise UserError(f"{path} is empty; it needs rows of numbers, with or without a header")
    return [line for line, _ in numbered], [row for _, row in numbered]


def _target_index(path: Path, names: list[str], target: str | int | None) -> int:
    """Where the target column is."""
    if isinstance(target, str) and target in names:
        return names.index(target)
    if isinstance(target, str):
        raise UserError(f"{path} has no column `{target}` (`data.target`); {did_you_mean(target, names)}")
    index = -1 if target is None else target
    if not -len(names) <= index < len(names):
        raise UserError(f"`data.target` must be in [{-len(names)}, {len(names) - 1}] for {path}, got {target}")
    return index % len(names)


def _is_header(names: list[str], index: int, target: str | int | None) -> bool:
    """Whether the first row names the columns."""
    return isinstance(target, str) or not any(is_number(name) for i, name in enumerate(names) if i != index)


def is_number(cell: str) -> bool:
    """Whether a cell is a number, NaN and infinity included."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_finite(cell: str) -> bool:
    """Whether a cell is a finite number."""
    return is_number(cell) and math.isfinite(float(cell))
