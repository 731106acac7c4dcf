"""Which option a section of a config came from, what an option says, and whether a config already says something."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any

import yaml

from nnlab.config.dotted import MISSING, get
from nnlab.config.folder import config_folder, options

Config = dict[str, Any]


def option_of(group: str, section: Mapping[str, Any]) -> str | None:
    """The option of a group whose file names the same `_target_` as a section, or None."""
    return _options(group).get(section.get("_target_"))


@functools.cache
def _options(group: str) -> dict[str | None, str]:
    """The options of a group by the `_target_` that their files name, the first of each; none where it is no group."""
    names = [file.stem for file in options(config_folder(), group)]
    return {_section_of(group, name).get("_target_"): name for name in reversed(names)}


@functools.cache
def _section_of(group: str, option: str) -> Config:
    return yaml.safe_load((config_folder() / group / f"{option}.yaml").read_text(encoding="utf-8")) or {}


def read_option(group: str, option: str) -> Config:
    """The section that an option stands for."""
    return copy.deepcopy(_section_of(group, option))


def says(config: Mapping[str, Any], override: str) -> bool:
    """Whether a config already has what an override such as `optimizer=adam` or `seed=1` would set.

    >>> says({"seed": 1, "trainer": {"clip_norm": None}}, "trainer.clip_norm=null")
    True
    """
    key, _, value = override.partition("=")
    found, wanted = get(config, key.replace("/", "."), MISSING), _read(value)
    if not _options(key):
        return found is not MISSING and bool(found == wanted)
    if isinstance(wanted, list):
        return isinstance(found, Mapping) and list(found) == wanted
    return isinstance(found, Mapping) and option_of(key, found) == wanted


@functools.lru_cache(maxsize=256)  # the runs of a study get the same advice
def _read(value: str) -> Any:
    return yaml.safe_load(value)
