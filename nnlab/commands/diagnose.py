"""`nnlab diagnose RUN ...`: what is wrong with a run, from its files, in words and with the override to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nnlab.cli.arguments import Grammar, Key, print_json, truth
from nnlab.config.chosen import says
from nnlab.config.command_line import of_run
from nnlab.config.kept import kept_config
from nnlab.diagnosis import Finding
from nnlab.diagnosis.diagnose import of_ensemble
from nnlab.errors import UserError
from nnlab.runs.advice import command
from nnlab.runs.diagnosing import diagnose_run
from nnlab.storage.directories import run_at
from nnlab.storage.folder import PROBE_PENDING, read_overrides, read_result
from nnlab.validation import check

SHOWN = 3  # findings; further ones are only counted

GRAMMAR = Grammar(
    "diagnose",
    "Say in words what is wrong with runs, and what to try.",
    "RUN ...",
    [
        Key("probe", "find the cause by experiment, for the time of the run (10 to 60 s)", truth, "true", (), False),
        Key("budget", "seconds that the experiments may take", float, shown="SECONDS"),
    ],
    reports=True,
    footer="A probe takes back the settings that differ from the defaults, one by one, in short trials, and tries\n"
    "remedies before it shows them.\n",
)


def main(arguments: Sequence[str]) -> int:
    """Print the findings of one or several runs.

    Raises:
        UserError: an argument is no run.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    if given.budget is not None and not given.probe:
        raise UserError("`budget=SECONDS` belongs to `--probe`")
    found = {run: _found(run, given.probe, given.budget) for run in given.words} if given.json else {}
    if given.json:
        print_json({run: [[each.to_dict() for each in member] for member in every] for run, every in found.items()})
        return 0
    for number, directory in enumerate(given.words):
        if len(given.words) > 1:
            print(f"{'' if number == 0 else chr(10)}{directory}")
        directory = str(run_at(directory))
        every = _found(directory, given.probe, given.budget)
        findings = of_ensemble(every)
        _show(findings)
        _suggest(directory, findings)
        if not given.probe:
            _say_pending(directory)
    return 0


def _found(directory: str, probe: bool, budget: float | None) -> list[list[Finding]]:
    """The findings about every member of a run, without overrides that its config already has."""
    if probe:
        from nnlab.probe.run import probe_run

        every = [probe_run(directory, None if budget is None else float(check("budget", budget, "(0, inf)")))]
    else:
        every = diagnose_run(directory)
    config = kept_config(run_at(directory))
    return [
        [replace(f, overrides=tuple(word for word in f.overrides if not says(config, word))) for f in findings]
        for findings in every
    ]


def _show(findings: Sequence[Finding]) -> None:
    if not findings:
        print("nothing looks wrong")
    for finding in findings[:SHOWN]:
        print(f"{'note: ' if finding.severity == 'note' else ''}{finding.line()}")
        print("    " + "  ".join(f"{name} {_number(value)}" for name, value in finding.evidence.items()))
        for symptom in finding.symptoms:
            print(f"    explains: {symptom.title}" + (f" ({symptom.layer})" if symptom.layer else ""))
    if len(findings) > SHOWN:
        print(f"and {len(findings) - SHOWN} more: " + ", ".join(finding.title for finding in findings[SHOWN:]))


def _suggest(directory: str | Path, findings: Sequence[Finding]) -> None:
    """The run's own command with the remedy of the first fault that has one; of notes only where there is no fault."""
    faults = [finding for finding in findings if finding.fault]
    remedy = next((finding.override for finding in faults or findings if finding.override), None)
    overrides = read_overrides(Path(directory)) or []
    if remedy is not None:
        print(f"next: {command(overrides, remedy, Path(directory))}")


def _say_pending(directory: str) -> None:
    """That the experiments after training have not ended, and how to make them."""
    folder = Path(directory)
    if (read_result(folder) or {}).get(PROBE_PENDING):
        again = of_run("diagnose", [directory, "--probe"], folder)
        keep = of_run("train", [f"resume={directory}"], folder)
        print(
            "the experiments after training have not ended, so the cause has not been looked for: "
            f"`{again}` makes them, `{keep}` also keeps in the run what they find"
        )


def _number(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
