"""What is done with each column: its kind as found, or as the user says, checked against the names that there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from nnlab.data.table.amounts import is_amount
from nnlab.data.table.column import Column, Frame
from nnlab.data.table.encoding import CategoryEncoding, Encoding, NumberEncoding, TimeEncoding, TruthEncoding
from nnlab.data.table.kinds import USED, Finding, Kind, find_kind
from nnlab.data.table.times import DAYS, are_days, parse_times, time_patterns
from nnlab.errors import UserError, did_you_mean
from nnlab.storage.array_file import touched

MOST_NAMED = 8  # columns that a line names


def check_names(names: Collection[str], frame: Frame, key: str) -> None:
    """Refuse names that no column has.

    Raises:
        UserError: names them, and the nearest one.
    """
    unknown = [name for name in names if name not in frame.columns]
    if unknown:
        shown = ", ".join(f"`{name}`" for name in unknown[:MOST_NAMED]) + (" ..." if len(unknown) > MOST_NAMED else "")
        columns = "column" if len(unknown) == 1 else "columns"
        hint = did_you_mean(unknown[0], frame.columns)
        raise UserError(f"{frame.origin} has no {columns} {shown} (`{key}`); {hint}")


def plan(
    frame: Frame,
    columns: Mapping[str, str],
    drop: Sequence[str],
    use: Sequence[str] | None,
    roles: Mapping[str, str],
) -> dict[str, Finding]:
    """The kind of every column, those with another role left out.

    Args:
        frame: all columns but the target.
        columns: kinds that the user gives.
        drop: columns that the user leaves out.
        use: the only columns that the user wants; None: all.
        roles: for each column that says how to split, why it is no input.

    Raises:
        UserError: a name or a kind is unknown, or no input is left.
    """
    for key, names in (("data.columns", columns), ("data.drop", drop), ("data.use", use or ())):
        check_names(names, frame, key)
    for name, given in columns.items():
        if given not in list(Kind):
            valid = [each.value for each in Kind]
            raise UserError(f"`data.columns` gives `{name}` the kind `{given}`; {did_you_mean(str(given), valid)}")
    found = {}
    for name, column in frame.columns.items():
        touched(column.values.nbytes)
        if name in drop or (use is not None and name not in use):
            found[name] = Finding(Kind.DROP, "by data.drop" if name in drop else "not in data.use", by_user=True)
        elif name in columns:
            found[name] = _given(column, Kind(columns[name]))
        elif name in roles:
            found[name] = Finding(Kind.DROP, roles[name])
        else:
            kind = find_kind(column)
            found[name] = _wanted(column, kind) if use is not None and kind.kind not in USED else kind
    return _some_input(frame, found, roles)


def _given(column: Column, kind: Kind) -> Finding:
    """The kind that the user gives."""
    if kind is Kind.TIME and column.form == "text":
        patterns = time_patterns(column.levels)
        if not patterns:
            raise UserError(f"`data.columns` calls `{column.name}` a time, but {column.levels[0]!r} is not read as one")
        return Finding(kind, "", patterns[0])
    if kind is Kind.TIME and column.form == "number" and are_days(column.values[~column.missing]):
        return Finding(kind, "", DAYS)
    return Finding(kind, "" if kind in USED else "by data.columns", by_user=True)


def _wanted(column: Column, found: Finding) -> Finding:
    """A kind that is used, for a column that the user wants although it would be left out."""
    if found.kind is Kind.CONSTANT:
        return found
    return Finding(Kind.CATEGORY if column.form == "text" else Kind.NUMBER)


def _some_input(frame: Frame, found: dict[str, Finding], roles: Mapping[str, str]) -> dict[str, Finding]:
    """The same kinds; where nothing would be left, numbers that count rows, and the time, are inputs after all.

    Raises:
        UserError: no input is left all the same.
    """
    if not any(finding.kind in USED for finding in found.values()):
        for name, finding in found.items():
            if finding.kind is Kind.IDENTIFIER and frame.columns[name].form == "number":
                found[name] = Finding(Kind.NUMBER, f"{finding.why}, but there is no other input")
            elif name in roles and "data.time" in roles[name]:
                found[name] = find_kind(frame.columns[name])
    if not any(finding.kind in USED for finding in found.values()):
        reasons = "; ".join(f"`{name}` {finding.why}" for name, finding in list(found.items())[:10])
        raise UserError(
            f"{frame.origin} has no input left beside the target: {reasons or 'there is no other column'}; "
            "`data.columns={NAME: category}` takes one all the same"
        )
    return found


def converted(frame: Frame, found: Mapping[str, Finding]) -> Frame:
    """The columns that are used, times as seconds and numbers as such, so that their texts are read once."""
    columns = {}
    for name, finding in found.items():
        column = frame.columns[name]
        if finding.kind is Kind.TIME and (column.form == "text" or finding.pattern is not None):
            column = Column(name, "time", parse_times(column, finding.pattern))
        if finding.kind is Kind.NUMBER and column.form == "text":
            column = Column(name, "number", column.numbers())
        if finding.kind in USED:
            columns[name] = column
    return dataclasses.replace(frame, columns=columns)


def fit(column: Column, finding: Finding) -> Encoding:
    """The encoding of a column of training rows."""
    if finding.kind is Kind.TIME:
        return TimeEncoding.fit(column, finding.pattern)
    if finding.kind is Kind.NUMBER:
        return dataclasses.replace(NumberEncoding.fit(column), words=tuple(finding.words))
    return (TruthEncoding if finding.kind is Kind.TRUTH else CategoryEncoding).fit(column)


def sentences(found: Mapping[str, Finding], roles: Mapping[str, str], targets: Mapping[str, str]) -> list[str]:
    """One line for each reason that columns are left out for, and for each guess that could be otherwise.

    Args:
        found: the kinds of the columns.
        roles: columns that say how to split, and why they are no inputs.
        targets: of target columns, the number that may stand for missing ones.
    """
    lines = []
    reasons: dict[str, list[str]] = {}
    for name, finding in found.items():
        if finding.kind in USED and finding.why:
            lines.append(f"column `{name}`: {finding.why} (data.columns)")
        elif finding.why and name not in roles and not finding.by_user:
            reasons.setdefault(finding.why, []).append(name)
    codes = {name: finding.code for name, finding in found.items() if finding.code}
    for is_number in (True, False):
        own, of_targets = ({n: c for n, c in each.items() if is_amount(c) == is_number} for each in (codes, targets))
        if own or of_targets:
            lines.append(_about_codes(own, of_targets, is_number))
    for why, names in reasons.items():
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        shown = ", ".join(f"`{name}`" for name in names[:MOST_NAMED]) + more
        what = "column" if len(names) == 1 else "columns"
        lines.append(f"left out: {what} {shown}: {why} (data.columns={{{names[0]}: KIND}} takes it)")
    lines += [f"no input: column `{name}`, for {why}" for name, why in roles.items() if found[name].kind is Kind.DROP]
    return lines


def _about_codes(codes: Mapping[str, str], targets: Mapping[str, str], are_numbers: bool) -> str:
    """The line about numbers, or marks, by column, that may stand for missing ones, among inputs and targets."""
    each = [f"{name}: {code if are_numbers else repr(code)}" for name, code in {**targets, **codes}.items()]
    named = ", ".join(each[:MOST_NAMED])
    more = f" and {len(each) - MOST_NAMED} more" if len(each) > MOST_NAMED else ""
    end = f" leaves rows without `{'`, `'.join(targets)}` out" if targets else ""
    what, kind = "numbers that lie apart from all others of their column, and", "numbers"
    if not are_numbers:
        what, kind = "cells that", "words of their own"
    return f"{what} may mean that there is none: {named}{more}; they count as {kind} (data.missing={{{named}}}{end})"
