"""Your own table, as it is: a file of mixed columns and the name of its target."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from nnlab import console
from nnlab.console import counted
from nnlab.data.base import Source, existing
from nnlab.data.raw import Raw
from nnlab.data.rules import ColumnRule, InputRule
from nnlab.data.table import plan, roles
from nnlab.data.table.codes import Code, Codes, check_codes, codes_of, suspected, unused, without_codes
from nnlab.data.table.column import Column, Frame
from nnlab.data.table.delimited import TextOptions
from nnlab.data.table.kinds import Finding
from nnlab.data.table.other_file import differences, targets_like, with_times
from nnlab.data.table.reading import read_start, read_table
from nnlab.data.table.spool import Spool
from nnlab.data.table.target import TASKS, Targets, one_hot_classes, targets_of
from nnlab.errors import UserError, did_you_mean
from nnlab.types import Task
from nnlab.validation import check, check_choice

SEVERAL_LABELS = (
    "the targets are 0 or 1, several of them at once, and taken for numbers with a border at 0.5; a network for each "
    "(data.target=NAME) predicts probabilities"
)
REFERENCES = ("constant", "linear", "trees")

log = logging.getLogger(__name__)


@dataclasses.dataclass(kw_only=True)
class Table(Source):
    """A table: numbers, categories, truth values and times become inputs; text and row numbers are left out, said.

    Args:
        path: the file, .csv .tsv .txt .parquet .feather .xlsx .json .jsonl .arff .svm, each also compressed; relative
            to the working directory, or else to `data_root`.
        target: the target column, by name or index (negative: from the end), or several: numbers, or a one among zeros.
            None: the last.
        task: what the target is; `auto`: as the loss has it, else classes if it is text, truth values, or whole numbers
            with at most 20 different values, each of them twice or more on average.
        columns: kinds of columns that overrule those found: number, truth, category, time, or drop.
        missing: values that stand for missing cells, -9 or [-9, 99], in every column; or by column, {age: 999}.
        drop: columns that are no inputs.
        use: the only columns that are inputs; None: all.
        groups: column whose rows of one value are never split.
        time: column by which the rows are ordered: the last part is the test split, the part before for validation.
        split: column of the file's own split, with words such as train, validation and test.
        test: fraction of the examples in the test split, (0, 1), or a file that is the test split.
        separator: of a text file: one character, or comma, semicolon, tab, pipe, blanks. None: found.
        header: whether the first row of a text file names the columns. None: found.
        decimal: sign in numbers that are written as text, `.` or `,`. None: found, for each column.
        encoding: of a text file, such as `latin-1`. None: found.
        footer: whether totals of the columns or of groups of rows, and notes below, are looked for and left out.
        references: simple methods that `nnlab train` shows beside the network: constant, linear, trees.
    """

    keeps_shape: ClassVar[bool] = False

    path: str
    target: str | int | list[str | int] | None = None
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto"
    columns: dict[str, str] | None = None
    missing: Code | list[Code] | dict[str, Codes] | None = None
    drop: list[str] | None = None
    use: list[str] | None = None
    groups: str | None = None
    time: str | None = None
    split: str | None = None
    test: float | str | None = 0.2  # type: ignore[assignment]
    separator: str | None = None
    header: bool | None = None
    decimal: str | None = None
    encoding: str | None = None
    footer: bool = True
    references: Sequence[str] = REFERENCES

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("task", self.task, TASKS)
        for name in self.references:
            check_choice("references", name, REFERENCES)
        if self.missing is not None:
            check_codes(self.missing)
        TextOptions(self.separator, self.header, self.decimal)  # which checks them
        given = [key for key in ("groups", "time", "split") if getattr(self, key) is not None]
        if len(given) > 1:
            raise UserError(f"`data.{given[0]}` and `data.{given[1]}` both say how to split; choose one of them")

    def check_fraction(self) -> None:
        if isinstance(self.test, float | int):
            check("test", self.test, "(0, 1)")

    @property
    def text_options(self) -> TextOptions:
        """What is known about the text."""
        name = self.target[0] if isinstance(self.target, list) and self.target else self.target
        target = name if not isinstance(name, list) else None
        return TextOptions(self.separator, self.header, self.decimal, self.encoding, self.footer, target)

    @property
    def roles(self) -> dict[str, str]:
        """Columns that say how to split, and why they are no inputs."""
        named = ((self.groups, "data.groups"), (self.time, "data.time"), (self.split, "data.split"))
        return {name: f"it says how to split ({key})" for name, key in named if name is not None}

    def files(self, root: Path) -> Sequence[Path]:
        return [existing(path, root) for path in (self.path, self.test) if isinstance(path, str)]

    def read(self, seed: int, root: Path) -> Raw:
        """All examples, the task as it is guessed."""
        return self.read_for(None, seed, root)

    def read_for(self, tasks: Collection[Task] | None, seed: int, root: Path) -> Raw:
        """All rows that have a target.

        Raises:
            UserError: the file is missing or no table, a name is unknown, or the target does not fit the task.
        """
        return self._read(tasks, root, None)

    def read_into(self, folder: Path, tasks: Collection[Task] | None, seed: int, root: Path) -> Raw:
        """As `read_for`; the columns go into files in `folder`."""
        return self._read(tasks, root, folder)

    def _read(self, tasks: Collection[Task] | None, root: Path, folder: Path | None) -> Raw:
        path, spool = existing(self.path, root), None if folder is None else Spool(folder)
        frame, said = read_table(path, self.text_options, spool)
        notes = [f"{path.name} is read so: {'; '.join(said)}"] if said else []
        frame, absent = self._with_gaps(frame, spool)
        for line in absent:
            log.warning("%s: %s (data.missing)", path.name, line)
        names = self.target_names(frame)
        before = len(frame)
        frame = self._with_target(frame, names)
        if len(frame) < before:
            notes.append(f"{path.name}: {_untargeted(before - len(frame), before)} (`{names[0]}`)")
            frame = frame if spool is None else spool.put_rows(frame)
        if self.target is None:
            notes.append(f"{path.name}: the target is the last column, `{names[0]}` (data.target)")
        plan.check_names(list(self.roles), frame, "data.groups, data.time or data.split")
        targets = self._targets(frame, names, tasks)
        notes += [f"{path.name}: {targets.said}"] if targets.said else []
        codes = {name: code for name in names if (code := suspected(frame.columns[name]))}
        others = dataclasses.replace(frame, columns={k: v for k, v in frame.columns.items() if k not in names})
        found = plan.plan(others, self.columns or {}, self.drop or (), self.use, self.roles)
        notes += [f"{path.name}: {line}" for line in plan.sentences(found, self.roles, codes)]
        for line in notes:
            log.info("%s", line)
        raw = Raw(
            plan.converted(others, found),
            targets.values,
            targets.task,
            targets.names,
            str(path),
            kinds=found,
            frame=others,
            notes=tuple(notes),
            target_column=names[0] if len(names) == 1 else "",
        )
        return self._with_roles(raw, frame, root, folder)

    def guess(self, root: Path) -> Task:
        """The task where no loss says it, from the start of the file: what the command line chooses the loss by."""
        frame = read_start(existing(self.path, root), self.text_options)
        with console.silenced():
            frame, _ = self._with_gaps(frame, None)
            names = self.target_names(frame)
            return self._targets(self._with_target(frame, names), names, None).task

    def _with_gaps(self, frame: Frame, spool: Spool | None) -> tuple[Frame, list[str]]:
        """The same table, cells with a code of `missing` as missing; and a sentence for each code that no cell has."""
        if self.missing is None or self.missing in ([], {}):
            return frame, []
        codes = codes_of(self.missing, list(frame.columns))
        plan.check_names(codes, frame, "data.missing")
        columns = dict(frame.columns)
        for position, (name, column) in enumerate(frame.columns.items()):
            found = without_codes(column, codes.get(name, ()))
            columns[name] = found if spool is None or found is column else spool.put(found, position)
        writing = dataclasses.replace(frame.writing, missing=codes)
        absent = unused(frame, codes, isinstance(self.missing, Mapping))
        return dataclasses.replace(frame, columns=columns, writing=writing), absent

    def target_names(self, frame: Frame) -> list[str]:
        """Names of the target columns.

        Raises:
            UserError: there is no such column, or no other.
        """
        available = list(frame.columns)
        if len(available) < 2:
            raise UserError(
                f"{frame.origin} has a single column, `{available[0]}`; it needs one for the inputs and one for the "
                "target (is `data.separator` right?)"
            )
        wanted = self.target if isinstance(self.target, list) else [self.target]
        names = []
        for each in wanted:
            if str(each) in available:
                names.append(str(each))
                continue
            if isinstance(each, str):
                raise UserError(f"{frame.origin} has no column `{each}` (`data.target`); {_meant(each, available)}")
            index = -1 if each is None else each
            if not -len(available) <= index < len(available):
                raise UserError(
                    f"`data.target` must be in [{-len(available)}, {len(available) - 1}] for {frame.origin}, got {each}"
                )
            names.append(available[index])
        return names

    def _with_target(self, frame: Frame, names: Sequence[str]) -> Frame:
        """The rows that have a target."""
        missing = functools.reduce(np.logical_or, [frame.columns[name].missing for name in names])
        if missing.any():
            if missing.all():
                raise UserError(f"{frame.origin}: the target `{names[0]}` is missing in every row")
            frame = frame[~missing]
        return frame

    def _targets(self, frame: Frame, names: Sequence[str], tasks: Collection[Task] | None) -> Targets:
        """The targets of all rows."""
        columns = [frame.columns[name] for name in names]
        if len(columns) == 1:
            return targets_of(columns[0], self.task, tasks, frame.origin, frame.place)
        values = np.column_stack([column.numbers() for column in columns])
        if np.isnan(values).any():
            raise UserError(f"{frame.origin}: several target columns must hold numbers: {', '.join(names)}")
        classes = one_hot_classes(values) if self.task != "regression" and tasks != {Task.REGRESSION} else None
        if classes is None:
            said = "" if self.task == "regression" or not np.isin(values, (0, 1)).all() else SEVERAL_LABELS
            return Targets(torch.from_numpy(values), Task.REGRESSION, tuple(names), said)
        task = Task.BINARY if len(names) == 2 else Task.MULTICLASS
        return Targets(torch.from_numpy(classes), task, tuple(names))

    def _with_roles(self, raw: Raw, frame: Frame, root: Path, folder: Path | None) -> Raw:
        """The raw data with what the columns or the file of a split say."""
        if self.groups is not None:
            return dataclasses.replace(raw, groups=roles.group_numbers(frame.columns[self.groups]))
        if self.time is not None:
            return dataclasses.replace(raw, times=roles.times(frame, self.time))
        if self.split is not None:
            return roles.own_split(raw, frame.columns[self.split])
        return self._with_test_file(raw, root, folder) if isinstance(self.test, str) else raw

    def _with_test_file(self, raw: Raw, root: Path, folder: Path | None) -> Raw:
        """The rows of the file `test` as the data set's own test split.

        Raises:
            UserError: the file lacks a column, or has a class that the training file does not have.
        """
        path = existing(str(self.test), root)
        options = dataclasses.replace(self.text_options, expected=raw.inputs.writing)
        other, said = read_table(path, options, None if folder is None else Spool(folder, "test"))
        if said:
            log.info("%s is read so: %s", path.name, "; ".join(said))
        names = list(self.target) if isinstance(self.target, list) else [raw.target_column]
        plan.check_names([*raw.inputs.columns, *map(str, names)], other, "data.test")
        before = len(other)
        other = self._with_target(other, [str(name) for name in names])
        if len(other) < before:
            log.info("%s: %s", path.name, _untargeted(before - len(other), before))
        columns = {name: other.columns[name] for name in raw.inputs.columns}
        used = {name: raw.kinds[name] for name in columns}
        inputs = with_times(dataclasses.replace(other, columns=columns), used, path.name)
        targets = targets_like(raw, other, [str(name) for name in names])
        for line in differences(raw, other, targets):
            log.warning("%s: %s", path.name, line)
        return dataclasses.replace(raw, test=(inputs, targets))

    def advice_for(self, name: str, targets: Tensor) -> str:
        code = suspected(Column(name, "number", targets.double().numpy()))
        if code and float(code) == float(targets.min()):
            return (
                f"if {code} means that there is none, `data.missing={{{name}: {code}}}` leaves these rows out; else "
                + super().advice_for(name, targets)
            )
        return super().advice_for(name, targets)

    def input_rule(self, raw: Raw, train: Any) -> InputRule:
        """One encoding for each column that is used, fitted on the training rows."""
        kinds: Mapping[str, Finding] = raw.kinds
        encodings = tuple(plan.fit(column, kinds[name]) for name, column in train.columns.items())
        found = {name: finding.kind.value for name, finding in kinds.items()}
        return ColumnRule(encodings, found, raw.inputs.writing)


def _meant(target: str, available: Sequence[str]) -> str:
    """What may have been meant by a target that is no column."""
    several = [name.strip() for name in target.split(",")]
    if len(several) > 1 and set(several) <= set(available):
        return f"`target=[{','.join(several)}]` learns them together, and with `-m` each is learned by itself"
    return did_you_mean(target, available)


def _untargeted(count: int, rows: int) -> str:
    """What to say about rows without a target."""
    return counted(count, "row", "has no target and is left out", "have no target and are left out", of=rows)
