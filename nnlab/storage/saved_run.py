"""A run read back from its folder: config, overrides, losses of every step, validation metrics, statistics, result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnlab.errors import UserError
from nnlab.storage.files import at
from nnlab.storage.folder import read_config, read_overrides, read_result
from nnlab.storage.history import VALIDATION, Curves, Series, read_curves


@dataclass(frozen=True)
class SavedRun:
    """The contents of a run directory.

    Attributes:
        directory: the folder.
        config: the resolved config.
        overrides: what the command line gave.
        result: how it ended, or None where the run has not ended.
        curves: what it has seen.
    """

    directory: Path
    config: Mapping[str, Any]
    overrides: Sequence[str]
    result: Mapping[str, Any] | None
    curves: Curves

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.directory.resolve().name

    @property
    def steps(self) -> np.ndarray:
        """1, 2, ... (T,)."""
        return self.curves.steps

    @property
    def losses(self) -> np.ndarray:
        """Minibatch losses (T,)."""
        return self.curves.losses

    @property
    def metrics(self) -> dict[str, Series]:
        """Validation metrics by name, `loss` and `accuracy` for instance."""
        return {tag.removesuffix(VALIDATION): series for tag, series in self.curves.validation.items()}

    @property
    def steps_per_epoch(self) -> float | None:
        """Updates in an epoch, or None before the first."""
        steps, epochs = self.curves.steps, self.curves.epochs
        return round(steps[-1] / epochs[-1]) if len(steps) and epochs[-1] > 0 else None

    def layers(self, kind: str) -> dict[str, Series]:
        """The statistics of one kind, such as `activation_std`, by layer."""
        prefix = f"{kind}/"
        return {tag.removeprefix(prefix): s for tag, s in self.curves.statistics.items() if tag.startswith(prefix)}


def read_run(directory: str | Path) -> SavedRun:
    """Read a run; one that is still training, too.

    Raises:
        UserError: `directory` is no run directory, or a file in it cannot be read.
    """
    folder = at(directory)
    if not folder.is_dir():
        raise UserError(f"there is no folder `{directory}`")
    config, overrides = read_config(folder), read_overrides(folder) or []
    return SavedRun(folder, config, overrides, read_result(folder), read_curves(folder))
