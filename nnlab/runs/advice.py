"""What a run's findings come to for its user: one or two sentences, and the command to try next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config.chosen import says
from nnlab.config.command_line import of_run
from nnlab.config.overrides import amended

SHOWN = 3  # findings with their sentences; the others only counted


def command(overrides: Sequence[str], override: str, directory: Path) -> str:
    """The command of the run in `directory`, amended by a finding's override.

    >>> command(["optimizer=sgd", "optimizer.learning_rate=10"], "optimizer.learning_rate=0.1", Path("nowhere"))
    'nnlab train optimizer=sgd optimizer.learning_rate=0.1'
    """
    return of_run("train", amended(overrides, shlex.split(override)), directory, composes=True)


def advice(findings: Sequence[Mapping[str, Any]], overrides: Sequence[str], directory: Path) -> list[str]:
    """Lines for the end of a run: nothing where nothing is wrong.

    Args:
        findings: as `result.json` has them.
        overrides: of the run's command.
        directory: of the run.
    """
    faults = [finding for finding in findings if finding["severity"] == "fault"]
    lines = [
        f"diagnosis: {_symptom(finding)}{finding['where']}: {finding['explanation']}" for finding in faults[:SHOWN]
    ]
    if len(faults) > SHOWN:
        lines.append(f"           and {len(faults) - SHOWN} more: {of_run('diagnose', [str(directory)], directory)}")
    remedies = [finding["override"] for finding in faults if finding["override"]]
    if remedies:
        lines.append(f"try:  {command(overrides, remedies[0], directory)}")
    further = [finding for finding in findings if finding["name"] == "better_still" and finding["override"]]
    if remedies and further:
        gives = further[0]["observed"].partition(":")[0]
        lines.append(f"or:   {command(overrides, further[0]['override'], directory)}   ({gives})")
    tried = any(finding.get("tried") for finding in faults)
    if faults and not tried and not faults[0].get("certain", False):
        probe = of_run("diagnose", [str(directory), "--probe"], directory)
        lines.append(f"or:   {probe}   (looks for the cause by experiment)")
    return lines


def _symptom(finding: Mapping[str, Any]) -> str:
    """What happened is not why: said of a finding that names no cause."""
    return "a symptom, its cause is not known: " if finding.get("symptom") else ""


def effective(findings: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Findings without the overrides that a run's config already has."""
    return [
        {**finding, "override": shlex.join(w for w in shlex.split(finding["override"]) if not says(config, w))}
        for finding in findings
    ]
