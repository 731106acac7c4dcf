"""Loading a run back: its networks with their best weights."""

from __future__ import annotations

from pathlib import Path

from nnlab.config.build import build_trainer
from nnlab.config.kept import kept_config
from nnlab.runs.continuation import check_unedited
from nnlab.runs.own_data import check_unchanged
from nnlab.storage.checkpoint import load_best
from nnlab.storage.run import Run
from nnlab.training import Trainer, checkpoint


def load_run(directory: Path) -> Trainer:
    """The trainer of a run with its best weights.

    Raises:
        UserError: it is no run directory, has no checkpoint, or its data have changed.
    """
    config = kept_config(directory)
    run = Run(directory, [0], config)
    trainer = build_trainer([{**config, "callbacks": {}}], [run])
    check_unchanged(directory, trainer.members[0].dataset)
    state = load_best(run.checkpoints)
    check_unedited(directory, state, config)
    checkpoint.restore_best(trainer, [state])
    return trainer
