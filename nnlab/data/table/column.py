"""One column of a table: numbers, truth values, times, or text as codes into its levels; missing cells are marked.

Whatever a table was read from (a file, a DataFrame, arrays by name) becomes columns of this form, so that kinds,
encodings and the target are written once. Text is dictionary-coded: a column of a million cells with three different
words is three words and a million small integers, and everything done to text is done once for each level.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnlab.data.table.amounts import PER_CENT, amount_of, is_amount, is_below_zero, is_code, sign_of
from nnlab.data.table.writing import Writing
from nnlab.storage.array_file import touched

Floats = npt.NDArray[np.float64]
Form = Literal["number", "truth", "time", "text"]

MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "nan", "null", "-nan", "<na>", ".", "nat"})
MISSING_NUMBERS = MISSING | {
    *("none", "nil", "missing", "-", "--", "---", "unknown", "*", "inf", "-inf", "+inf", "..", "...", "n.a.", "n.a"),
    *("n/d", "n.d.", "nd", "(null)", "\\n", "not available", "#ref!", "#value!", "#div/0!", "#name?", "#num!"),
}
EXACT = 1 << 53  # whole numbers beyond which float64 does not hold all of them
LOOKS = 1000  # texts of a column of amounts whose currencies are looked at
MANY_CELLS = 1 << 24  # of a table whose columns are taken one by one
TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0", "on", "ja", "j", "wahr", "oui", "vrai", "si", "sí", "sim"})
FALSE = frozenset({"false", "f", "no", "n", "0", "0.0", "off", "nein", "nej", "nee", "falsch", "non", "faux", "não"})


@dataclasses.dataclass(frozen=True)
class Column:
    """The cells of one column.

    Attributes:
        name: its name.
        form: `number`, `truth` (0 and 1), `time` (seconds since 1970-01-01) or `text`.
        values: (n,) float64 with NaN where missing; of text int32 codes, -1 where missing.
        levels: the different texts that the codes stand for; empty for the other forms.
        signs: of numbers that were texts, the currencies and per cent that stood beside them; empty for numbers but 0
            that had no per cent where others had.
    """

    name: str
    form: Form
    values: npt.NDArray[Any]
    levels: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: npt.NDArray[Any] | slice) -> Column:
        """The same column with these rows only; levels keep their codes."""
        return dataclasses.replace(self, values=self.values[rows])

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """(n,) where a cell is missing; of numbers also where it is infinite."""
        return self.values < 0 if self.form == "text" else ~np.isfinite(self.values)

    def numbers(self, parse: Callable[[str], float] | None = None) -> Floats:
        """The cells as float64, NaN where they are missing or no number.

        Args:
            parse: from a text to a number or NaN; None: as numbers are written.
        """
        if self.form != "text":
            return np.where(np.isfinite(self.values), self.values, np.nan)
        return self.by_level([(parse or amount_of)(text) for text in self.levels], np.nan)

    def by_level(self, values: Sequence[float], missing: float) -> Floats:
        """(n,) float64 with the value of each cell's level, and `missing` for missing cells (text only)."""
        table: Floats = np.append(np.asarray(values, dtype=np.float64), missing)
        cells: Floats = table[self.values]
        return cells

    def as_text(self) -> Column:
        """The column as text, numbers as they are written shortest: 3 for 3.0."""
        if self.form == "text":
            return self
        finite = np.isfinite(self.values)
        found, codes = np.unique(self.values[finite], return_inverse=True)
        whole = np.full(len(self.values), -1, dtype=np.int32)
        whole[finite] = codes
        name = time_name if self.form == "time" else truth_name if self.form == "truth" else number_name
        return Column(self.name, "text", whole, tuple(name(value) for value in found.tolist()))


def narrowed(column: Column) -> Column:
    """Text that is made of numbers as numbers: as they are written, or with thousands, currency and per cent.

    Codes with leading zeros, such as 01234, stay text, and so does what has fewer numbers than other words.
    """
    if column.form != "text" or not column.levels:
        return column
    values = [math.nan if level.lower() in MISSING_NUMBERS else amount_of(level) for level in column.levels]
    words = [level for level, value in zip(column.levels, values, strict=True) if value != value]
    if len(words) == len(values) or any(word.lower() not in MISSING_NUMBERS for word in words):
        return column
    if all(map(is_below_zero, set(column.levels) - set(words))):  # (1), (2), ... number something
        return column
    if any(map(is_code, column.levels)) or _loses_digits(column.levels, values):
        return column
    return Column(column.name, "number", column.by_level(values, math.nan), signs=signs_of(column.levels))


def signs_of(levels: Sequence[str]) -> tuple[str, ...]:
    """The currencies and per cent in some of the texts, and empty where numbers beside per cent have none."""
    some = levels[:: 1 + len(levels) // LOOKS]
    signs = {sign_of(level) for level in some}
    if PER_CENT not in signs or not any(amount_of(level) and not sign_of(level) for level in some if is_amount(level)):
        signs.discard("")
    return tuple(sorted(signs))


def _loses_digits(levels: Sequence[str], values: Sequence[float]) -> bool:
    """Whether texts are whole numbers of which some are too long for float64, as identifiers of 18 digits are."""
    long = [level for level, value in zip(levels, values, strict=True) if abs(value) >= EXACT and level.isdecimal()]
    if not any(int(level) != int(float(level)) for level in long):
        return False
    return all(level.lstrip("+-").isdecimal() or value != value for level, value in zip(levels, values, strict=True))


def truth_of(text: str) -> float:
    """A text as 1 or 0, or NaN where it is no truth value."""
    word = text.strip().lower()
    return 1.0 if word in TRUE else 0.0 if word in FALSE else math.nan


def number_name(value: float) -> str:
    """A number as text, without a fraction where it has none.

    >>> number_name(3.0), number_name(0.25)
    ('3', '0.25')
    """
    return str(int(value)) if value == math.floor(value) and abs(value) < 1e16 else repr(value)


def plain(text: str) -> str:
    """A text that is an amount as a column of numbers would name it; any other as it is.

    >>> plain("5.50 €"), plain("x5"), plain("05")
    ('5.5', 'x5', '05')
    """
    value = amount_of(text)
    return text if value != value or is_code(text) else number_name(value)


def truth_name(value: float) -> str:
    """0 and 1 as False and True."""
    return str(bool(value))


def time_name(value: float) -> str:
    """Seconds since 1970 as a date, or as a date and time."""
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=value)
    return str(moment.date()) if value % 86400 == 0 else str(moment)


def is_missing(text: str) -> bool:
    """Whether a text says that there is no value: empty, NA, NaN, ?, null and the like."""
    return text.strip().lower() in MISSING


def text_column(name: str, cells: Sequence[str | None]) -> Column:
    """A column from texts; None, and what says that it is missing, is missing."""
    codes: dict[str | None, int] = {}
    order = np.fromiter((codes.setdefault(cell, len(codes)) for cell in cells), dtype=np.int32, count=len(cells))
    return coded_column(name, order, list(codes))


def coded_column(name: str, codes: npt.NDArray[Any], levels: Sequence[str | None]) -> Column:
    """A column from codes and what they stand for: levels are stripped, sorted and joined; missing ones become -1."""
    stripped = [None if level is None or is_missing(level) else level.strip() for level in levels]
    kept = sorted({level for level in stripped if level is not None})
    positions = {level: position for position, level in enumerate(kept)}
    table = np.array([-1 if level is None else positions[level] for level in stripped] + [-1], dtype=np.int32)
    return Column(name, "text", table[codes], tuple(kept))


def as_column(name: str, values: Any) -> Column:
    """A column from anything that numpy takes: an array, a Series of pandas or polars, a tensor, a list."""
    if isinstance(values, Column):
        return dataclasses.replace(values, name=name)
    array = np.asarray(values)
    if array.ndim != 1:
        array = array.reshape(len(array), -1)[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array.ravel()
    if array.dtype.kind in "iu" and array.size and max(abs(int(array.min())), abs(int(array.max()))) >= EXACT:
        return narrowed(text_column(name, array.astype(str).tolist()))
    if array.dtype.kind in "iuf":
        return Column(name, "number", array.astype(np.float64))
    if array.dtype.kind == "b":
        return Column(name, "truth", array.astype(np.float64))
    if array.dtype.kind == "M":
        return Column(name, "time", _seconds(array))
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    return _from_objects(name, array.tolist())


def _from_objects(name: str, cells: list[Any]) -> Column:
    """A column from Python objects: the narrowest form that holds all of them."""
    cells = [None if _is_nothing(cell) else cell for cell in cells]
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds and all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return Column(name, "truth", np.array([math.nan if cell is None else float(cell) for cell in cells]))
    if kinds and all(issubclass(kind, int | np.integer) for kind in kinds) and any(abs(c or 0) >= EXACT for c in cells):
        return narrowed(text_column(name, [None if cell is None else str(cell) for cell in cells]))
    if kinds and all(issubclass(kind, int | float | np.number) for kind in kinds):
        return Column(name, "number", np.array([math.nan if cell is None else float(cell) for cell in cells]))
    if kinds and all(issubclass(kind, datetime.date) for kind in kinds):
        return Column(name, "time", _seconds(np.array(cells, dtype="datetime64[us]")))
    return text_column(name, [None if cell is None else str(cell) for cell in cells])


def _is_nothing(cell: Any) -> bool:
    """Whether a Python object stands for no value: None, NaN, and the marks of pandas."""
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and cell != cell)


def _seconds(moments: npt.NDArray[Any]) -> Floats:
    """datetime64 as seconds since 1970, NaN where it is not a time."""
    exact = moments.astype("datetime64[us]")
    return np.where(np.isnat(exact), np.nan, exact.astype(np.int64) / 1e6)


@dataclasses.dataclass(frozen=True)
class Frame:
    """Columns of equal length, as they were read.

    Attributes:
        columns: by name, in the order of the source.
        origin: what messages call the source, such as a file name.
        rows: (n,) position of each row in the source, counted from 0; None: they are all there in their order.
        first_line: line of the file in which the first row stands, counted from 1, where every row is one line.
        writing: how the source writes its numbers, if it writes them.
        in_sheet: whether it is a sheet, whose first row stands below names, and they perhaps below titles.
    """

    columns: Mapping[str, Column]
    origin: str
    rows: npt.NDArray[Any] | None = None
    first_line: int | None = None
    writing: Writing = dataclasses.field(default_factory=Writing)
    in_sheet: bool = False

    def __len__(self) -> int:
        if isinstance(self.columns, _Taken):
            return len(self.columns.rows)
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def __getitem__(self, rows: Any) -> Frame:
        """The same columns with these rows only: positions or a mask, as an array or a tensor, or a slice."""
        rows = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        columns: Mapping[str, Column] = _Taken(self.columns, rows)
        if len(self) * len(self.columns) <= MANY_CELLS:
            columns = dict(columns)
        return dataclasses.replace(self, columns=columns, rows=rows if self.rows is None else self.rows[rows])

    def place(self, row: int) -> str:
        """How a message names a row: by its line in the file, or by its number among all rows, counted from 1."""
        position = int(row if self.rows is None else self.rows[row])
        if self.first_line is not None:
            return f"line {self.first_line + position}"
        return f"row {1 + position}" + (" below the names" if self.in_sheet else "")


class _Taken(Mapping[str, Column]):
    """Some rows of columns, taken anew whenever one is asked for: of a large table, never all are in memory."""

    def __init__(self, columns: Mapping[str, Column], rows: npt.NDArray[Any]) -> None:
        self._columns, self.rows = columns, rows

    def __getitem__(self, name: str) -> Column:
        touched(self._columns[name].values.nbytes)
        return self._columns[name].take(self.rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def as_frame(columns: Any, origin: str = "the table") -> Frame:
    """A frame from a frame, a mapping from names to arrays, or a DataFrame of pandas or polars."""
    if isinstance(columns, Frame):
        return columns
    names = list(columns.keys()) if hasattr(columns, "keys") else list(columns.columns)
    return Frame({str(name): as_column(str(name), columns[name]) for name in names}, origin)
