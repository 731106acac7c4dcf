"""The recipe's trials from a config: sections exchanged, values set, networks stacked; see `nnlab.recipe.trials`."""

from __future__ import annotations

import copy
import functools
import inspect
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import yaml

from nnlab.callbacks import HistoryFile
from nnlab.config import config_folder
from nnlab.config.build import build_loss, build_trainer, load_dataset
from nnlab.config.dotted import get, put
from nnlab.config.folder import options
from nnlab.config.lookup import locate
from nnlab.loss.base import Loss
from nnlab.recipe.trials import Changes
from nnlab.regularizer import Ensemble
from nnlab.runs.launch import suitable_threads
from nnlab.sweep.cost import member_cost
from nnlab.sweep.grouping import stacking_gains
from nnlab.sweep.stacking import stacking_key
from nnlab.training import Callback, Trainer
from nnlab.training.chain import Chain
from nnlab.types import Dataset

MOST = 64  # members of one population

Config = dict[str, Any]


class ConfigTrials:
    """Makes trials that differ from `config` (plain, resolved, checked).

    Args:
        config: the user's.
        overrides: what the user typed, for the commands that reproduce trials.
        config_dir: the user's own config folder, for those commands.
    """

    def __init__(self, config: Mapping[str, Any], overrides: Sequence[str] = (), config_dir: str | None = None) -> None:
        self.config: Config = copy.deepcopy({key: value for key, value in config.items() if key != "recipe"})
        if self.config.get("data_seed") is None:
            self.config["data_seed"] = self.config["seed"]
        self.config["callbacks"] = {}
        self.config["regularizer"] = _without_ensembles(self.config["regularizer"])
        self.overrides = [
            line for line in overrides if not line.lstrip("+~").startswith(("recipe.", "name=", "resume="))
        ]
        self.config_dir = config_dir
        self.observer: Callback | None = None
        self.dataset: Dataset = load_dataset(self.config)
        self.loss: Loss = build_loss(self.config, self.dataset)

    def value(self, key: str, default: Any = None) -> Any:
        """The value of a dotted key in the user's configuration, or `default` where it has none."""
        return get(self.config, key, default)

    def option(self, group: str) -> str:
        """The option's name; the name of its class where no option has it."""
        section = self.config.get(group) or {}
        return option_of(group, section) or str(section.get("_target_", "none")).rpartition(".")[2]

    def configure(self, changes: Changes) -> Config:
        """The config of one trial; options are exchanged before values are set."""
        config = copy.deepcopy(self.config)
        for group, chosen in changes.items():
            if isinstance(chosen, str | list) and (config_folder() / group).is_dir():
                _exchange(config, group, chosen)
        for key, value in changes.items():
            if not (isinstance(value, str | list) and (config_folder() / key).is_dir()):
                put(config, key, value)
        return config

    def groups(self, changes: Sequence[Changes], fastest: bool = False) -> list[list[int]]:
        """Positions of the changes that can be trained as one population; alone where that is the `fastest` way."""
        found: dict[str, list[int]] = {}
        for position, each in enumerate(changes):
            key, _ = stacking_key(self.configure(each))
            found.setdefault(key or f"alone {position}", []).append(position)
        groups = []
        for group in found.values():
            most = 1 if fastest and len(group) > 1 and not _gains(self.configure(changes[group[0]])) else MOST
            groups += [group[i : i + most] for i in range(0, len(group), most)]
        return groups

    def make(self, changes: Sequence[Changes]) -> Trainer:
        """The trainer of one population, a member for each of the changes; it writes no files."""
        trainer = build_trainer([self.configure(each) for each in changes])
        trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, HistoryFile)]
        if self.observer is not None:
            trainer.callbacks.append(self.observer)
        torch.set_num_threads(self.config["trainer"]["threads"] or suitable_threads(trainer))
        return trainer

    def words(self, changes: Changes) -> list[str]:
        """The overrides of one trial: the user's, without those of sections that it exchanges, and its own."""
        exchanged = [key for key in changes if (config_folder() / key).is_dir()]
        keys = [key.replace("/", ".") for key in exchanged]
        kept = [line for line in self.overrides if not _concerns(line, [*keys, *exchanged])]
        own = {"data_seed": self.config["data_seed"], **changes}
        kept = [line for line in kept if line.lstrip("+").partition("=")[0] not in own]
        return [*kept, *(f"{key}={text(value)}" for key, value in own.items())]

    def command(self, changes: Changes) -> str:
        """What to type to run one of them alone."""
        folder = ["--config-dir", self.config_dir] if self.config_dir else []
        return shlex.join(["nnlab", "train", *folder, *self.words(changes)])


def _gains(config: Config) -> bool:
    """Whether stacked networks of a config are faster than one after another; a chain of layers of any size is."""
    trainer = build_trainer([config])
    return isinstance(trainer.stack, Chain) or stacking_gains(member_cost(trainer))


def text(value: Any) -> str:
    """A value as an override has it.

    >>> text(None), text([1, 2]), text(True), text(1e-5)
    ('null', '[1,2]', 'true', '1e-05')
    """
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(text, value)) + "]"
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


def option_of(group: str, section: Mapping[str, Any]) -> str | None:
    """The option of a group whose file names the same `_target_` as a section, or None."""
    for file in options(config_folder(), group):
        if read_option(group, file.stem).get("_target_") == section.get("_target_"):
            return file.stem
    return None


@functools.cache
def _text_of(group: str, option: str) -> str:
    return (config_folder() / group / f"{option}.yaml").read_text(encoding="utf-8")


def read_option(group: str, option: str) -> Config:
    """The section that an option stands for."""
    content: Config = yaml.safe_load(_text_of(group, option)) or {}
    return content


def _exchange(config: Config, group: str, chosen: str | list[str]) -> None:
    """Put an option's section in place; of a list, sections that are there already stay as they are."""
    *path, last = group.split("/")
    parent = config
    for part in path:
        parent = parent[part]
    before = parent.get(last) or {}
    if isinstance(chosen, str):
        kept = {k: v for k, v in before.items() if (config_folder() / group / k).is_dir()}
        parent[last] = {**read_option(group, chosen), **kept}
    else:
        parent[last] = {name: before.get(name) or read_option(group, name) for name in chosen}


def _without_ensembles(sections: Mapping[str, Config]) -> Config:
    def is_ensemble(section: Config) -> bool:
        found = locate(section["_target_"])
        return inspect.isclass(found) and issubclass(found, Ensemble)

    return {name: section for name, section in sections.items() if not is_ensemble(section)}


def _concerns(line: str, keys: Sequence[str]) -> bool:
    name = line.lstrip("+~").partition("=")[0]
    return any(name == key or name.startswith(f"{key}.") for key in keys)
