"""Configs: where they live, how they are composed, checked and compared. The only floor that knows Hydra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnlab.config.checking import check
from nnlab.config.comparison import difference, identity
from nnlab.config.folder import config_folder

__all__ = ["check", "compose", "config_folder", "difference", "identity"]


def compose(*overrides: str, config_name: str = "train", config_dir: str | Path | None = None) -> dict[str, Any]:
    """The config that `nnlab <config_name> <overrides>` would run, as plain dictionaries, resolved and checked.

    Args:
        overrides: as on the command line, such as `"optimizer=sgd"` or `"trainer.epochs=3"`.
        config_name: the primary config.
        config_dir: a folder with options of your own, laid out as nnlab's configs.

    Raises:
        UserError: an override, an option or a file is wrong; one sentence says what and where.
    """
    from nnlab.config.composition import compose as with_hydra  # Hydra takes a quarter of a second to import

    return with_hydra(overrides, config_name, config_dir)
