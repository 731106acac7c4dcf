"""`nnlab diagnose RUN`: what is wrong with a run, from its files, in words and with the override to try."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnlab.callbacks.history_file import read_back
from nnlab.config.build import build_trainer
from nnlab.diagnosis import Finding, RunRecord, diagnose
from nnlab.diagnosis.measure import records
from nnlab.runs.advice import command
from nnlab.storage.checkpoint import load_best, load_newest
from nnlab.storage.folder import read_config, read_overrides, read_result
from nnlab.storage.history import read_curves
from nnlab.storage.run import Run
from nnlab.training import checkpoint


def records_of(directory: str | Path) -> list[RunRecord]:
    """The records of a run's members, from its curves, statistics and last weights.

    Raises:
        UserError: `directory` is no run, or what it needs (data, a checkpoint) is not there.
    """
    folder = Path(directory)
    config = read_config(folder)
    run = Run(folder, [0], config)
    trainer = build_trainer([{**config, "callbacks": {}}], [run])
    state = load_newest(run.checkpoints)
    if state is not None:
        checkpoint.resume(trainer, [state])
    else:
        checkpoint.restore_best(trainer, [load_best(run.checkpoints)])
    steps = read_curves(folder, statistics=False).steps
    read_back(trainer, run, min(int(steps.max(initial=0)), trainer.total_steps))
    result = read_result(folder)
    for member in run.members:
        outcome = trainer.outcomes[member]
        if outcome.status == "running":
            outcome.status = result["status"] if result else "interrupted"
            outcome.reason = result["reason"] if result else ""
    return records(trainer)


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
    overrides = read_overrides(Path(directory)) or []
    if remedy is not None:
        print(f"next: {command(overrides, remedy)}")


def _number(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
