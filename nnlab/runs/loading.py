"""Loading a run back: its networks with their best weights."""

from __future__ import annotations

from pathlib import Path

from nnlab.callbacks import SnapshotEnsemble
from nnlab.config.build import build_trainer
from nnlab.errors import UserError
from nnlab.runs.own_data import check_unchanged
from nnlab.storage.checkpoint import load_best, load_newest
from nnlab.storage.folder import read_config
from nnlab.storage.run import Run
from nnlab.training import Trainer, checkpoint


def load_run(directory: Path) -> Trainer:
    """The trainer of a run with its best weights, and with the snapshots of a snapshot ensemble.

    Raises:
        UserError: it is no run directory, has no checkpoint, or its data have changed.
    """
    config = read_config(directory)
    run = Run(directory, [0], config)
    trainer = build_trainer([{**config, "callbacks": {}}], [run])
    check_unchanged(directory, trainer.members[0].dataset)
    checkpoint.restore_best(trainer, [load_best(run.checkpoints)])
    for callback in trainer.callbacks:
        if isinstance(callback, SnapshotEnsemble):
            state = load_newest(run.checkpoints)
            if state is None:
                raise UserError(f"`{run.checkpoints}` has no checkpoint with the snapshots")
            callback.load_state(0, state["members"][0]["callbacks"][type(callback).__name__])
    return trainer
