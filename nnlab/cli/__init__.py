"""The command line: with `hydra_plugins`, the only room that knows Hydra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnlab.cli.dispatch import main

__all__ = ["compose", "main"]


def compose(*overrides: str, config_name: str = "train", config_dir: str | Path | None = None) -> dict[str, Any]:
    """The config that `nnlab <config_name> <overrides>` would run, as plain dictionaries, resolved and checked.

    Args:
        overrides: as on the command line, such as `"optimizer=sgd"` or `"trainer.epochs=3"`.
        config_name: the primary config.
        config_dir: a folder with options of your own, laid out as nnlab's configs.

    Raises:
        UserError: an override, an option or a file is wrong; one sentence says what and where.
    """
    from nnlab.cli.composition import compose as with_hydra  # Hydra takes a quarter of a second to import
    from nnlab.config import trust

    trust.grant_typed(overrides)
    if config_dir is not None:
        trust.reading(config_dir)

    return with_hydra(overrides, config_name, config_dir)
