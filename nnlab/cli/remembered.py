"""Compositions that a process has made before: composing anew takes Hydra 20 times as long as setting values in a copy.

What is composed depends on the options that are chosen and on the files that they come from. Overrides that set, add or
delete keys come on top, by Hydra's own code, and an override of any other kind leaves everything to Hydra.
"""

from __future__ import annotations

import copy
import functools
import os
import pickle
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from nnlab.cli.grammar import parsed

MOST = 128  # compositions that are kept, of 20 kB each


class _Composition(NamedTuple):
    """What gives copies of a composed config, and the folders of options with the state in which it was made."""

    config: Callable[[], DictConfig]
    folders: tuple[str, ...]
    state: tuple[Any, ...]


_made: dict[tuple[Any, ...], _Composition] = {}
_read: dict[tuple[str, str], tuple[tuple[int, int], Callable[[], Any]]] = {}


class Files(ConfigRepository):  # type: ignore[misc]
    """Hydra's repository of options, which reads a file again only after it has changed."""

    def load_config(self, config_path: str) -> Any:
        """What Hydra reads at a path; None where there is nothing."""
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is None or source.scheme() != "file":
            return super().load_config(config_path)
        file = os.path.join(source.path, source._normalize_file_name(config_path))
        stat = os.stat(file)
        state = (stat.st_size, stat.st_mtime_ns)
        known = _read.get((source.provider, file))
        if known is None or known[0] != state:
            known = _read[source.provider, file] = state, _copies(super().load_config(config_path))
        return known[1]()


def _copies(value: Any) -> Callable[[], Any]:
    """What gives copies of a value: unpickling takes a fifth of the time of copying."""
    try:
        return functools.partial(pickle.loads, pickle.dumps(value))
    except pickle.PicklingError:  # Hydra imports its plugins twice, and pickle finds the other class
        return functools.partial(copy.deepcopy, value)


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
    entries = parsed(lines)
    values = [each for each in entries if _is_value(each, loader)]
    rest = [each for each in entries if each not in values]
    swept = any(each.is_sweep_override() for each in values)
    if not all(_is_option(each, mode) for each in rest) or (swept and mode != RunMode.MULTIRUN):
        return compose(list(lines))
    options = [each.input_line for each in rest]
    places = tuple((each.provider, each.path) for each in loader.config_search_path.get_path())
    key = (name, mode, *options, places)
    known = _made.get(key)
    if known is None or known.state != _state(known.folders):
        known = _composition(compose(options))
        if known is None:
            return compose(list(lines))
        while len(_made) >= MOST:
            _made.pop(next(iter(_made)))
        _made[key] = known
    config = known.config()
    config.hydra.runtime.cwd = os.getcwd()
    ConfigLoaderImpl._apply_overrides_to_config([each for each in values if not each.is_sweep_override()], config)
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
    """Whether an override is about a key, which it sets, adds or deletes, or gives several values in a sweep."""
    key = entry.key_or_group
    plain = entry.package is None and not entry.is_hydra_override() and "/" not in key
    return plain and not loader.repository.group_exists(key)


def _is_option(entry: Any, mode: RunMode) -> bool:
    """Whether an override chooses an option, or is about Hydra itself, and no file may come from elsewhere."""
    if entry.key_or_group == "hydra.searchpath" or entry.is_delete():
        return False
    return entry.is_hydra_override() or not (entry.is_add() or entry.is_force_add())


def _composition(config: DictConfig) -> _Composition | None:
    """What is kept of a composed config; None where it also depends on variables of the environment, or on the folder
    that the process is in."""
    sources = config.hydra.runtime.config_sources
    folders = tuple(str(source.path) for source in sources if source.schema == "file")
    if config.hydra.job.env_copy or not all(map(os.path.isabs, folders)):
        return None
    return _Composition(_copies(config), folders, _state(folders))


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
