"""`nnlab predict`: predictions of a whole file as CSV, piece by piece, so that memory does not grow with the file."""

from __future__ import annotations

import itertools
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nnlab.data.pipeline import Pipeline
from nnlab.data.table.column import Column
from nnlab.errors import UserError, did_you_mean
from nnlab.runs.examples import Piece, pieces
from nnlab.runs.prediction import Prediction, Predictor
from nnlab.statistics import conformal
from nnlab.storage.files import PART, explained
from nnlab.storage.spreadsheet import safe

if TYPE_CHECKING:
    import polars

log = logging.getLogger(__name__)

SEPARATOR = "; "  # between the classes of a set


@dataclass
class Summary:
    """What was predicted: rows, decisions by class, by column the cells that training had nothing like, and notes."""

    pipeline: Pipeline
    rows: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.sample = self.pipeline.sample()

    def sentences(self) -> Iterator[str]:
        """Lines for the user about how the file was read, cells that were unknown, and other units."""
        if self.notes:
            yield f"the file is read so: {'; '.join(self.notes)}"
        yield from self.pipeline.doubts(self.unseen, self.rows)
        yield from self.sample.doubts()

    def content(self) -> dict[str, Any]:
        """The summary as plain values."""
        return {"rows": self.rows, "classes": self.classes, "unseen": self.unseen, "notes": list(self.sentences())}


def predict_file(
    predictor: Predictor,
    source: str | Path,
    out: str | Path | None = None,
    id_column: str | None = None,
    coverage: float | None = None,
    text: Mapping[str, Any] | None = None,
) -> Summary:
    """Predict all examples of a file and write them as CSV.

    Args:
        predictor: the run.
        source: a table, arrays, a folder of images, or `-` for a table from standard input.
        out: a .csv or .tsv file; None: standard output.
        id_column: column of the table that stands beside the predictions; images have their `file`.
        coverage: with sets of classes, or intervals, that hold the truth so often; None: without.
        text: how a text table is written, as `nnlab.runs.examples.pieces` takes it.

    Raises:
        UserError: the source is missing or does not fit the run, or the output cannot be written.
    """
    config = predictor.networks.config
    found = pieces(source, predictor.pipeline, config["data"], text)
    if out is None:
        return _write(_Columns(predictor, id_column, coverage), found, sys.stdout.buffer, ",")
    path = Path(out)
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise UserError(f"`out` must end in .csv or .tsv, got {path}")
    if str(source) != "-" and path.exists() and path.samefile(source):
        raise UserError(f"`out` is the file that is read, {path}; give another one")
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        with explained(path), open(temporary, "wb") as file:
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            summary = _write(_Columns(predictor, id_column, coverage), found, file, separator)
        with explained(path):
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return summary


def predict_rows(
    predictor: Predictor,
    source: str | Path,
    id_column: str | None = None,
    coverage: float | None = None,
    text: Mapping[str, Any] | None = None,
) -> tuple[Summary, list[dict[str, Any]]]:
    """The rows that `predict_file` would write, by column.

    Raises:
        UserError: the source is missing or does not fit the run.
    """
    summary, columns = Summary(predictor.pipeline), _Columns(predictor, id_column, coverage)
    found = pieces(source, predictor.pipeline, predictor.networks.config["data"], text)
    return summary, [row for table in _tables(columns, found, summary) for row in table.to_dicts()]


def predicted(predictor: Predictor, source: str | Path) -> npt.NDArray[Any]:
    """Names of classes (n,), or numbers (n,) or (n, C), of all examples of a file or folder."""
    parts: list[npt.NDArray[Any]] = []
    notes: tuple[str, ...] = ()
    for piece in pieces(source, predictor.pipeline, predictor.networks.config["data"]):
        parts.append(predictor.predict(piece.inputs))
        notes = piece.notes
    if notes:
        log.info("%s is read so: %s", Path(source).name, "; ".join(notes))
    return np.concatenate(parts)


@dataclass(frozen=True)
class _Columns:
    """What stands in the output: an identifier, the prediction, and with a coverage its set or interval."""

    predictor: Predictor
    id_column: str | None
    coverage: float | None

    def __post_init__(self) -> None:
        if self.coverage is not None:
            self.predictor.limit(self.coverage)  # before anything is read

    def of(self, piece: Piece, prediction: Prediction) -> dict[str, Any]:
        """The columns by name, each with as many cells as the piece has examples."""
        columns = {**_id(piece, self.id_column), **prediction_columns(self.predictor, prediction)}
        return columns if self.coverage is None else {**columns, **self._bounds(prediction, self.coverage)}

    def _bounds(self, prediction: Prediction, coverage: float) -> dict[str, Any]:
        predictor, limit = self.predictor, self.predictor.limit(coverage)
        if predictor.classes_ is not None:
            inside = conformal.class_sets(prediction.values, limit)
            names = [safe(name) for name in predictor.targets]
            return {"set": [SEPARATOR.join(itertools.compress(names, row)) for row in inside.tolist()]}
        ends = predictor.interval(prediction.values, prediction.std, limit)
        single = len(predictor.targets) == 1
        return {
            word if single else f"{word} {name}": np.ascontiguousarray(end[:, c])
            for c, name in enumerate(predictor.targets)
            for word, end in zip(("lower", "upper"), ends, strict=True)
        }


def _write(columns: _Columns, found: Iterator[Piece], file: IO[bytes], separator: str) -> Summary:
    summary, first = Summary(columns.predictor.pipeline), True
    for table in _tables(columns, found, summary):
        table.write_csv(file, include_header=first, separator=separator)
        first = False
    file.flush()
    return summary


def _tables(columns: _Columns, found: Iterator[Piece], summary: Summary) -> Iterator[polars.DataFrame]:
    """The predictions of each piece; `summary` counts them."""
    import polars

    predictor = columns.predictor
    for piece in found:
        prediction = predictor.of_raw(piece.inputs)
        table = polars.DataFrame(columns.of(piece, prediction))
        table.columns = [safe(name) for name in table.columns]
        yield table
        summary.rows += len(piece)
        if (frame := predictor.pipeline.frame(piece.inputs)) is not None:
            summary.sample.add(frame)
        summary.notes = piece.notes
        summary.unseen.update(prediction.unseen)
        if predictor.classes_ is not None:
            decided = prediction.values.argmax(1)
            summary.classes.update({predictor.targets[c]: n for c, n in enumerate(np.bincount(decided).tolist()) if n})


def prediction_columns(predictor: Predictor, prediction: Prediction) -> dict[str, Any]:
    """Columns by name: the class with probabilities or scores, or the numbers with their standard deviations."""
    names, values = predictor.targets, prediction.values
    if predictor.classes_ is not None:
        safe_names = np.array([safe(name) for name in names], dtype=object)
        word = "probability" if predictor.loss.probabilistic else "score"
        scores = {f"{word} {name}": np.ascontiguousarray(values[:, c]) for c, name in enumerate(names)}
        return {"prediction": safe_names[values.argmax(1)].tolist(), **scores}
    single = len(names) == 1
    columns = {"prediction" if single else f"prediction {name}": values[:, c] for c, name in enumerate(names)}
    if prediction.std is not None:
        std = prediction.std
        columns |= {"std" if single else f"std {name}": std[:, c] for c, name in enumerate(names)}
    return {name: np.ascontiguousarray(value) for name, value in columns.items()}


def _id(piece: Piece, name: str | None) -> dict[str, Any]:
    """The column that says which example a row is; empty where none was asked for and none is there."""
    if name is None:
        name = "file" if list(piece.columns) == ["file"] else None
    if name is None:
        return {}
    if name not in piece.columns:
        if not piece.columns:
            raise UserError(f"`id={name}`: arrays have no columns by name")
        raise UserError(f"there is no column `{name}` (`id`); {did_you_mean(name, piece.columns)}")
    column = piece.columns[name]
    return {name: _cells(column)}


def _cells(column: Column) -> Sequence[str | None]:
    """The cells of a column as text that no spreadsheet takes for a formula; numbers as they are."""
    text = column.as_text()
    levels: list[str | None] = [safe(level) if column.form == "text" else level for level in text.levels]
    table = np.array([*levels, None], dtype=object)
    cells: list[str | None] = table[text.values].tolist()
    return cells
