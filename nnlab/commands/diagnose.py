"""`nnlab diagnose RUN ...`: what is wrong with a run, from its files, in words and with the override to try."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnlab.cli.arguments import Grammar, print_json
from nnlab.diagnosis import Finding
from nnlab.runs.advice import command
from nnlab.runs.diagnosing import diagnose_run
from nnlab.storage.folder import read_overrides

GRAMMAR = Grammar("diagnose", "Say in words what is wrong with runs, and what to try.", "RUN ...", reports=True)


def main(arguments: Sequence[str]) -> int:
    """Print the findings of one or several runs.

    Raises:
        UserError: an argument is no run.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    if given.json:
        print_json({run: [[each.to_dict() for each in member] for member in diagnose_run(run)] for run in given.words})
        return 0
    for number, directory in enumerate(given.words):
        if len(given.words) > 1:
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
