"""Curves over seeds for TensorBoard: one extra run, `mean/<configuration>`, for every repeated configuration.

It holds mean, mean - std and mean + std of every validation metric, at the steps that all repetitions have measured,
and of the training loss, averaged since the validation before; the mean learning rate; and the layout of CUSTOM SCALARS
that shows the others as curves in bands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nnlab.config.overrides import run_name
from nnlab.metric_names import title
from nnlab.storage.files import make_folder
from nnlab.storage.folder import HISTORY, MEAN, event_files, remove_events
from nnlab.storage.history import read_curves
from nnlab.study.model import REPLICATES, Configuration, Study

TRAIN = "loss/train"
RATE = "learning_rate"

Curves = Mapping[str, Mapping[int, float]]  # values by step, by tag


def write_curves(study: Study) -> list[Path]:
    """Write what is new; returns the folders that were written."""
    due = [(each, folder) for each in study.configurations if (folder := _due(study, each)) is not None]
    for configuration, folder in due:
        runs = [curves_of(study.folder / run.name) for run in configuration.completed]
        _write(folder, over_seeds(runs))
    return [folder for _, folder in due]


def _due(study: Study, configuration: Configuration) -> Path | None:
    """The folder for a configuration's curves, if it is repeated and its curves are missing or older than a run."""
    runs = configuration.completed
    histories = [study.folder / run.name / HISTORY for run in runs]
    if len(runs) < 2 or not all(file.is_file() for file in histories):
        return None
    own = [f"{key}={value}" for key, value in runs[0].overrides.items() if key not in REPLICATES]
    folder = study.folder / MEAN / run_name(own)
    written = [file.stat().st_mtime for file in event_files(folder)]
    return folder if not written or max(written) < max(file.stat().st_mtime for file in histories) else None


def curves_of(directory: Path) -> dict[str, dict[int, float]]:
    """Validation metrics, learning rate, and the mean training loss since the validation before, by step, of a run."""
    found = read_curves(directory, statistics=False)
    curves = {tag: _by_step(series.steps, series.values) for tag, series in found.validation.items()}
    rows = np.flatnonzero(np.isin(found.steps, [step for curve in curves.values() for step in curve]))
    starts = [0, *(rows[:-1] + 1)]
    means = np.array([found.losses[start : row + 1].mean() for start, row in zip(starts, rows, strict=False)])
    steps, rates = found.steps[rows], found.rates[rows]
    return {TRAIN: _by_step(steps, means), **curves, RATE: _by_step(steps, rates)}


def _by_step(steps: np.ndarray, values: np.ndarray) -> dict[int, float]:
    return dict(zip(steps.tolist(), values.tolist(), strict=True))


def over_seeds(runs: Sequence[Curves]) -> dict[int, dict[str, float]]:
    """Mean and mean -+ standard deviation (n - 1) of every tag, by step; only steps that all runs have.

    Of the learning rate, which seeds share, there is the mean alone.
    """
    rows: dict[int, dict[str, float]] = {}
    for tag in runs[0]:
        steps = sorted(set(runs[0][tag]).intersection(*(each.get(tag, {}) for each in runs[1:])))
        values = np.array([[each[tag][step] for step in steps] for each in runs])
        finite = np.isfinite(values).all(0)
        mean, std = values[:, finite].mean(0), values[:, finite].std(0, ddof=1)
        band = {tag: mean} if tag == RATE else dict(zip(_band(tag), (mean, mean - std, mean + std), strict=True))
        columns = np.array(steps)[finite], *band.values()
        for step, *row in zip(*(column.tolist() for column in columns), strict=True):
            rows.setdefault(step, {}).update(zip(band, row, strict=True))
    return dict(sorted(rows.items()))


def _band(tag: str) -> tuple[str, str, str]:
    """The tags of mean, mean - std and mean + std."""
    return tag, f"{tag}_minus_std", f"{tag}_plus_std"


def _write(folder: Path, rows: Mapping[int, Mapping[str, float]]) -> None:
    from nnlab.callbacks.tensorboard import EventFile  # loads torch
    from nnlab.callbacks.tensorboard_summaries import LEARNING, band_layout
    from nnlab.storage.run import Run

    make_folder(folder)
    remove_events(folder)
    run = Run(folder, [])
    events = EventFile(run)
    tags = [tag for tag in next(iter(rows.values()), {}) if tag != RATE and not tag.endswith("_std")]
    events.summaries(0, [band_layout(LEARNING, {_title(tag): _band(tag) for tag in tags})])
    for step, values in rows.items():
        events.scalars(step, values)
    run.close()


def _title(tag: str) -> str:
    """What a chart says of a tag.

    >>> _title("loss/train"), _title("accuracy/validation")
    ('training loss over seeds', 'accuracy on validation over seeds')
    """
    metric, _, split = tag.partition("/")
    name = title(metric)
    return (f"training {name}" if split == "train" else f"{name} on {split}") + " over seeds"
