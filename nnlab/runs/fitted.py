"""What a run needs besides its weights to be used: the fitted pipeline, the shape of inputs, the classes' frequencies.

With these, a run folder can be used where its data are not; and the fingerprint says whether data found again are
those that it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnlab.config.construct import construct
from nnlab.data.pipeline import Pipeline
from nnlab.errors import UserError
from nnlab.storage.fitted import read_fitted, write_fitted
from nnlab.types import Dataset, Split, Task


@dataclass(frozen=True)
class Fitted:
    """What was fitted on a training split.

    Attributes:
        pipeline: from raw examples to network inputs, and from outputs to targets.
        fingerprint: of the data; see `nnlab.data.fingerprint`.
        input_shape: of one example as the network sees it.
        examples: in the training, validation and test split.
        class_counts: training examples of each class; empty for a regression.
    """

    pipeline: Pipeline
    fingerprint: str
    input_shape: tuple[int, ...]
    examples: tuple[int, int, int]
    class_counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> Fitted | None:
        """What a data set has fitted; None for one that was made by hand, without a pipeline."""
        if dataset.pipeline is None:
            return None
        counts: list[int] = []
        if dataset.task is not Task.REGRESSION:
            counts = torch.bincount(dataset.train.targets.cpu(), minlength=dataset.target_size).tolist()
        sizes = (len(dataset.train), len(dataset.validation), len(dataset.test))
        return cls(dataset.pipeline, dataset.fingerprint, dataset.input_shape, sizes, tuple(counts))

    def write(self, directory: Path) -> None:
        """Write it into a run's folder."""
        content = {
            "fingerprint": self.fingerprint,
            "input_shape": list(self.input_shape),
            "examples": list(self.examples),
            "class_counts": list(self.class_counts),
            "pipeline": self.pipeline.to_json(),
        }
        write_fitted(directory, content, self.pipeline.arrays())

    def blank_dataset(self) -> Dataset:
        """A data set without examples, of the shapes, names and class frequencies that networks are built from."""
        target = self.pipeline.target
        size = len(target.names)
        if target.task is Task.REGRESSION:
            targets: Tensor = torch.empty(0, size)
        else:
            targets = torch.arange(size).repeat_interleave(torch.tensor(self.class_counts or (1,) * size))
        empty = Split(torch.empty(0, *self.input_shape), torch.empty(0, *targets.shape[1:], dtype=targets.dtype))
        train = Split(empty.inputs, targets)
        units = target.units(torch.float32)
        return Dataset(train, empty, empty, target.task, target.names, units, pipeline=self.pipeline)


def read(directory: Path, config: Mapping[str, Any]) -> Fitted:
    """What a run has stored.

    Args:
        directory: the run's folder.
        config: its config, which names a preprocessing of the user's own.

    Raises:
        UserError: there is nothing, or it is damaged.
    """
    stored = read_fitted(directory)
    if stored is None:
        raise UserError(
            f"`{directory}` holds no fitted pipeline (pipeline.json): its network cannot be used on raw inputs. A run "
            "that an older nnlab made can be trained again with `nnlab reproduce` or `nnlab train`"
        )
    content, arrays = stored
    construct(config["data"].get("preprocessing"), "data/preprocessing")  # so that its transform is known
    try:
        return Fitted(
            pipeline=Pipeline.from_stored(content["pipeline"], arrays),
            fingerprint=str(content["fingerprint"]),
            input_shape=tuple(int(size) for size in content["input_shape"]),
            examples=tuple(int(count) for count in content["examples"]),  # type: ignore[arg-type]
            class_counts=tuple(int(count) for count in content["class_counts"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"`{directory}`: the stored pipeline is damaged ({error})") from error
