"""A data set at a glance: every column with its kind, gaps, values and what is done with it, and the target."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.data.raw import Raw
from nnlab.data.rules import ColumnRule
from nnlab.data.table.column import Column, Frame, number_name, time_name
from nnlab.data.table.encoding import Encoding, NumberEncoding
from nnlab.data.table.kinds import Finding, Kind
from nnlab.data.table.times import parse_times
from nnlab.streaming import MOST, READ, SAMPLED, Sized, at_once, pieces
from nnlab.types import Dataset, Task

BINS = 12
FEW_DIGITS = 8  # of a number, signs and points counted, that is shown as it is
EXAMPLES = 1000  # images of many that are looked at, fewer where they are large
Array = npt.NDArray[Any]
MOST_SHOWN = 200  # columns that are described one by one
LEVELS = 12  # most frequent levels in a histogram


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts of values: of numbers in bins of equal width, of words by their frequency, others together at the end."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class ColumnSummary:
    """A column.

    Attributes:
        name: its name.
        kind: what it is.
        missing: cells without a value.
        distinct: different values.
        low, high: of numbers and times as text; empty for words.
        example: a value.
        done: what is done with it, in words.
        used: whether it is an input.
        histogram: its values.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    low: str
    high: str
    example: str
    done: str
    used: bool
    histogram: Histogram


@dataclasses.dataclass(frozen=True)
class Summary:
    """A data set.

    Attributes:
        origin: where it comes from.
        rows: examples of each split.
        columns: the columns of the inputs, at most `MOST_SHOWN`.
        more: columns that are not described.
        image: shape of one example where the inputs are images; else None.
        inputs: numbers that the network sees of one example.
        task: what the target is.
        target: the targets of all splits, a class or number each; several regression targets one by one.
    """

    origin: str
    rows: Mapping[str, int]
    columns: tuple[ColumnSummary, ...]
    more: int
    image: tuple[int, ...] | None
    inputs: int
    task: Task
    target: tuple[ColumnSummary, ...]

    def to_json(self) -> dict[str, object]:
        """As JSON."""
        return {**dataclasses.asdict(self), "task": self.task.value}


def summarize(raw: Raw, dataset: Dataset) -> Summary:
    """The summary of a data set as read and as prepared."""
    columns = _columns(raw, dataset)
    shape = dataset.pipeline.rule.to_json().get("shape", ()) if dataset.pipeline else ()
    return Summary(
        raw.origin,
        {name: len(getattr(dataset, name)) for name in ("train", "validation", "test")},
        tuple(columns[:MOST_SHOWN]),
        max(0, len(columns) - MOST_SHOWN),
        tuple(shape) if len(shape) == 3 else None,
        dataset.input_size,
        raw.task,
        tuple(_target(raw)),
    )


def _columns(raw: Raw, dataset: Dataset) -> list[ColumnSummary]:
    """All columns of the inputs."""
    if isinstance(raw.frame, Frame):
        rule = dataset.pipeline.rule if dataset.pipeline else None
        encodings = {e.name: e for e in rule.encodings} if isinstance(rule, ColumnRule) else {}
        return [
            summarize_column(raw.frame.columns[name], finding, encodings.get(name))
            for name, finding in raw.kinds.items()
        ]
    if raw.inputs.ndim == 2:
        names = raw.columns or tuple(map(str, range(raw.inputs.shape[1])))
        return [
            _plain_column(name, values, "as it is") for name, values in zip(names, _vectors(raw.inputs), strict=True)
        ]
    few = raw.inputs.shape.numel() <= MOST
    count = len(raw.inputs) if few else at_once(raw.inputs, SAMPLED, min(EXAMPLES, len(raw.inputs)))
    channels = raw.inputs[torch.linspace(0, len(raw.inputs) - 1, count).long()].flatten(2).transpose(0, 1)
    return [
        _plain_column(f"channel {k}", _some(channels[k]), "0 ... 255 as 0 ... 1" if _is_bytes(raw) else "as it is")
        for k in range(len(channels))
    ]


def _is_bytes(raw: Raw) -> bool:
    return bool(raw.inputs.dtype == torch.uint8)


def _vectors(inputs: Sized) -> Iterator[Array]:
    """The columns (n,) of vectors (n, D), so many at a time as have few numbers: the inputs may lie on disk."""
    count = at_once(inputs, READ, len(inputs))
    width = max(1, MOST // len(inputs))
    for first in range(0, inputs.shape[1], width):
        block = torch.cat([piece[:, first : first + width] for piece in pieces(inputs, count)])
        yield from block.T.numpy()


def _some(pixels: Tensor, count: int = 1 << 20) -> Array:
    """At most so many numbers, evenly taken."""
    flat = pixels.reshape(-1)
    return np.asarray(flat[:: max(1, len(flat) // count)])


def _plain_column(name: str, values: Array, done: str) -> ColumnSummary:
    column = Column(name, "number", values.astype(np.float64))
    finding = Finding(Kind.NUMBER)
    return dataclasses.replace(summarize_column(column, finding, None), done=done, used=True)


def _target(raw: Raw) -> list[ColumnSummary]:
    """The targets, those of an own test split too."""
    targets = torch.cat([raw.targets, raw.test[1]]) if raw.test is not None else raw.targets
    if raw.task is Task.REGRESSION:
        names = raw.target_names
        return [_plain_column(name, targets[:, i].numpy(), "the target") for i, name in enumerate(names)]
    codes = targets.numpy().astype(np.int32)
    column = Column(raw.target_column or "target", "text", codes, raw.target_names)
    finding = Finding(Kind.CATEGORY)
    done = f"the target, {len(raw.target_names)} classes"
    return [dataclasses.replace(summarize_column(column, finding, None), done=done, used=True)]


def summarize_column(column: Column, finding: Finding, encoding: Encoding | None) -> ColumnSummary:
    """The summary of one column.

    Args:
        column: all of its cells.
        finding: its kind.
        encoding: what becomes of it; None where it is left out.
    """
    if finding.pattern is not None or (finding.kind is Kind.TIME and column.form == "text"):
        column = Column(column.name, "time", parse_times(column, finding.pattern))
    if finding.kind is Kind.NUMBER and column.form == "text":
        column = Column(column.name, "number", column.numbers())
    known = column.values[~column.missing]
    done = f"{encoding.rule()}" if encoding is not None else f"left out: {finding.why or 'no input'}"
    if column.form == "text":
        counts = np.bincount(known, minlength=len(column.levels))
        present = np.flatnonzero(counts)
        order = present[np.argsort(-counts[present], kind="stable")]
        low = high = ""
        example = column.levels[order[0]] if len(order) else ""
        distinct, histogram = len(present), _of_levels([column.levels[i] for i in order], counts[order].tolist())
    else:
        shown = time_name if column.form == "time" else _short
        low, high = (shown(float(each)) for each in (known.min(), known.max())) if len(known) else ("", "")
        example = shown(float(known[0])) if len(known) else ""
        distinct, histogram = len(np.unique(known)), _of_numbers(known, shown)
    missing = int(column.missing.sum())
    if missing and isinstance(encoding, NumberEncoding) and not encoding.indicator:
        done += f"; missing: the median {encoding.median:.6g}, as none is among the training rows"
    return ColumnSummary(
        column.name, str(finding.kind), missing, distinct, low, high, example, done, encoding is not None, histogram
    )


def _short(value: float) -> str:
    """A number with few digits: all that it has, where they are few; no power of ten below a million.

    >>> _short(9999.9), _short(0.123456789), _short(12345.678), _short(1e7)
    ('9999.9', '0.1235', '12346', '1e+07')
    """
    if abs(value) >= 1e6 or math.isinf(value):
        return f"{value:.4g}"
    own = number_name(value)
    return own if len(own) <= FEW_DIGITS else f"{value:.0f}" if abs(value) >= 1e3 else f"{value:.4g}"


def _of_levels(levels: Sequence[str], counts: Sequence[int]) -> Histogram:
    """The most frequent levels, and all others together."""
    if len(levels) <= LEVELS:
        return Histogram(tuple(levels), tuple(counts))
    kept = LEVELS - 1
    others = f"{len(levels) - kept} others"
    return Histogram((*levels[:kept], others), (*counts[:kept], sum(counts[kept:])))


def _of_numbers(values: Array, name: Callable[[float], str]) -> Histogram:
    """Bins of equal width; where there are few different values, one each."""
    distinct, counts = np.unique(values, return_counts=True) if len(values) < 100_000 else (values, values)
    if len(distinct) <= BINS:
        return Histogram(tuple(name(float(each)) for each in distinct), tuple(counts.tolist()))
    counts, edges = np.histogram(values, BINS)
    labels = tuple(f"{name(float(a))} ... {name(float(b))}" for a, b in itertools.pairwise(edges))
    return Histogram(labels, tuple(counts.tolist()))
