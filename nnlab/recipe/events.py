"""TensorBoard events of the trials: each a run of its own under its step, with the curves that its report keeps."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np

from nnlab.callbacks import tensorboard_summaries as summaries
from nnlab.callbacks.tensorboard import EventFile
from nnlab.recipe.report import Report, TrialRecord
from nnlab.storage.files import make_folder
from nnlab.storage.folder import remove_events
from nnlab.storage.run import Run

CHARTS = {  # of CUSTOM SCALARS
    "Trials": {
        "training loss": [r"loss/train$"],
        "loss on validation": [r"loss/validation$"],
        "accuracy or error on validation": [r"(accuracy|rmse)/validation$"],
    }
}


def write_events(folder: Path, report: Report) -> None:
    """Write `step<number>/<trial>/` below the recipe's folder, anew where it is already there."""
    for trial in report.trials:
        directory = folder / f"step{report.number}" / slug(trial.name)
        make_folder(directory)
        remove_events(directory)
        run = Run(directory, [0])
        _write(EventFile(run), trial)
        run.close()


def slug(name: str) -> str:
    """A trial's name as the name of a folder.

    >>> slug("rate 0.1 decay 1e-05 widths [64, 64] seed 0")
    'rate_0.1_decay_1e-05_widths_64_64_seed_0'
    """
    return re.sub(r"[^\w.=+-]+", "_", name).strip("_")


def _write(file: EventFile, trial: TrialRecord) -> None:
    file.summaries(0, [summaries.layout(CHARTS)])
    together: dict[tuple[float, ...], dict[str, np.ndarray]] = {}
    for tag, (steps, values) in trial.curves.items():
        together.setdefault(tuple(steps), {})[tag] = np.asarray(values, dtype=np.float64)
    for at, block in together.items():
        file.scalar_block(np.asarray(at, dtype=np.int64), block, time.time())
