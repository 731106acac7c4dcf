"""Examples with known targets that a run was not trained on, encoded as its own data were."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnlab.config.build import load_dataset
from nnlab.console import counted, silenced
from nnlab.data.image_folder import SPLITS, class_folders
from nnlab.data.rules import TargetRule
from nnlab.data.table.column import Frame, as_frame
from nnlab.errors import UserError
from nnlab.runs.examples import Piece, pieces
from nnlab.runs.networks import Networks
from nnlab.storage.files import at
from nnlab.types import Dataset, Split, Task

log = logging.getLogger(__name__)


def moved_dataset(networks: Networks, path: str | Path) -> Dataset | None:
    """The run's own data, found at another path; None where other data are there."""
    config = {**networks.config, "data": {**networks.config["data"], "path": str(path)}}
    try:
        with silenced():
            dataset = load_dataset(config)
    except UserError:
        return None
    return dataset if dataset.fingerprint == networks.fitted.fingerprint else None


def labelled_examples(networks: Networks, path: str | Path, text: Mapping[str, Any] | None = None) -> Iterator[Split]:
    """All examples of a file or folder, with their targets, as the run's networks take them, piece by piece.

    Args:
        networks: of the run.
        path: where the examples are.
        text: how a text table is written, as `pieces` takes it.

    Raises:
        UserError: there are no targets, a class is unknown, or the inputs are not those that the run needs.
    """
    pipeline = networks.fitted.pipeline
    check_classes(at(path), pipeline.target)
    unseen: Counter[str] = Counter()
    sample, target_sample = pipeline.sample(), pipeline.target_sample()
    found = missing = 0
    notes: tuple[str, ...] = ()
    for piece in pieces(path, pipeline, networks.config["data"], text):
        known, values = _known(piece, pipeline.target, path)
        found += len(known)
        missing += len(piece) - len(known)
        notes = piece.notes
        if len(known):
            encoded = pipeline.encode(piece.inputs[known])
            unseen.update(encoded.unseen)
            if (frame := pipeline.frame(piece.inputs[known])) is not None:
                sample.add(frame)
            if pipeline.target.ranges and np.asarray(values).dtype.kind in "iuf":
                columns = np.asarray(values, dtype=np.float64).reshape(len(known), -1)
                target_sample.add(as_frame(dict(zip(pipeline.target.names, columns.T, strict=True))))
            try:
                targets = pipeline.target.encode(values)
            except UserError as error:
                raise UserError(f"{path}: {error}") from error
            yield Split(encoded.inputs, targets)
    if not found:
        raise UserError(f"{path} has no row with a target")
    if notes:
        log.info("%s is read so: %s", Path(path).name, "; ".join(notes))
    for line in (*pipeline.doubts(unseen, found), *sample.doubts(), *target_sample.doubts()):
        log.warning("%s: %s", path, line)
    if missing:
        words = counted(missing, "row", "has no target and is left out", "have no target and are left out")
        log.warning("%s: %s", path, words)


def check_classes(folder: Path, rule: TargetRule) -> None:
    """Refuse a folder of images whose folders are splits where classes should be.

    Raises:
        UserError: names one of them.
    """
    names = class_folders(folder) if folder.is_dir() else []
    splits = [name for name in names if name.lower() in SPLITS]
    if splits and not set(names) & set(rule.names):
        raise UserError(f"{folder} holds splits, {', '.join(splits)}, and no classes; give one, {folder / splits[-1]}")


def _known(piece: Piece, rule: TargetRule, path: str | Path) -> tuple[np.ndarray, Any]:
    """Positions of the examples whose target is known, and their targets.

    Raises:
        UserError: there are no targets.
    """
    if not isinstance(piece.inputs, Frame):
        if piece.targets is None:
            raise UserError(f"{path} has no targets to measure with; `nnlab predict` needs none")
        return np.arange(len(piece)), piece.targets
    names = [rule.column] if rule.column else list(rule.names)
    absent = [name for name in names if name not in piece.columns]
    if absent:
        raise UserError(f"{path} has no target `{absent[0]}` to measure with; `nnlab predict` needs none")
    columns = [piece.columns[name] for name in names]
    known = np.flatnonzero(~np.logical_or.reduce([column.missing for column in columns]))
    taken = [column.take(known) for column in columns]
    if rule.column and rule.task is not Task.REGRESSION:
        return known, taken[0]
    numbers = np.column_stack([column.numbers() for column in taken])
    if rule.task is Task.REGRESSION:
        return known, numbers
    return known, np.array(rule.names, dtype=object)[numbers.argmax(1)]
