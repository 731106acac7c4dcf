"""The examples of a run's data whose labels look wrong, by networks of its config that have not seen them."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnlab.config.build import build_source, data_root, data_seed, load_dataset, loss_tasks
from nnlab.config.kept import kept_config
from nnlab.data.once import read_once
from nnlab.data.raw import Raw
from nnlab.data.splits import Indices
from nnlab.data.table.column import Frame
from nnlab.errors import UserError
from nnlab.runs.out_of_fold import out_of_fold
from nnlab.runs.own_data import check_unchanged
from nnlab.statistics.label_errors import issues, margins, suggested
from nnlab.storage.directories import run_at
from nnlab.storage.files import write_whole
from nnlab.storage.spreadsheet import safe
from nnlab.streaming import Streamed
from nnlab.training.evaluation import SPLITS
from nnlab.types import Dataset, Split, Task

FOLDS = 4
INFORMED = 0.1  # share of a constant's mistakes that networks avoid, from which they know something


@dataclass(frozen=True)
class Suspect:
    """An example, from the worst label on.

    Attributes:
        split: that it is in.
        place: where it stands in the source, from 0: its row, or its number among the images.
        file: of an image in a folder, from the folder on; else empty.
        label: that it has.
        suggested: the likeliest other class.
        probability: of its label, by a network that has not seen it.
        other: probability of the suggested class.
        issue: whether confident learning counts the label as wrong.
    """

    split: str
    place: int
    file: str
    label: str
    suggested: str
    probability: float
    other: float
    issue: bool


@dataclass(frozen=True)
class RankedLabels:
    """All examples of a run's data, worst label first.

    Attributes:
        suspects: the examples.
        accuracy: share of the labels that networks which have not seen the example give it, too.
        constant: share that the most frequent class would give.
        raw: the examples as they were read.
        test_rows: whether the test split was taken from the examples, and not brought by the data set.
    """

    suspects: list[Suspect]
    accuracy: float
    constant: float
    raw: Raw
    test_rows: bool

    @property
    def issues(self) -> int:
        """How many labels are counted as wrong."""
        return sum(suspect.issue for suspect in self.suspects)

    @property
    def informed(self) -> bool:
        """Whether the networks know enough for their doubts to say something about labels."""
        return self.accuracy - self.constant > INFORMED * (1 - self.constant)

    def where(self, suspect: Suspect) -> str:
        """Where an example stands: a line or row of a table, a file, or its index in the source, from 0."""
        source = self._source(suspect)
        if isinstance(source, Frame):
            return source.place(suspect.place)
        return suspect.file or f"{'test ' if source is not self.raw.inputs else ''}example {suspect.place}"

    def cells(self, suspect: Suspect) -> dict[str, str]:
        """The cells of a row of a table, or the numbers of a vector by name; nothing of an image."""
        source, place = self._source(suspect), suspect.place
        if isinstance(source, Frame):
            found = source[torch.tensor([place])].columns
            texts = {name: column.as_text() for name, column in found.items()}
            return {name: text.levels[text.values[0]] if text.values[0] >= 0 else "" for name, text in texts.items()}
        example = _example(source, place)
        if example.dim() > 1:
            return {}
        names = self.raw.columns or tuple(map(str, range(len(example))))
        return {name: f"{value:.6g}" for name, value in zip(names, example.tolist(), strict=True)}

    def image(self, suspect: Suspect) -> Tensor | None:
        """The image (K, H, W) of an example; None of anything else."""
        source = self._source(suspect)
        if isinstance(source, Frame):
            return None
        example = _example(source, suspect.place)
        return example if example.dim() == 3 else None

    def _source(self, suspect: Suspect) -> Any:
        own = suspect.split == "test" and self.raw.test is not None and not self.test_rows
        return self.raw.test[0] if own and self.raw.test else self.raw.inputs


def rank_labels(run: str | Path, folds: int = FOLDS) -> RankedLabels:
    """Rank all examples of a run's data by how wrong their labels look.

    `folds` networks of the run's config train as one population, each on all splits together without its part, and
    predict that part; augmentation and early stopping are those of the run.

    Raises:
        UserError: there is no such run, its data are not here or have changed, or it predicts no classes.
    """
    directory = run_at(run)
    config = kept_config(directory)
    dataset = load_dataset(config)
    if dataset.task is Task.REGRESSION:
        raise UserError(f"`{run}` predicts numbers; only the labels of classes can be ranked")
    check_unchanged(directory, dataset)
    raw, rows, files = _read(config)
    found = out_of_fold(config, folds, _merged(dataset))
    labels = torch.cat([getattr(dataset, split).targets for split in SPLITS])
    probabilities = _probabilities(found.prediction)
    margin, other = margins(probabilities, labels), suggested(probabilities, labels)
    wrong = issues(probabilities, labels)
    splits = [(split, place) for split in SPLITS for place in _places(split, rows, dataset)]
    suspects = []
    for position in margin.argsort(stable=True).tolist():
        split, place = splits[position]
        label, instead = int(labels[position]), int(other[position])
        suspects.append(
            Suspect(
                split,
                place,
                files[place] if files and not (split == "test" and not len(rows.test)) else "",
                dataset.target_names[label],
                dataset.target_names[instead],
                float(probabilities[position, label]),
                float(probabilities[position, instead]),
                bool(wrong[position]),
            )
        )
    accuracy = float((probabilities.argmax(1) == labels).double().mean())
    constant = float(labels.bincount().max()) / len(labels)
    return RankedLabels(suspects, accuracy, constant, raw, bool(len(rows.test)))


def write_table(path: Path, ranked: RankedLabels) -> None:
    """Write all examples as CSV, the worst label first; text from the data is no formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    fields = [field.name for field in dataclasses.fields(Suspect)]
    writer.writerow(["rank", "where", *fields])
    for rank, suspect in enumerate(ranked.suspects, start=1):
        cells = [rank, ranked.where(suspect), *(getattr(suspect, field) for field in fields)]
        writer.writerow([safe(cell) for cell in cells])
    write_whole(path, text.getvalue())


def _read(config: Mapping[str, Any]) -> tuple[Raw, Indices, Sequence[str]]:
    """The raw examples, the rows of each split, and the files of images, if each is one."""
    source, seed, root = build_source(config), data_seed(config), data_root(config)
    raw, _ = read_once(source, loss_tasks(config), seed, root)
    rows = source.limited(raw, source.rows(raw, seed), seed)
    paths = source.files(root) or ()
    if len(paths) < 2 or len(paths) != len(raw.targets):
        return raw, rows, ()
    folder = os.path.commonpath([str(path) for path in paths])
    return raw, rows, [os.path.relpath(path, folder) for path in paths]


def _places(split: str, rows: Indices, dataset: Dataset) -> list[int]:
    """The places of a split's examples in the source; those of its own test split count by themselves."""
    found: list[int] = getattr(rows, split).tolist()
    return found or list(range(len(getattr(dataset, split))))


def _example(source: Any, place: int) -> Tensor:
    """One example of a tensor, or of an array on disk."""
    return torch.as_tensor(source[place : place + 1])[0]


def _merged(dataset: Dataset) -> Dataset:
    """All splits together as the training split; validation stays, which only measures.

    Raises:
        UserError: the examples are not in memory.
    """
    parts = [getattr(dataset, split) for split in SPLITS]
    if any(isinstance(part.inputs, Streamed) for part in parts):
        raise UserError(
            "these examples are read from disk as training needs them; labels are ranked for data in memory only "
            "(`data.resident=true`, or a smaller part of the data)"
        )
    inputs, targets = (torch.cat([getattr(part, name) for part in parts]) for name in ("inputs", "targets"))
    return dataclasses.replace(dataset, train=Split(inputs, targets))


def _probabilities(prediction: Tensor) -> Tensor:
    """Probabilities (N, C) of a prediction, whose rows are scores where a margin loss trained."""
    within = bool((prediction >= 0).all()) and bool(((prediction.sum(1) - 1).abs() < 1e-3).all())
    return prediction if within else prediction.softmax(1)
