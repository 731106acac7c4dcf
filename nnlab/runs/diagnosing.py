"""The diagnosis of a run that has ended or stopped, from its files."""

from __future__ import annotations

from pathlib import Path

from nnlab.callbacks.history_file import read_back
from nnlab.config.build import build_trainer
from nnlab.config.kept import kept_config
from nnlab.diagnosis import Finding, RunRecord, diagnose
from nnlab.diagnosis.measure import records
from nnlab.runs.continuation import check_unedited
from nnlab.storage.checkpoint import load_best, load_newest
from nnlab.storage.directories import run_at
from nnlab.storage.folder import read_result
from nnlab.storage.history import read_curves
from nnlab.storage.run import Run
from nnlab.training import checkpoint


def records_of(directory: str | Path) -> list[RunRecord]:
    """The records of a run's members, from its curves, statistics and last weights.

    Raises:
        UserError: `directory` is no run, or what it needs (data, a checkpoint) is not there.
    """
    folder = run_at(directory)
    config = kept_config(folder)
    run = Run(folder, [0], config)
    trainer = build_trainer([{**config, "callbacks": {}}], [run])
    state = load_newest(run.checkpoints)
    check_unedited(folder, state or load_best(run.checkpoints), config)
    if state is not None:
        checkpoint.resume(trainer, [state])
    else:
        checkpoint.restore_best(trainer, [load_best(run.checkpoints)])
    del state  # the trainer has it now
    steps = read_curves(folder, statistics=False).steps
    read_back(trainer, run, min(int(steps.max(initial=0)), trainer.total_steps))
    result = read_result(folder)
    for member in run.members:
        outcome = trainer.outcomes[member]
        if outcome.status == "running":
            outcome.status = result["status"] if result else "interrupted"
            outcome.reason = result["reason"] if result else ""
    return list(records(trainer))


def diagnose_run(directory: str | Path) -> list[list[Finding]]:
    """The findings about every member of a run; those after experiments where it was followed by any.

    Raises:
        UserError: see `records_of`.
    """
    kept = (read_result(run_at(directory)) or {}).get("diagnosis", [])
    if any(finding.get("tried") for finding in kept):
        return [[Finding.from_dict(finding) for finding in kept]]
    return [diagnose(record) for record in records_of(directory)]
