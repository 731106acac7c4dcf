"""Curves over seeds for TensorBoard: one extra run, `mean/<configuration>`, for every repeated configuration.

It holds mean, mean - std and mean + std of every validation metric, at the steps that all repetitions have measured,
and of the training loss, averaged since the validation before; the mean learning rate; and the layout of CUSTOM SCALARS
that shows the others as curves in bands.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnlab.config.naming import run_name
from nnlab.storage.files import make_folder
from nnlab.study.model import REPLICATES, Configuration, Study

FOLDER = "mean"  # in the study's
TRAIN = "loss/train"
RATE = "learning_rate"

Curves = Mapping[str, Mapping[int, float]]  # values by step, by tag


def write_curves(study: Study) -> list[Path]:
    """Write what is new; returns the folders that were written."""
    due = [(each, folder) for each in study.configurations if (folder := _due(study, each)) is not None]
    for configuration, folder in due:
        runs = [read_curves(study.folder / run.name / "history.csv") for run in configuration.completed]
        _write(folder, over_seeds(runs))
    return [folder for _, folder in due]


def _due(study: Study, configuration: Configuration) -> Path | None:
    """The folder for a configuration's curves, if it is repeated and its curves are missing or older than a run."""
    runs = configuration.completed
    histories = [study.folder / run.name / "history.csv" for run in runs]
    if len(runs) < 2 or not all(file.is_file() for file in histories):
        return None
    own = [f"{key}={value}" for key, value in runs[0].overrides.items() if key not in REPLICATES]
    folder = study.folder / FOLDER / run_name(own)
    written = [file.stat().st_mtime for file in folder.glob("events.out.tfevents.*")]
    return folder if not written or max(written) < max(file.stat().st_mtime for file in histories) else None


def read_curves(path: Path) -> dict[str, dict[int, float]]:
    """Validation metrics, learning rate, and the average training loss since the validation before, by step."""
    with path.open() as file:
        names = file.readline().rstrip("\n").split(",")
        first, rate = names.index(TRAIN) + 1, names.index(RATE)
        tags = {i: name for i, name in enumerate(names) if name.endswith("/validation")}
        empty = "," * len(tags) + "\n"
        curves: dict[str, dict[int, float]] = {tag: {} for tag in (TRAIN, *tags.values(), RATE)}
        total, count = 0.0, 0
        for line in file:
            cells = line.split(",", first)
            total, count = total + float(cells[first - 1]), count + 1
            if line.endswith(empty):
                continue
            cells = line.rstrip("\n").split(",")
            step = int(cells[0])
            curves[TRAIN][step], total, count = total / count, 0.0, 0
            curves[RATE][step] = float(cells[rate])
            for i, tag in tags.items():
                if cells[i]:
                    curves[tag][step] = float(cells[i])
    return curves


def over_seeds(runs: Sequence[Curves]) -> dict[int, dict[str, float]]:
    """Mean and mean -+ standard deviation (n - 1) of every tag, by step; only steps that all runs have.

    Of the learning rate, which seeds share, there is the mean alone.
    """
    rows: dict[int, dict[str, float]] = {}
    for tag in runs[0]:
        steps = set(runs[0][tag]).intersection(*(each.get(tag, {}) for each in runs[1:]))
        for step in sorted(steps):
            values = [each[tag][step] for each in runs]
            if all(map(math.isfinite, values)):
                mean, std = statistics.fmean(values), statistics.stdev(values)
                band = (
                    {tag: mean} if tag == RATE else dict(zip(_band(tag), (mean, mean - std, mean + std), strict=True))
                )
                rows.setdefault(step, {}).update(band)
    return dict(sorted(rows.items()))


def _band(tag: str) -> tuple[str, str, str]:
    """The tags of mean, mean - std and mean + std."""
    return tag, f"{tag}_minus_std", f"{tag}_plus_std"


def _write(folder: Path, rows: Mapping[int, Mapping[str, float]]) -> None:
    from nnlab.callbacks.tensorboard import EventFile, event_files  # loads torch
    from nnlab.callbacks.tensorboard_summaries import LEARNING, band_layout
    from nnlab.training import Run

    make_folder(folder)
    for old in event_files(folder):
        old.unlink()
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
    name, _, split = tag.partition("/")
    return (f"training {name}" if split == "train" else f"{name} on {split}") + " over seeds"
