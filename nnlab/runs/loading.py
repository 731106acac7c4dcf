"""Loading a run back: its networks with their best weights."""

from __future__ import annotations

from pathlib import Path

from nnlab.callbacks import SnapshotEnsemble
from nnlab.config.build import build_trainer
from nnlab.errors import UserError
from nnlab.storage.checkpoint import load_best, load_newest
from nnlab.storage.folder import read_config
from nnlab.storage.run import Run
from nnlab.training import Trainer, checkpoint
from nnlab.training.evaluation import Evaluation
from nnlab.training.final import evaluation_of


def load_run(directory: Path) -> Trainer:
    """The trainer of a run with its best weights, and with the snapshots of a snapshot ensemble.

    Raises:
        UserError: it is no run directory, or has no checkpoint.
    """
    config = read_config(directory)
    run = Run(directory, [0], config)
    trainer = build_trainer([{**config, "callbacks": {}}], [run])
    checkpoint.restore_best(trainer, [load_best(run.checkpoints)])
    for callback in trainer.callbacks:
        if isinstance(callback, SnapshotEnsemble):
            state = load_newest(run.checkpoints)
            if state is None:
                raise UserError(f"`{run.checkpoints}` has no checkpoint with the snapshots")
            callback.load_state(0, state["members"][0]["callbacks"][type(callback).__name__])
    return trainer


def snapshot_evaluation(trainer: Trainer, split: str) -> Evaluation | None:
    """Evaluation of a loaded run's snapshots on a split, the newest first; None where it has none."""
    for callback in trainer.callbacks:
        if isinstance(callback, SnapshotEnsemble) and (found := callback.snapshots(trainer, 0)) is not None:
            return evaluation_of(trainer, *found, 0, split)
    return None
