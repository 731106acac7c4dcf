"""The command line: with `hydra_plugins`, the only room that knows Hydra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnlab.cli.dispatch import main

__all__ = ["compose", "configure", "main", "sweep"]


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
    from nnlab.config import folder, trust

    trust.grant_typed(overrides)
    folder.note_own(config_dir)
    if config_dir is not None:
        trust.reading(config_dir)
    return with_hydra(overrides, config_name, config_dir)


def configure(
    command: str, overrides: Sequence[str], config_dir: str | Path | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The config that `nnlab <command> <overrides>` would run or continue, and the overrides without `resume=`.

    Raises:
        UserError: an override, an option or a file is wrong, or there is no run to continue.
    """
    from nnlab.cli.admission import check_single
    from nnlab.cli.continuing import continued, take_resume
    from nnlab.cli.grammar import parsed
    from nnlab.cli.short_form import expanded
    from nnlab.config import trust

    rest, names = trust.taken(overrides)
    trust.grant(names)
    rest, run = take_resume(rest)
    rest = rest if run else expanded(rest)
    check_single(parsed(rest))
    if run is None:
        return compose(*rest, config_name=command, config_dir=config_dir), rest
    trust.grant_typed(rest)
    trust.reading(run)
    return continued(run, rest, command), rest


def sweep(overrides: Sequence[str], config_dir: str | Path | None = None) -> list[Any]:
    """The results of the jobs that `nnlab train -m <overrides>` would run.

    Raises:
        UserError: an override, an option or a file is wrong.
    """
    from nnlab.cli.application import ComposedJob, swept
    from nnlab.cli.dispatch import application
    from nnlab.config import trust

    rest, names = trust.taken(overrides)
    trust.grant(names)
    trust.grant_typed(rest)
    if config_dir is not None:
        trust.reading(config_dir)
    return swept(ComposedJob("train", application("train")), rest, config_dir)
