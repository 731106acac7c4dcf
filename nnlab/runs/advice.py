"""What a run's findings come to for its user: one or two sentences, and the command to try next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config.overrides import amended

SHOWN = 2  # findings with their sentences; the others only counted


def command(overrides: Sequence[str], override: str) -> str:
    """The run's command, amended by a finding's override.

    >>> command(["optimizer=sgd", "optimizer.learning_rate=10"], "optimizer.learning_rate=0.1")
    'nnlab train optimizer=sgd optimizer.learning_rate=0.1'
    """
    return shlex.join(["nnlab", "train", *amended(overrides, shlex.split(override))])


def advice(findings: Sequence[Mapping[str, Any]], overrides: Sequence[str], directory: Path) -> list[str]:
    """Lines for the end of a run: nothing where nothing is wrong.

    Args:
        findings: as `result.json` has them.
        overrides: of the run's command.
        directory: of the run.
    """
    faults = [finding for finding in findings if finding["severity"] == "fault"]
    lines = [f"diagnosis: {finding['where']}: {finding['explanation']}" for finding in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"           and {len(faults) - SHOWN} more: nnlab diagnose {shlex.quote(str(directory))}")
    remedies = [finding["override"] for finding in faults if finding["override"]]
    return lines + ([f"try:  {command(overrides, remedies[0])}"] if remedies else [])
