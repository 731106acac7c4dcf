"""Loading a run back: its networks with their best weights."""

from __future__ import annotations

from pathlib import Path

from nnlab.build import build_trainer
from nnlab.training import Run, Trainer, checkpoint
from nnlab.training.run import read_config


def load_run(directory: Path) -> Trainer:
    """The trainer of a run with its best weights.

    Raises:
        UserError: it is no run directory, or has no checkpoint.
    """
    config = read_config(directory)
    run = Run(directory, [0], config)
    trainer = build_trainer([{**config, "callbacks": {}}], [run])
    checkpoint.restore_best(trainer, [checkpoint.load_best(directory / "checkpoints")])
    return trainer
