"""The config of one job as Hydra composed it: resolved, plain and checked, and what led to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from nnlab.cli import messages
from nnlab.cli.admission import check_place
from nnlab.config import folder
from nnlab.config.checking import check
from nnlab.config.folder import primary
from nnlab.config.overrides import drop_replaced_arguments
from nnlab.config.schema import with_defaults
from nnlab.errors import UserError
from nnlab.storage.files import at


def checked_job(config: DictConfig, schema: str) -> dict[str, Any]:
    """What `checked` gives for a config as Hydra composed it, before it runs as a job."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().cfg = config  # for references such as ${hydra:job.name}; its own setter copies
    try:
        return checked(config, config.hydra, schema)
    finally:
        HydraConfig.instance().cfg = before


def checked(config: DictConfig, hydra: Any, schema: str) -> dict[str, Any]:
    """The plain, resolved and checked config of a job, given Hydra's own section.

    Raises:
        UserError: a value is wrong, missing, or refers to a key that does not exist.
    """
    content = plain(config)
    known = primary(schema, folder.config_folder())
    for section in known.sections().difference(known.required()):
        content.setdefault(section, {})  # Hydra leaves out the section of an empty list of options
    folders = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    choices = OmegaConf.to_container(hydra.runtime.choices)
    overrides = task_overrides(hydra)
    check_place(content.get("name"), content.get("output_dir"))
    if isinstance(content.get("output_dir"), str):  # the check of types says it
        content["output_dir"] = str(at(content["output_dir"]))
    drop_replaced_arguments(content, overrides)
    if isinstance(content.get("trainer"), dict):
        content["trainer"] = with_defaults(content["trainer"])
    check(content, overrides, config_name=schema, choices=choices, folders=folders)
    return content


def task_overrides(hydra: Any) -> list[str]:
    """The overrides that led to a composed config, as they were written."""
    return OmegaConf.to_container(hydra.overrides.task, resolve=False)  # type: ignore[no-any-return]


def user_folder(hydra: Any) -> str | None:
    """The folder that `--config-dir` named, by Hydra's own section of a config; None where there is none."""
    sources = hydra.runtime.config_sources
    return next((str(source.path) for source in sources if source.provider == "command-line"), None)


def plain(config: DictConfig) -> dict[str, Any]:
    """A config as dictionaries and lists without Hydra's own section, with all references resolved.

    Raises:
        UserError: a value is missing, or refers to a key that does not exist.
    """
    try:
        values = {str(key): config[key] for key in config if key != "hydra"}
        return {
            key: OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
            if OmegaConf.is_config(value)
            else value
            for key, value in values.items()
        }
    except MissingMandatoryValue as error:
        raise UserError(f"`{error.full_key}` has no value; add `{error.full_key}=...`") from error
    except OmegaConfBaseException as error:
        raise UserError(f"`{error.full_key}` cannot be resolved: {messages.first_line(error)}") from error
