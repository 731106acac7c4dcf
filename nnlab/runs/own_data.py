"""The data that a run was trained on, found again; and a sentence where they are not what they were."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnlab.config.build import load_dataset
from nnlab.console import silenced
from nnlab.errors import UserError
from nnlab.storage.fitted import read_fitted
from nnlab.types import Dataset


class ChangedData(UserError):
    """The data of a run are no longer those that it was trained on."""


def own_dataset(directory: Path, config: Mapping[str, Any]) -> Dataset:
    """The data set of a run, split as it was.

    Raises:
        UserError: the data are not there.
        ChangedData: no split is what it was.
    """
    try:
        with silenced():
            dataset = load_dataset(config)
    except UserError as error:
        hint = "; `data.path=FILE` says where the data are now" if config["data"].get("path") else ""
        raise UserError(f"{error}{hint}") from error
    check_unchanged(directory, dataset)
    return dataset


def check_unchanged(directory: Path, dataset: Dataset) -> None:
    """Refuse data that are not those that a run was trained on.

    Raises:
        ChangedData: they have changed.
    """
    before = fingerprint_of(directory)
    if before is not None and before != dataset.fingerprint:
        raise ChangedData(changed(directory, before, dataset.fingerprint))


def fingerprint_of(directory: Path) -> str | None:
    """The fingerprint of the data of a run; None where it has noted none."""
    stored = read_fitted(directory)
    return str(stored[0].get("fingerprint") or "") or None if stored else None


def changed(directory: Path, before: str, now: str) -> str:
    """The sentence about data that have changed."""
    return (
        f"the data of `{directory}` have changed since it was trained (fingerprint {before[:12]} then, {now[:12]} "
        "now: other values, or another order of rows or columns), so that what was its test split may hold examples "
        "that it was trained on; bring the data back as they were, or train again"
    )
