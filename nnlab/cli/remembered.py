"""Compositions that a process has made before: composing anew takes Hydra 70 ms, and setting values in a copy five.

What is composed depends on the options that are chosen, on the files that they come from, and on the folder that the
process is in. Overrides that only set existing keys to values come on top, by Hydra's own code, and an override of any
other kind, or one that Hydra refuses, leaves everything to Hydra.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

MOST = 32  # compositions that are kept


class _Composition(NamedTuple):
    """A composed config, and the folders of options with the state in which it was made."""

    config: DictConfig
    folders: tuple[str, ...]
    state: tuple[Any, ...]


_made: dict[tuple[Any, ...], _Composition] = {}


def composed(
    loader: Any, name: str, lines: Sequence[str], mode: RunMode, compose: Callable[[list[str]], DictConfig]
) -> DictConfig:
    """What `compose(lines)` gives, from a composition with the same options where there is one.

    Args:
        loader: that knows the options.
        name: the primary config.
        lines: the overrides.
        mode: in a sweep, what gives several values is left out of its own config.
        compose: asks Hydra.
    """
    entries = OverridesParser.create().parse_overrides(list(lines))
    values = [each for each in entries if _is_value(each, loader)]
    options = [each.input_line for each in entries if each not in values]
    if not all(_is_option(each, mode) for each in entries if each not in values):
        return compose(list(lines))
    places = tuple((each.provider, each.path) for each in loader.config_search_path.get_path())
    key = (name, mode, *options, os.getcwd(), places)
    known = _made.get(key)
    if known is None or known.state != _state(known.folders):
        known = _composition(compose(options))
        if known is None:
            return compose(list(lines))
        while len(_made) >= MOST:
            _made.pop(next(iter(_made)))
        _made[key] = known
    config = copy.deepcopy(known.config)
    single = [each for each in values if not each.is_sweep_override()]
    if len(single) < len(values) and mode != RunMode.MULTIRUN:
        return compose(list(lines))
    try:
        ConfigLoaderImpl._apply_overrides_to_config(single, config)
    except Exception:  # whatever Hydra finds wrong with them, it says itself
        return compose(list(lines))
    name_after(config, [each for each in entries if not each.is_hydra_override()])
    return config


def name_after(config: DictConfig, entries: Sequence[Any]) -> None:
    """Set `hydra.job.override_dirname` by Hydra's rules; Hydra 1.4 has a resolver, which does it when it is asked."""
    if "${" in str(OmegaConf.to_container(config.hydra.job)["override_dirname"]):
        return
    names = config.hydra.job.config.override_dirname
    lines = sorted(str(each.input_line) for each in entries if each.key_or_group not in names.exclude_keys)
    config.hydra.job.override_dirname = str(names.item_sep).join(lines).replace("=", str(names.kv_sep))


def _is_value(entry: Any, loader: Any) -> bool:
    """Whether an override sets an existing key to a value, or to several in a sweep."""
    key = entry.key_or_group
    changes = not (entry.is_add() or entry.is_force_add() or entry.is_delete()) and entry.package is None
    return changes and not entry.is_hydra_override() and "/" not in key and not loader.repository.group_exists(key)


def _is_option(entry: Any, mode: RunMode) -> bool:
    """Whether an override chooses an option, or is about Hydra itself, and no file may come from elsewhere."""
    if entry.key_or_group == "hydra.searchpath" or entry.is_delete():
        return False
    return entry.is_hydra_override() or not (entry.is_add() or entry.is_force_add())


def _composition(config: DictConfig) -> _Composition | None:
    """What is kept of a composed config; None where it also depends on variables of the environment."""
    if config.hydra.job.env_copy:
        return None
    sources = config.hydra.runtime.config_sources
    folders = tuple(str(source.path) for source in sources if source.schema == "file")
    return _Composition(config, folders, _state(folders))


def _state(folders: Sequence[str]) -> tuple[Any, ...]:
    """Names, sizes and times of all files below some folders."""
    found: list[Any] = []
    rest = list(folders)
    while rest:
        try:
            with os.scandir(rest.pop()) as entries:
                for entry in entries:
                    if entry.is_dir():
                        rest.append(entry.path)
                    elif entry.name.endswith((".yaml", ".yml")):
                        stat = entry.stat()
                        found.append((entry.path, stat.st_size, stat.st_mtime_ns))
        except OSError:
            found.append(None)
    return tuple(sorted(found, key=str))
