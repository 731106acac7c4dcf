"""`resume=RUN`: the config that a run left behind, with further overrides, in place of a composed one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnlab.cli import messages
from nnlab.cli.composition import hydra_for
from nnlab.cli.grammar import parsed
from nnlab.cli.job_config import plain
from nnlab.config.checking import check
from nnlab.config.dotted import exists
from nnlab.errors import UserError
from nnlab.storage.directories import begun_at
from nnlab.storage.folder import CONFIG, read_config


def resumed(run: str, overrides: Sequence[str], schema: str) -> DictConfig:
    """The config that a run left behind, with further overrides applied; components cannot be exchanged.

    Raises:
        UserError: there is no such run, or an override is wrong.
    """
    try:
        directory = begun_at(run)
    except UserError as error:
        raise UserError(str(error).replace(f"`{run}`", f"`resume={run}`", 1)) from error
    config = OmegaConf.create(read_config(directory))
    with hydra_for(schema) as hydra:
        for override in parsed(overrides):
            key, line = override.key_or_group, override.input_line
            if override.is_sweep_override() or override.is_delete():
                raise UserError(f"`{line}` cannot go with `resume=`, which continues one run as it is")
            if hydra.config_loader.options(key):
                raise UserError(f"`{line}` cannot go with `resume=`, which continues a run with its own components")
            if not override.is_add() and not exists(config, key):
                raise UserError(messages.unknown_key(key, OmegaConf.to_container(config), []))
            try:
                OmegaConf.update(config, key, override.value(), merge=True, force_add=True)
            except OmegaConfBaseException as error:
                raise UserError(f"`{line}` cannot be read: {messages.first_line(error)}") from error
    config.resume = str(directory)
    return config


def continued(run: str, overrides: Sequence[str], schema: str) -> dict[str, Any]:
    """The plain and checked config with which a run continues.

    Raises:
        UserError: there is no such run, or a value is wrong.
    """
    content = plain(resumed(run, overrides, schema))
    check(content, list(overrides), config_name=schema, file=Path(content["resume"]) / CONFIG)
    return content


def take_resume(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Split `resume=RUN` off the arguments, for the name of a run holds `=` and `,`, which Hydra would interpret.

    Raises:
        UserError: it is empty.

    >>> take_resume(["trainer.epochs=50", "resume=outputs/train/optimizer=adam,seed=1"])
    (['trainer.epochs=50'], 'outputs/train/optimizer=adam,seed=1')
    """
    values = [each.removeprefix("resume=") for each in arguments if each.startswith("resume=")]
    rest = [each for each in arguments if not each.startswith("resume=")]
    if values and not values[-1].strip("'\" "):
        raise UserError("`resume=` names no run; write `resume=outputs/train/RUN`, or leave it out for a new run")
    return rest, next((value for value in reversed(values) if value != "null"), None)
