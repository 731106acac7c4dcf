"""Tables that are no plain text: parquet, Arrow, Excel, JSON, ARFF, and the sparse rows of svmlight."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nnlab.data.table.column import Column, Frame, as_column
from nnlab.data.table.delimited import TextOptions, join_frames, stream_frames
from nnlab.data.table.header import unique_names
from nnlab.data.table.opening import check_room, opened
from nnlab.data.table.series import series_column
from nnlab.data.table.spool import Spool
from nnlab.errors import UserError

if TYPE_CHECKING:
    import polars

ROWS = 1 << 19  # of a Parquet column that are read at a time
PIECE_OF_PARQUET = 160_000_000  # bytes that reading so many of them takes
NAMELESS = "__UNNAMED__"  # how polars calls the columns of a sheet without a name
TITLES = 20  # rows of a sheet that may stand above the names
MOST_CELLS = 250_000_000  # of a sparse table that are held as float64, 2 GB


def read_parquet(path: Path, spool: Spool | None = None) -> Frame:
    """A .parquet file; where there is a spool, a piece of a column at a time.

    Raises:
        UserError: it is damaged, or there is less memory than a piece takes: polars would end the process.
    """
    import polars

    if spool is None or path.suffix.lower() != ".parquet":
        return _from_polars(path, lambda stream: polars.read_parquet(stream))
    check_room(path, PIECE_OF_PARQUET)
    table = polars.scan_parquet(path, glob=False)
    names = _read(path, lambda _: table.collect_schema().names())
    count = _read(path, lambda _: table.select(polars.len()).collect().item())

    def pieces(position: int) -> Iterator[Column]:
        cells = table.select(polars.nth(position))
        for start in range(0, max(1, count), ROWS):
            part = cells.slice(start, ROWS)
            yield series_column(_read(path, lambda _, part=part: part.collect().to_series()))

    columns = {name: spool.put_pieces(pieces(position), position) for position, name in enumerate(names)}
    return Frame(columns, str(path))


def read_arrow(path: Path) -> Frame:
    """A .feather or .arrow file, or a stream of Arrow's."""
    import polars

    def read(stream: IO[bytes]) -> Any:
        content = stream.read()
        reader = polars.read_ipc if content.startswith(b"ARROW1") else polars.read_ipc_stream
        return reader(io.BytesIO(content))

    return _from_polars(path, read)


def read_excel(path: Path, header: bool | None) -> tuple[Frame, tuple[str, ...]]:
    """The first sheet of an .xlsx file that has rows, without titles above the names of its columns.

    Raises:
        UserError: it is damaged, or no sheet has rows.
    """
    import polars

    with opened(path) as stream:
        content = stream.read()
    if not content.startswith(b"PK"):  # as a .zip, which an .xlsx file is
        raise UserError(
            f"{path} is no .xlsx file inside; an old .xls or a web page of that name has to be saved as one"
        )
    whole = {"infer_schema_length": None, "drop_empty_rows": False}  # which rows are counted with

    def read(**options: Any) -> Any:
        return _read(path, lambda _: polars.read_excel(io.BytesIO(content), **options))

    sheets = read(sheet_id=0, has_header=header is not False, **whole)
    filled = [name for name, sheet in sheets.items() if sheet.height > sum(map(_is_empty, sheet.iter_rows()))]
    if not filled:
        raise UserError(f"{path} has no sheet with rows")
    table, said = sheets[filled[0]], []
    if filled[0] != next(iter(sheets)):
        said.append(f"the sheet `{filled[0]}`, the first that has rows")
    elif len(filled) > 1:
        said.append(f"the first of its {len(filled)} sheets that have rows, `{filled[0]}`; save another as a file")
    if header is None and any(name.startswith(NAMELESS) for name in table.columns):
        above = _rows_above(read(sheet_name=filled[0], has_header=False, **whole))
        if above:
            table = read(sheet_name=filled[0], read_options={"header_row": above}, **whole)
            what = (
                "the first row is none: it is a title"
                if above == 1
                else f"the first {above} rows are none: they are titles"
            )
            said.append(f"{what} (data.header)")
    names = unique_names(["" if name.startswith(NAMELESS) else name for name in table.columns])
    frame = _columns_of(table.rename(dict(zip(table.columns, names, strict=True))), path)
    kept = np.flatnonzero([not _is_empty(row) for row in table.iter_rows()])
    return dataclasses.replace(frame if len(kept) == len(frame) else frame[kept], in_sheet=True), tuple(said)


def _is_empty(row: Sequence[Any]) -> bool:
    """Whether a row of a sheet has no cell that is filled."""
    return all(cell is None for cell in row)


def _rows_above(table: polars.DataFrame) -> int:
    """How many rows of a sheet stand above its names: those at the top with half of the cells empty, or more."""
    filled = [sum(cell is not None for cell in row) for row in table.head(TITLES + 1).rows()]
    return next((row for row, count in enumerate(filled) if 2 * count > table.width), 0)


def _from_polars(path: Path, read: Callable[[IO[bytes]], Any]) -> Frame:
    """A table that polars reads, its columns as ours."""
    return _columns_of(_read(path, read), path)


def _columns_of(table: polars.DataFrame, path: Path) -> Frame:
    """A table of polars, its columns as ours."""
    return Frame({name: series_column(table[name]) for name in table.columns}, str(path))


def _read(path: Path, read: Callable[..., Any]) -> Any:
    """What polars reads from a file.

    Raises:
        UserError: it cannot.
    """
    import polars

    with opened(path) as stream:
        try:
            return read(stream)
        except (polars.exceptions.PolarsError, ValueError, RuntimeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"cannot read {path} ({str(error).splitlines()[0]})") from error
        except Exception as error:  # fastexcel's own errors have no common class
            if type(error).__module__.split(".")[0] not in ("fastexcel", "_fastexcel"):
                raise
            raise UserError(f"cannot read {path} ({str(error).splitlines()[0]})") from error


def read_json(path: Path) -> Frame:
    """Records or columns in JSON; records also one a line, or a single one. Fields of a nested record: `outer.inner`.

    Raises:
        UserError: it is no table.
    """
    with opened(path) as stream:
        text = stream.read().decode("utf-8-sig", errors="replace")
    try:
        content = json.loads(text)
    except ValueError:
        try:
            content = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise UserError(f"{path} is no JSON ({error})") from error
    records = _records(content)
    if records is None:
        raise UserError(
            f"{path} holds no table: it needs a list of records, {{name: value}}, or one list of cells for each name"
        )
    return Frame({name: as_column(name, cells) for name, cells in records.items()}, str(path))


def _records(content: Any) -> dict[str, Any] | None:
    """Cells by column from records, rows or columns; None where there is no table."""
    if isinstance(content, Mapping):
        return _columns_of_object(content)
    if not isinstance(content, list) or not content:
        return None
    if all(isinstance(row, list) for row in content):
        header = all(isinstance(cell, str) for cell in content[0]) and len(content) > 1
        names = unique_names(content[0]) if header else [str(i) for i in range(len(content[0]))]
        content = [dict(zip(names, row, strict=False)) for row in content[header:]]
    if not all(isinstance(row, Mapping) for row in content):
        return None
    flat = [_flattened(row) for row in content]
    names = list(dict.fromkeys(name for row in flat for name in row))
    return {name: _cells([row.get(name) for row in flat]) for name in names}


def _columns_of_object(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Cells by column from an object: columns, names beside rows, a table in one of its fields, or a single record."""
    kinds = [type(value) for value in content.values()]
    if any(kind is not dict for kind in kinds) and list not in kinds:
        return _records([content])
    if isinstance(content.get("columns"), list) and isinstance(content.get("data"), list):
        return _records([[str(name) for name in content["columns"]], *content["data"]])
    lists = {key: value for key, value in content.items() if isinstance(value, list | dict)}
    if lists and len(lists) == len(content) and len({len(value) for value in lists.values()}) == 1:
        values = [list(v.values()) if isinstance(v, dict) else v for v in lists.values()]
        if all(not isinstance(cell, dict | list) for value in values for cell in value):
            return {key: _cells(value) for key, value in zip(lists, values, strict=True)}
    tables = [value for value in content.values() if isinstance(value, list)]
    rows = [table for table in tables if table and all(isinstance(row, dict | list) for row in table)]
    if len(rows) == 1:
        return _records(rows[0])
    return _records([content]) if len(lists) < len(content) else None


def _flattened(row: Mapping[str, Any], outer: str = "") -> dict[str, Any]:
    """A record whose nested records have become fields of their own."""
    fields: dict[str, Any] = {}
    for key, value in row.items():
        inner = _flattened(value, f"{outer}{key}.") if isinstance(value, Mapping) else {f"{outer}{key}": value}
        fields.update(inner)
    return fields


def _cells(values: Sequence[Any]) -> Any:
    """The cells of a column as Python objects; lists become their text."""
    cells = np.empty(len(values), dtype=object)
    cells[:] = [json.dumps(value) if isinstance(value, list | dict) else value for value in values]
    return cells


def read_arff(path: Path) -> tuple[Frame, tuple[str, ...]]:
    """An .arff file of Weka with dense rows.

    Raises:
        UserError: there is no data section, or its rows are sparse.
    """
    with opened(path) as stream:
        content = stream.read()
    head, mark, body = _data_section(content)
    names = [
        match[1].strip("'\"")
        for match in re.finditer(r"(?im)^\s*@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s", head.decode(errors="replace"))
    ]
    if not mark or not names:
        raise UserError(f"{path} is no ARFF file: it needs @attribute lines and @data")
    if body.lstrip().startswith(b"{"):
        raise UserError(f"{path} has sparse rows, which are not read; save it with dense rows")
    line = (",".join(f'"{name}"' for name in unique_names(names)) + "\n").encode()
    rows = b"\n".join(each for each in body.split(b"\n") if each.strip() and not each.lstrip().startswith(b"%"))
    quote_mended = re.sub(rb"'((?:[^'\n\\]|\\.)*)'", _double_quoted, rows)
    options = TextOptions(separator=",", header=True, decimal=".")
    frames = list(stream_frames(io.BytesIO(line + quote_mended), str(path), options))
    said = frames[0][1]
    frame = join_frames([part for part, _ in frames])
    return frame, said


def _data_section(content: bytes) -> tuple[bytes, bytes, bytes]:
    """What stands before `@data`, the mark, and the rows."""
    match = re.search(rb"(?im)^\s*@data\s*$", content)
    return (content[: match.start()], match[0], content[match.end() :]) if match else (content, b"", b"")


def _double_quoted(match: re.Match[bytes]) -> bytes:
    """A cell in single quotes as one in double quotes."""
    return b'"' + match[1].replace(b"\\'", b"'").replace(b'"', b'""') + b'"'


def read_svmlight(path: Path) -> Frame:
    """Sparse rows `target index:value ...`, as svmlight and libsvm have them; the target column is called `target`.

    Raises:
        UserError: a row is damaged, or the table is too large when it is no longer sparse.
    """
    from sklearn.datasets import load_svmlight_file

    with opened(path) as stream:
        try:
            matrix, targets = load_svmlight_file(io.BytesIO(stream.read()))
        except ValueError as error:
            raise UserError(f"cannot read {path} ({error})") from error
    if matrix.shape[0] * matrix.shape[1] > MOST_CELLS:
        raise UserError(f"{path} has {matrix.shape[0]} rows of {matrix.shape[1]} columns, too many to be held in full")
    dense = matrix.toarray()
    columns = {str(i): Column(str(i), "number", dense[:, i]) for i in range(dense.shape[1])}
    return Frame({**columns, "target": as_column("target", targets)}, str(path))
