"""Compose configs with Hydra, and say in one sentence what is wrong with an override.

Hydra's own compose loads its plugins and keeps one global state; `hydra_for` sets that state up for the time of a
`with` block and puts back what was there, so that composing works inside a job, a notebook or another Hydra app.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import __version__, version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from nnlab import console
from nnlab.cli import messages, remembered
from nnlab.cli.admission import check_choices
from nnlab.cli.grammar import parsed, values_of
from nnlab.cli.job_config import checked_job
from nnlab.cli.own_section import check_section
from nnlab.cli.short_form import completed, expanded
from nnlab.config import folder
from nnlab.config.dotted import exists
from nnlab.config.folder import Primary, primary
from nnlab.errors import UserError
from nnlab.storage.files import at

hydra_version = tuple(int(part) for part in __version__.split(".")[:2])

# What Hydra raises for mistakes of its users; a ValueError for a group override that is neither text nor a list.
HYDRA_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, ValueError)


class Loader(ConfigLoaderImpl):  # type: ignore[misc]
    """Hydra's loader with our sentences; it checks the jobs of a sweep, which Hydra composes before the first starts.

    Args:
        search_path: where the options are.
        schema: the primary config whose keys are valid.
    """

    def __init__(self, search_path: Any, schema: str) -> None:
        super().__init__(search_path)
        self.repository = remembered.Files(search_path)
        self.schema = schema
        self._compositions: dict[tuple[str, ...], DictConfig] = {}
        self._options: dict[str, list[str]] = {}
        self._composes = False  # whether Hydra itself is at work

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: Any, *further: Any, **named: Any
    ) -> DictConfig:
        """Compose.

        Raises:
            UserError: an override, an option or a file is wrong.
        """
        compose = super().load_configuration

        def of(lines: list[str]) -> DictConfig:
            return compose(config_name, lines, run_mode, *further, **named)

        def quick(lines: list[str]) -> DictConfig:
            return remembered.composed(self, str(config_name), lines, run_mode, of)

        return self._explained(quick, overrides, run_mode)

    def _load_configuration(self, overrides: list[str], run_mode: Any, **named: Any) -> DictConfig:
        """The entry of Hydra 1.4 for the config of a sweep, and a step of its own composing."""
        compose = super()._load_configuration
        if self._composes:
            return compose(overrides=overrides, run_mode=run_mode, **named)

        def of(lines: list[str]) -> DictConfig:
            return compose(overrides=lines, run_mode=run_mode, **{**named, "parsed_overrides": None})

        return self._explained(of, overrides, run_mode)

    def _explained(
        self, compose: Callable[[list[str]], DictConfig], overrides: list[str], run_mode: Any, again: bool = False
    ) -> DictConfig:
        """What `compose` gives for the overrides in Hydra's words, with our sentences for what is wrong.

        Args:
            compose: gives the config.
            overrides: as they were written.
            run_mode: one job or several.
            again: whether these overrides already stand for others that could not be composed.

        Raises:
            UserError: an override, an option or a file is wrong.
        """
        before, self._composes = self._composes, True
        try:
            with _heeded():
                try:
                    config = _asked(compose, self._replacing(overrides))
                    check_section(config, overrides)
                    config.hydra.overrides.task = _tasks(overrides)
                    return config
                except UserError:
                    raise
                except UserWarning as warning:
                    raise UserError(messages.first_line(warning)) from warning
                except HYDRA_ERRORS as error:
                    first = self._first_options(overrides) if run_mode == RunMode.MULTIRUN else list(overrides)
                    first = self._deleting(first)
                    if again or first == list(overrides):
                        sentence = messages.explain(error, overrides, self.options, self.skeleton, run_mode)
                        raise UserError(sentence) from error
        finally:
            self._composes = before
        config = self._explained(compose, first, run_mode, again=True)
        config.hydra.overrides.task = _tasks(overrides)
        return config

    def _first_options(self, overrides: Sequence[str]) -> list[str]:
        """Overrides with the first option in place of several: keys may exist in the swept options only."""
        entries = parsed(overrides)
        swept = [entry.is_discrete_sweep() and bool(self.options(entry.key_or_group)) for entry in entries]
        return [
            f"{entry.get_key_element()}={values_of(entry)[0]}" if several else line
            for entry, several, line in zip(entries, swept, overrides, strict=True)
        ]

    def _deleting(self, overrides: Sequence[str]) -> list[str]:
        """Overrides that delete keys whose value is null, which Hydra takes for missing, with a value set before."""
        present, lines = None, []
        for entry in parsed(overrides):
            key = entry.key_or_group
            if entry.is_delete() and not self.options(key):
                present = present or self.skeleton([])[0]
                if exists(present, key) and OmegaConf.select(OmegaConf.create(present), key) is None:
                    lines.append(f"{key}=0")
            lines.append(entry.input_line)
        return lines

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Compose and check one job of a sweep; jobs with the same options share the composition, the costly part.

        Raises:
            UserError: an override, an option or a file is wrong.
        """
        entries = parsed(sweep_overrides)
        values = [each for each in entries if not self.repository.group_exists(each.key_or_group)]
        check_choices(entries, self._known, self.options)
        options = [each.input_line for each in entries if each not in values]
        key = (master_config.hydra.job.config_name, *master_config.hydra.overrides.hydra, *options)
        if key not in self._compositions:
            self._compositions[key] = super().load_sweep_config(master_config, options)
        config = copy.deepcopy(self._compositions[key])
        try:
            self._apply_overrides_to_config(values, config)
        except HYDRA_ERRORS as error:
            sentence = messages.explain(error, sweep_overrides, self.options, self.skeleton, RunMode.RUN)
            raise UserError(sentence) from error
        config.hydra.overrides.task = sweep_overrides
        remembered.name_after(config, entries)
        OmegaConf.copy_cache(master_config, config)
        checked_job(config, self.schema)
        return config

    def _replacing(self, overrides: Sequence[str]) -> list[str]:
        """Overrides with a whole component, `optimizer={_target_: ...}`, in Hydra's words: delete, and add.

        Raises:
            UserError: the group combines several components, which have names.
        """
        lines = []
        entries = parsed(overrides)
        check_choices(entries, self._known, self.options)
        for entry in entries:
            key, line = entry.key_or_group, entry.input_line
            changes = not (entry.is_delete() or entry.is_add() or entry.is_force_add())
            value = entry.value() if changes and not entry.is_sweep_override() else None
            if entry.is_delete() and "=" not in line and isinstance(self._known.choices.get(key), list):
                lines.append(f"{key}=[]")
            elif not (isinstance(value, dict) and "_target_" in value and self._is_component(key)):
                lines.append(line)
            elif isinstance(self._known.choices.get(key.replace(".", "/")), list):
                raise UserError(f"`{key}` combines several components; name this one: `+{key}.NAME={{_target_: ...}}`")
            else:
                lines += [f"~{key}" if self.options(key) else f"{key}=null", f"++{line}"]
        return lines

    @property
    def _known(self) -> Primary:
        """What the primary config states."""
        return primary(self.schema, folder.config_folder())

    def _is_component(self, key: str) -> bool:
        """Whether a whole component stands at a key: an option of a group, one of several, or a section of its own."""
        parent = key.rpartition(".")[0].replace(".", "/")
        values = self._known.values.get(key)
        own = isinstance(values, dict) and "_target_" in values
        return own or bool(self.options(key.replace(".", "/"))) or isinstance(self._known.choices.get(parent), list)

    def __getstate__(self) -> dict[str, Any]:
        """What other processes need; they compose for themselves."""
        return {**vars(self), "_compositions": {}}

    def options(self, group: str) -> list[str]:
        """Names of a group's options, empty if there is no such group."""
        if group not in self._options:  # Hydra's own method would copy the repository each time
            self._options[group] = list(self.repository.get_group_options(group))
        return self._options[group]

    def skeleton(self, overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """What there is to override: the config with only the overrides of `overrides`, and the groups by name."""
        groups = [name for name in self._all_groups() if not name.startswith("hydra")]
        for attempt in (list(overrides), []):
            for mode in (RunMode.RUN, RunMode.MULTIRUN):  # which leaves out what has no value yet
                with contextlib.suppress(UserError, *HYDRA_ERRORS):
                    config = remembered.composed(self, self.schema, attempt, mode, functools.partial(self._made, mode))
                    return OmegaConf.to_container(config, resolve=False), groups
        return dict(primary(self.schema, folder.config_folder()).values), groups

    def _made(self, run_mode: Any, overrides: list[str]) -> DictConfig:
        return super().load_configuration(self.schema, overrides, run_mode)

    def _all_groups(self, parent: str = "") -> Iterator[str]:
        for name in self.repository.get_group_options(parent, ObjectType.GROUP):
            path = f"{parent}/{name}" if parent else name
            yield path
            yield from self._all_groups(path)


def _asked(compose: Callable[[list[str]], DictConfig], lines: list[str]) -> DictConfig:
    try:
        return compose(lines)
    except TypeError as error:  # Hydra joins names of options without looking at what they are
        raise HydraException(f"a list of options in a file holds something else than names: {error}") from error
    except AttributeError as error:  # OmegaConf, which then names the key, fails at some values
        named = re.search(r"full_key: (\S+)", str(error))
        if not named:
            raise
        raise HydraException(f"`{named[1]}` does not take this value") from error


@contextlib.contextmanager
def _heeded() -> Iterator[None]:
    """Make a warning of Hydra's an error where something was typed in vain, and silence what nobody can change."""
    with warnings.catch_warnings():  # our configs of other launchers have the names of their schemas
        warnings.filterwarnings("error", "provider=.* is not available")
        warnings.filterwarnings("ignore", "(?s).*is validated against ConfigStore schema with the same name")
        yield


def _tasks(overrides: Sequence[str]) -> list[str]:
    """The overrides that are not about Hydra itself."""
    return [entry.input_line for entry in parsed(overrides) if not entry.is_hydra_override()]


@contextlib.contextmanager
def hydra_for(command: str, config_dir: str | Path | None = None, *, checking: bool = True) -> Iterator[Any]:
    """A Hydra object on nnlab's configs, with the user's own in `config_dir` taking precedence.

    Raises:
        UserError: there is no such folder.
    """
    if hydra_version < (1, 4):  # later ones have no choice of defaults
        version.setbase("1.3")
    search_path = create_config_search_path(str(folder.config_folder()))
    if config_dir is not None:
        own = at(config_dir).resolve()
        if not own.is_dir():
            raise UserError(f"the config folder `{config_dir}` does not exist")
        search_path.prepend("command-line", f"file://{own}", SearchPathQuery("main", None))
    before, config_before = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        loader = Loader(search_path, command) if checking else ConfigLoaderImpl(search_path)
        hydra = Hydra(command, loader)
        GlobalHydra.instance().initialize(hydra)
        yield hydra
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = before, config_before


def compose(overrides: Sequence[str], config_name: str, config_dir: str | Path | None) -> dict[str, Any]:
    """The plain, resolved and checked config of a command; see `nnlab.cli.compose`."""
    with hydra_for(config_name, config_dir) as hydra, console.held():
        lines = completed(hydra, config_name, expanded(overrides))
        config = hydra.compose_config(config_name, lines, RunMode.RUN, from_shell=False)
        return checked_job(config, config_name)
