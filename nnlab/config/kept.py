"""The config that a run keeps, read whole: a file that was cut off between two lines is YAML all the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnlab.config.checking import section_mistakes
from nnlab.config.folder import config_folder, primary
from nnlab.config.schema import with_defaults
from nnlab.errors import UserError
from nnlab.storage.folder import CONFIG, read_config

BESIDE = ("regularizer", "callbacks", "trainer", "seed")  # what a run has besides the parts that it cannot do without


def kept_config(directory: Path) -> dict[str, Any]:
    """The resolved config of a run, from which its network and its data can be built.

    Raises:
        UserError: `directory` is no run directory, or the file is damaged.
    """
    config = read_config(directory)
    required = list(primary("train", config_folder()).required())
    for key in (*required, *BESIDE):
        if key not in config:
            raise UserError(f"`{directory / CONFIG}` is damaged: `{key}` is missing")
    for key in (*required, "trainer"):
        if not isinstance(config[key], Mapping) or "_target_" not in config[key]:
            raise UserError(f"`{directory / CONFIG}` is damaged: `{key}._target_` is missing")
    for mistake in section_mistakes({key: config[key] for key in required}):
        raise UserError(f"{mistake.sentence} (in {directory / CONFIG})")
    return {**config, "trainer": with_defaults(config["trainer"])}
