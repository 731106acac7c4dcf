"""The rows of another file as those of the training file: read alike, in its classes; and what is new in them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nnlab.console import counted
from nnlab.data.raw import Raw
from nnlab.data.table import plan
from nnlab.data.table.column import Column, Frame, plain, truth_of
from nnlab.data.table.kinds import Finding, Kind
from nnlab.data.table.ranges import other_unit, range_of
from nnlab.data.table.times import find_times, unread
from nnlab.errors import UserError
from nnlab.types import Task

SHOWN = 3  # words and columns that are named

log = logging.getLogger(__name__)


def with_times(frame: Frame, kinds: Mapping[str, Finding], name: str) -> Frame:
    """The columns of a test file as numbers and times; times that it writes in another way are read and said."""
    patterns = {column: kind.pattern for column, kind in kinds.items() if kind.kind is Kind.TIME}
    found, said = find_times(frame.columns, patterns)
    for line in said:
        log.info("%s: %s", name, line)
    own = {column: dataclasses.replace(kinds[column], pattern=pattern) for column, pattern in found.items()}
    converted = plan.converted(frame, {**kinds, **own})
    for column, pattern in patterns.items():
        lost = int((converted.columns[column].missing & ~frame.columns[column].missing).sum())
        if lost:
            log.warning("%s: column `%s`: %s", name, column, unread(lost, len(frame), pattern))
    return converted


def targets_like(raw: Raw, frame: Frame, names: Sequence[str]) -> Tensor:
    """The targets of another file, in the classes of the first."""
    columns: list[Column] = [frame.columns[name] for name in names]
    if raw.task is Task.REGRESSION or len(columns) > 1:
        values = np.column_stack([column.numbers() for column in columns])
        if np.isnan(values).any():
            raise UserError(f"{frame.origin}: the target {', '.join(names)} holds cells that are no numbers")
        return torch.from_numpy(values if raw.task is Task.REGRESSION else values.argmax(1))
    text = columns[0].as_text()
    known = {name: position for position, name in enumerate(raw.target_names)}
    for code in sorted(set(text.values.tolist())):
        if text.levels[code] not in known:
            raise UserError(
                f"{frame.origin} has the class `{text.levels[code]}` in `{names[0]}`, which {raw.origin} does not have"
            )
    return torch.tensor([known.get(level, 0) for level in text.levels])[torch.from_numpy(text.values).long()]


def differences(raw: Raw, other: Frame, targets: Tensor) -> Iterator[str]:
    """A line for each thing in another file that the training file does not have, nor asks for.

    Args:
        raw: the training file's.
        other: all columns of the other file, as they were read.
        targets: of its rows, as `targets_like` gives them.
    """
    known = {*raw.frame.columns, *raw.target_names, raw.target_column}
    extra = [name for name in other.columns if name not in known]
    if extra:
        what = "a column" if len(extra) == 1 else f"{len(extra)} columns"
        yield f"{what} that training did not have, left out: {_some(extra)}"
    for name, column in raw.inputs.columns.items():
        found = _news(column, other.columns[name], raw.kinds[name])
        if found:
            yield f"column `{name}`: {found}"
    if raw.task is Task.REGRESSION:
        for name, before, now in zip(raw.target_names, raw.targets.T.numpy(), targets.T.numpy(), strict=True):
            found = other_unit(range_of(before), now)
            if found:
                yield f"the target `{name}`: {found}"


def _news(before: Column, now: Column, finding: Finding) -> str:
    """What is new in a column; nothing of times, which are read, and said, elsewhere."""
    if finding.kind is Kind.CATEGORY:
        return _new_words(before.as_text(), now.as_text())
    if finding.kind not in (Kind.NUMBER, Kind.TRUTH):
        return ""
    numbers = now.numbers(truth_of if finding.kind is Kind.TRUTH else None)
    lost = np.unique(now.values[np.isnan(numbers) & ~now.missing]).tolist() if now.form == "text" else []
    strange = [code for code in lost if now.levels[code] not in finding.words]
    if strange:
        count = int(np.isin(now.values, strange).sum())
        what = "no number and counts" if count == 1 else "no numbers and count"
        cells = counted(count, "cell", "is", "are", of=len(now))
        return f"{cells} {what} as missing: {_some([now.levels[code] for code in strange])}"
    gaps = int(np.isnan(numbers).sum())
    if gaps and not before.missing.any():
        return f"{counted(gaps, 'cell', 'is', 'are', of=len(now))} missing, as none is in training"
    return other_unit(range_of(before.numbers()), numbers) if finding.kind is Kind.NUMBER else ""


def _new_words(before: Column, now: Column) -> str:
    """Levels that training does not have."""
    has = {*before.levels, *map(plain, before.levels)}
    codes = [code for code in np.unique(now.values[now.values >= 0]).tolist() if plain(now.levels[code]) not in has]
    if not codes:
        return ""
    cells = counted(int(np.isin(now.values, codes).sum()), "cell", "holds", "hold", of=len(now))
    return f"{cells} what training does not have: {_some([now.levels[code] for code in codes])}"


def _some(names: Sequence[str]) -> str:
    """A few names."""
    return ", ".join(f"`{name}`" for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
