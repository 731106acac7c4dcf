"""Changes of a configuration: options exchanged and values set, on plain dictionaries and as overrides to type."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from nnlab.config import config_folder
from nnlab.config.chosen import read_option
from nnlab.config.dotted import put

Config = dict[str, Any]

# Values by dotted key (`optimizer.learning_rate`), or an option, or a list of options, by group (`optimizer`).
Changes = Mapping[str, Any]

# No weight decay, dropout, early stopping or ensemble, and every example as it is.
UNREGULARIZED: dict[str, Any] = {"regularizer": [], "data/augmentation": []}


def changed(config: Mapping[str, Any], changes: Changes) -> Config:
    """A config with the changes, which shares with the old one what is the same; options are exchanged first."""
    result: Config = dict(config)
    for group, chosen in changes.items():
        if is_group(group) and isinstance(chosen, str | list):
            _exchange(_opened(result, group.split("/")[:-1]), group, chosen)
    for key, value in changes.items():
        if not (is_group(key) and isinstance(value, str | list)):
            *path, last = key.split(".")
            put(_opened(result, path), last, value)
    return result


def _opened(config: Config, path: Sequence[str]) -> Config:
    """The section at a path, after this and those around it were copied, so that it may be changed.

    Raises:
        KeyError: there is none.
    """
    for part in path:
        config[part] = config = dict(config[part])
    return config


@functools.cache
def is_group(key: str) -> bool:
    """Whether a key names a group of options, such as `data/augmentation`."""
    return (config_folder() / key).is_dir()


def words(overrides: Sequence[str], changes: Changes) -> list[str]:
    """The overrides of a changed run: the user's, without those of sections that are exchanged, and the changes."""
    exchanged = [key for key in changes if is_group(key)]
    keys = [key.replace("/", ".") for key in exchanged]
    kept = [line for line in overrides if not _concerns(line, [*keys, *exchanged])]
    kept = [line for line in kept if line.lstrip("+").partition("=")[0] not in changes]
    return [*kept, *(f"{key}={text(value)}" for key, value in changes.items())]


def text(value: Any) -> str:
    """A value as an override has it.

    >>> text(None), text([1, 2]), text(True), text(1e-5)
    ('null', '[1,2]', 'true', '1e-05')
    """
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(text, value)) + "]"
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


def _exchange(parent: Config, group: str, chosen: str | list[str]) -> None:
    """Put an option's section into the one around it; of a list, sections that are there already stay as they are."""
    last = group.rpartition("/")[2]
    before = parent.get(last) or {}
    if isinstance(chosen, str):
        kept = {k: v for k, v in before.items() if is_group(f"{group}/{k}")}
        parent[last] = {**read_option(group, chosen), **kept}
    else:
        parent[last] = {name: before.get(name) or read_option(group, name) for name in chosen}


def _concerns(line: str, keys: Sequence[str]) -> bool:
    name = line.lstrip("+~").partition("=")[0]
    return any(name == key or name.startswith(f"{key}.") for key in keys)
