"""What the targets are: classes or numbers, as the loss decides, and else by a guess that is said.

A loss that takes classes only makes classes of numbers that recur (letters coded 0 ... 25 are 26 classes); one that
takes numbers makes numbers of them (ratings 1 ... 5 with `squared_error` are a regression). Words are always classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.console import counted
from nnlab.data.table.amounts import amount_of
from nnlab.data.table.column import Column
from nnlab.errors import UserError
from nnlab.types import Task

MOST_CLASSES = 20  # whole numbers with more different values than this are taken for a regression, without a loss
CLASSES = frozenset({Task.BINARY, Task.MULTICLASS})
TASKS = ("auto", "regression", "binary", "multiclass")


@dataclasses.dataclass(frozen=True)
class Targets:
    """Targets as training has them.

    Attributes:
        values: (n,) int64 classes or (n, C) float64 numbers.
        task: what they are.
        names: of the classes, or of the target columns.
        said: the guess in one line with the key that overrules it; empty where there was none.
    """

    values: Tensor
    task: Task
    names: tuple[str, ...]
    said: str = ""


def targets_of(
    column: Column, option: str, tasks: Collection[Task] | None, origin: str, place: Callable[[int], str]
) -> Targets:
    """The targets in one column without missing cells.

    Args:
        column: the cells.
        option: `data.task`; `auto` leaves it to the loss and the cells.
        tasks: those that the loss fits; None: no loss is known.
        origin: what messages call the source.
        place: from a row to how a message names it, such as `line 7`.

    Raises:
        UserError: a cell is no number where numbers are needed, or the number of classes does not fit.
    """
    numeric = column.form in ("number", "truth") or _mostly_numbers(column)
    if column.form == "truth" and option == "auto" and tasks != {Task.REGRESSION}:
        task, said = Task.BINARY, ""
    elif not numeric and option == "auto":
        task, said = Task.MULTICLASS, ""
    elif option == "auto":
        task, said = _numeric_task(column, tasks, origin, place)
    else:
        task, said = Task(option), ""
    if task is Task.REGRESSION:
        values = torch.from_numpy(_numbers(column, origin, place)).reshape(-1, 1)
        return Targets(values, task, (column.name,), said)
    return _classes(column, task, option, said, origin)


def guess_task(values: npt.NDArray[Any]) -> Task:
    """The task of numbers (n,) where no loss says it: classes are whole, few, and recur."""
    distinct, counts = np.unique(values, return_counts=True)
    if counts.min() == 1 and len(values) < 5 * len(distinct):
        return Task.REGRESSION
    whole = bool((distinct == np.floor(distinct)).all())
    few = len(distinct) <= min(MOST_CLASSES, len(values) // 2)
    if not (whole and few):
        return Task.REGRESSION
    return Task.BINARY if len(distinct) == 2 else Task.MULTICLASS


def one_hot_classes(values: npt.NDArray[Any]) -> npt.NDArray[np.int64] | None:
    """The classes (n,) that rows (n, C) of a single one among zeros stand for; None where they are others."""
    if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in "biuf":
        return None
    binary = bool(((values == 0) | (values == 1)).all()) and bool((values.sum(1) == 1).all())
    return values.argmax(1) if binary else None


def _numeric_task(
    column: Column, tasks: Collection[Task] | None, origin: str, place: Callable[[int], str]
) -> tuple[Task, str]:
    """What numbers are, with the line that says so."""
    values = _numbers(column, origin, place)
    distinct = np.unique(values)
    shown = f"{len(distinct)} different numbers, {distinct[0]:g} ... {distinct[-1]:g}"
    guess = guess_task(values)
    if tasks is not None and Task.REGRESSION in tasks:
        classes = "; classes: data.task=multiclass" if guess is not Task.REGRESSION and CLASSES & set(tasks) else ""
        line = f"the target `{column.name}` ({shown}) is a regression, as the loss has it{classes}"
        return Task.REGRESSION, line if guess is not Task.REGRESSION else ""
    if tasks is not None and len(distinct) <= len(values) // 2 and len(distinct) <= 1000:
        guess = Task.BINARY if len(distinct) == 2 else Task.MULTICLASS
    if guess is Task.REGRESSION:
        return guess, f"the target `{column.name}` ({shown}) is taken for a regression (data.task)"
    return guess, (
        f"the target `{column.name}` ({shown}) is taken for {counted(len(distinct), 'class')}; numbers: "
        "data.task=regression loss=squared_error"
    )


def _mostly_numbers(column: Column) -> bool:
    """Whether the texts of a column are numbers but for some."""
    if column.form != "text":
        return False
    numbers = sum(1 for level in column.levels if amount_of(level) == amount_of(level))
    return numbers > max(2, len(column.levels) * 0.8)


def _numbers(column: Column, origin: str, place: Callable[[int], str]) -> npt.NDArray[np.float64]:
    """The cells as numbers.

    Raises:
        UserError: a cell is none.
    """
    values = column.numbers()
    bad = np.flatnonzero(np.isnan(values))
    if len(bad):
        text = column.levels[int(column.values[bad[0]])]
        more = f" ({len(bad)} such cells in all)" if len(bad) > 1 else ""
        where = f"{origin}: {place(int(bad[0]))}, column `{column.name}`"
        raise UserError(
            f"{where} holds {text!r}, where the target needs a number{more}; correct it, leave the cell empty to leave "
            "the row out, or take all as classes with data.task=multiclass"
        )
    return values


def _classes(column: Column, task: Task, option: str, said: str, origin: str) -> Targets:
    """The targets as classes, in the order of their numbers or names."""
    text = column.as_text()
    present, codes = np.unique(text.values, return_inverse=True)
    names = tuple(text.levels[code] for code in present.tolist())
    task = task if option != "auto" else Task.BINARY if len(names) == 2 else Task.MULTICLASS
    if len(names) < 2 or (task is Task.BINARY and len(names) > 2):
        needed = "exactly two" if task is Task.BINARY else "at least two"
        shown = ", ".join(names[:10]) + (" ...; `data.task=multiclass` takes more" if len(names) > 2 else "")
        raise UserError(f"{origin}: the target `{column.name}` needs {needed} classes, but has {len(names)}: {shown}")
    if len(names) > max(2, len(codes) // 2):
        raise UserError(
            f"{origin}: the target `{column.name}` has {len(names)} different values in {len(codes)} rows, such as "
            f"{names[0]!r}, too many for classes; choose another `data.target`"
        )
    return Targets(
        torch.from_numpy(codes.astype(np.int64)), task, names, "; ".join(filter(None, (said, _alike(names))))
    )


def _alike(names: Sequence[str]) -> str:
    """A line about classes whose names are spelled alike; empty where there are none."""
    pairs = [" and ".join(f"`{name}`" for name in each) for each in spelled_alike(names)]
    return f"the classes {', '.join(pairs)} differ in case or blanks only; spell one class one way" if pairs else ""


def spelled_alike(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Names of classes that differ in blanks, or in capitals of longer words, alone.

    >>> spelled_alike(["yes", "Yes", "no ", "no", "A", "a"])
    [('yes', 'Yes'), ('no ', 'no')]
    """
    same: dict[str, list[str]] = {}
    for name in names:
        bare = " ".join(name.split())
        same.setdefault(bare.casefold() if len(bare) > 1 else bare, []).append(name)  # A and a are letters
    return [tuple(each) for each in same.values() if len(each) > 1]
