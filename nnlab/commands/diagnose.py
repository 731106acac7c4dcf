"""`nnlab diagnose RUN`: what is wrong with a run, from its files, in words and with the override to try."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnlab.config.build import build_trainer
from nnlab.diagnosis import Finding, RunRecord, diagnose
from nnlab.diagnosis.measure import records
from nnlab.runs.advice import command
from nnlab.runs.continuation import overrides_of
from nnlab.training import Record, Run, Trainer, checkpoint
from nnlab.training.run import read_config, read_result


def records_of(directory: str | Path) -> list[RunRecord]:
    """The records of a run's members, from its curves, statistics and last weights.

    Raises:
        UserError: `directory` is no run, or what it needs (data, a checkpoint) is not there.
    """
    folder = Path(directory)
    config = read_config(folder)
    run = Run(folder, [0], config)
    trainer = build_trainer([{**config, "callbacks": {}}], [run])
    state = checkpoint.load_newest(folder / "checkpoints")
    if state is not None:
        checkpoint.resume(trainer, [state])
    else:
        checkpoint.restore_best(trainer, [checkpoint.load_best(folder / "checkpoints")])
    _read_curves(folder, trainer, list(run.members))
    result = read_result(folder)
    for member in run.members:
        if trainer.statuses[member] == "running":
            trainer.statuses[member] = result["status"] if result else "interrupted"
            trainer.reasons[member] = result["reason"] if result else ""
    return records(trainer)


def _read_curves(folder: Path, trainer: Trainer, members: Sequence[int]) -> None:
    """Fill the trainer's history from `history.csv` and `statistics.csv`; damaged rows stay unknown."""
    history = _rows(folder / "history.csv")
    steps = max((int(row["step"]) for row in history), default=0)
    losses, rates = np.full((steps, len(members)), np.nan), np.full(steps, np.nan)
    found: list[list[Record]] = [[] for _ in members]
    for row in history:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            step = int(row["step"])
            rates[step - 1] = float(row["learning_rate"])
            for position in range(len(members)):
                losses[step - 1, position] = float(row[f"loss/train/{position}" if len(members) > 1 else "loss/train"])
            values = {tag: float(v) for tag, v in row.items() if tag.endswith("/validation") and v}
            if values and len(members) == 1:
                found[0].append(Record(step, members[0], values))
    for row in _rows(folder / "statistics.csv"):
        with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):
            tag, position = row["tag"], 0
            if len(members) > 1:
                tag, _, last = tag.rpartition("/")
                position = int(last)
            found[position].append(Record(int(row["step"]), members[position], {tag: float(row["value"])}))
    for position, member in enumerate(members):
        trainer.history.load(member, losses[:, position], rates, found[position])


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file with a header; none where there is no such file."""
    try:
        text = path.read_text(errors="replace").replace("\0", "")
        return list(csv.DictReader(text.splitlines()))
    except (OSError, csv.Error):
        return []


def diagnose_run(directory: str | Path) -> list[list[Finding]]:
    """The findings about every member of a run.

    Raises:
        UserError: see `records_of`.
    """
    return [diagnose(record) for record in records_of(directory)]


def main(arguments: Sequence[str]) -> int:
    """Print the findings of one or several runs.

    Raises:
        UserError: an argument is no run.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: nnlab diagnose RUN ...")
        return 0 if arguments else 2
    for number, directory in enumerate(arguments):
        if len(arguments) > 1:
            print(f"{'' if number == 0 else chr(10)}{directory}")
        for member, findings in enumerate(found := diagnose_run(directory)):
            if len(found) > 1:
                print(f"member {member}")
            _show(findings)
            _suggest(directory, findings)
    return 0


def _show(findings: Sequence[Finding]) -> None:
    if not findings:
        print("nothing looks wrong")
    for finding in findings:
        print(f"{'note: ' if finding.severity == 'note' else ''}{finding.line()}")
        print("    " + "  ".join(f"{name} {_number(value)}" for name, value in finding.evidence.items()))
        for symptom in finding.symptoms:
            print(f"    explains: {symptom.title}" + (f" ({symptom.layer})" if symptom.layer else ""))


def _suggest(directory: str | Path, findings: Sequence[Finding]) -> None:
    """The run's own command with the first remedy."""
    remedy = next((finding.override for finding in findings if finding.override), None)
    overrides = overrides_of(Path(directory))
    if remedy is not None:
        print(f"next: {command(overrides, remedy)}")


def _number(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
