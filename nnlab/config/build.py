"""From configs to objects: components, members of a population, and the trainer that runs them.

The sections of a config name what they build with `_target_`, as Hydra does; everything below this floor receives
ordinary Python objects.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.callbacks import HistoryFile
from nnlab.callbacks.pruning import Pruning
from nnlab.config.checking import FOREIGN
from nnlab.config.construct import construct
from nnlab.config.kinds import check_kind
from nnlab.config.lookup import locate
from nnlab.config.network import build_network
from nnlab.config.network_size import check_members
from nnlab.config.overrides import key_of
from nnlab.config.schema import DIRECTIVES
from nnlab.console import counted
from nnlab.data.augmentation.base import Augmentation
from nnlab.data.base import Source
from nnlab.device import resolve_dtype
from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.loss.heads import Heads
from nnlab.optimizer.base import Optimizer
from nnlab.randomness import derive_seed
from nnlab.regularizer import (
    BatchEnsemble,
    Constraint,
    Ensemble,
    Penalty,
    SharpnessAware,
    WeightAverage,
)
from nnlab.storage.cache import cache_folder
from nnlab.storage.files import at
from nnlab.training import Callback, Member, Run, Trainer, TrainerSettings
from nnlab.training.chain import Chain
from nnlab.training.group import Group
from nnlab.training.single import check_single_examples
from nnlab.types import Dataset, Task

Config = Mapping[str, Any]


def data_root(config: Config) -> Path:
    """Where downloaded data lives."""
    root = config.get("data_root")
    return at(root) if root else cache_folder()


_datasets: weakref.WeakValueDictionary[str, Dataset] = weakref.WeakValueDictionary()


def load_dataset(config: Config) -> Dataset:
    """The prepared data set; runs of one process that ask for the same one share it."""
    key = dataset_key(config)
    dataset = _datasets.get(key)
    if dataset is None:
        source = build_source(config)
        dataset = source.load(data_seed(config), data_root(config), loss_tasks(config))
        if dataset.fingerprint and not any(_is_foreign(part) for part in (source, source.preprocessing)):
            dataset = dataset.known_as(f"{dataset.fingerprint} {key}")
        _datasets[key] = dataset
    return dataset


def _is_foreign(component: object) -> bool:
    """Whether it is somebody's own, whose code may change while the process runs."""
    return component is not None and not type(component).__module__.startswith("nnlab.")


def dataset_key(config: Config) -> str:
    """All that decides the prepared data set; runs with equal keys share it."""
    parts = [_data_section(config), data_seed(config), str(data_root(config)), sorted(loss_tasks(config) or ())]
    return json.dumps(parts, sort_keys=True)


def _data_section(config: Config) -> dict[str, Any]:
    return {name: value for name, value in config["data"].items() if name != "augmentation"}


def build_source(config: Config) -> Source:
    """Where the examples come from, and how they are split and prepared."""
    source: Source = construct(_data_section(config), "data")
    return source


def data_seed(config: Config) -> int:
    """The seed of generated data and of the splits: the run's own, if there is no other."""
    seed: int = config["seed"] if config.get("data_seed") is None else config["data_seed"]
    return seed


def loss_tasks(config: Config) -> frozenset[Task] | None:
    """The tasks that the config's loss fits; None where it does not say."""
    tasks: frozenset[Task] | None = getattr(locate(config["loss"]["_target_"]), "tasks", None)
    return tasks


def build_optimizer(section: Config) -> Optimizer:
    """nnlab's optimizer, or a class of `torch.optim` behind the same interface."""
    target: Any = check_kind(section["_target_"], "optimizer")
    if isinstance(target, type) and issubclass(target, Optimizer):
        optimizer: Optimizer = construct(section, "optimizer")
        return optimizer
    if not isinstance(target, type):
        raise UserError(f"`{section['_target_']}` is a function, and `optimizer` needs a class")
    from nnlab.optimizer.torch_binding import Part
    from nnlab.optimizer.torch_optimizer import from_torch

    others = section.get("others")
    other: Any = None if others is None else check_kind(others["_target_"], "optimizer")
    rest = None if others is None else Part(other, _options(others))
    return from_torch(target, _options(section), rest, section.get("only"))


def _options(section: Config) -> dict[str, Any]:
    """The arguments of a foreign optimizer."""
    return {k: construct(v, None) for k, v in section.items() if k not in DIRECTIVES and k not in FOREIGN}


def build_loss(config: Config, dataset: Dataset) -> Loss:
    """The loss, which must fit the data's task; of a network with several heads, that of all."""
    loss: Loss = construct(config["loss"], "loss")
    for regularizer in construct(config.get("regularizer"), "regularizer").values():
        if isinstance(regularizer, BatchEnsemble):
            loss = Heads(loss, regularizer.heads)
    loss.check_fits(dataset.task, dataset.units)
    loss.fit(dataset.train.targets, dataset.target_size)
    return loss


def build_members(
    config: Config,
    overrides: Sequence[str] | None = None,
    dataset: Dataset | None = None,
    tried: set[str] | None = None,
) -> list[Member]:
    """The members that one config describes: one, or those of an ensemble; see `build_trainer` for the arguments.

    `tried` are the shapes of networks that have been seen to give outputs; this one's is added.
    """
    dataset = load_dataset(config) if dataset is None else dataset
    check_batch_size(config, dataset, overrides)
    loss = build_loss(config, dataset)
    ensembles = [r for r in construct(config["regularizer"], "regularizer").values() if isinstance(r, Ensemble)]
    count = ensembles[0].members if ensembles else 1
    tried = set() if tried is None else tried
    parts = config["architecture"], config["activation"], config["loss"]
    shape = repr((*parts, dataset.input_shape, loss.output_size(dataset.target_size)))
    members = []
    for position in range(count):
        seed = member_seed(config["seed"], position)
        members.append(build_member(config, dataset, loss, seed, shape in tried))
        tried.add(shape)
        if position == 0 and count > 1:
            check_members(members[0].network, count)
    for member in members:
        member.order_seed = config["seed"] if ensembles and ensembles[0].share_batches else None
    return members


def member_seed(seed: int, position: int) -> int:
    """Seed of the ensemble's member at `position`; the first is the run's own."""
    return seed if position == 0 else derive_seed(seed, "member", position)


def build_member(config: Config, dataset: Dataset, loss: Loss, seed: int, tried: bool = False) -> Member:
    """One network with its rules; see `build_network` for the arguments.

    Raises:
        UserError: something does not fit the data or the loss.
    """
    regularizers = list(construct(config["regularizer"], "regularizer").values())
    augmentations = list(construct(config["data"].get("augmentation") or {}, "data/augmentation").values())
    for each in augmentations:
        if isinstance(each, Augmentation):
            each.check_shape(dataset.input_shape)
    settings = config["trainer"]
    return Member(
        network=build_network(config, dataset, loss, seed, regularizers, tried),
        dataset=dataset,
        seed=seed,
        optimizer=build_optimizer(config["optimizer"]),
        scheduler=construct(config["scheduler"], "scheduler"),
        penalties=[r for r in regularizers if isinstance(r, Penalty)],
        constraints=[r for r in regularizers if isinstance(r, Constraint)],
        averages=[r for r in regularizers if isinstance(r, WeightAverage)],
        sharpness=[r for r in regularizers if isinstance(r, SharpnessAware)],
        augmentations=augmentations,
        clip_norm=settings["clip_norm"],
        clip_value=settings["clip_value"],
    )


def check_batch_size(config: Config, dataset: Dataset, overrides: Sequence[str] | None) -> None:
    """Refuse a batch that was asked for and is larger than the training split; the default takes what there is."""
    size = config["trainer"]["batch_size"]
    if overrides is None:  # a config that comes without the overrides that led to it
        asked_for = size != TrainerSettings.batch_size
    else:
        asked_for = any(key_of(override) == "trainer.batch_size" for override in overrides)
    if asked_for and size != "full" and size > len(dataset.train):
        raise UserError(
            f"`trainer.batch_size={size}` is more than the {counted(len(dataset.train), 'training example')}; "
            "use `trainer.batch_size=full` for all of them"
        )


def build_callbacks(config: Config) -> list[Callback]:
    """The callbacks: those that regularizers bring first, then the configured ones; checkpoints come last."""
    brought = construct(config["regularizer"], "regularizer")
    configured: dict[str, Callback] = construct(config["callbacks"] or {}, "callbacks")
    for group, components in (("regularizer", brought), ("callbacks", configured)):
        for name, component in components.items():
            if isinstance(component, Callback):
                component.name = f"{group}.{name}"
    regularizers = [component for component in brought.values() if isinstance(component, Callback)]
    observers = [callback for name, callback in configured.items() if name != "checkpoint"]
    last = [configured[name] for name in ("checkpoint",) if name in configured]
    share = (config.get("sweep") or {}).get("prune")
    pruning = [] if share is None else [Pruning(share)]
    return [*regularizers, *pruning, HistoryFile(), *observers, *last]


def build_settings(config: Config) -> TrainerSettings:
    """How a config is trained, apart from its components."""
    settings: TrainerSettings = construct(config["trainer"], "trainer")
    resolve_dtype(settings.precision)
    return settings


def build_trainer(
    configs: Sequence[Config],
    runs: Sequence[Run] = (),
    group: Group | None = None,
    overrides: Sequence[str] | None = None,
    dataset: Dataset | None = None,
) -> Trainer:
    """One trainer for runs whose configs differ only in what the members of a population may differ in.

    Args:
        configs: one for each run.
        runs: the run directories, which know the overrides that led to each config.
        group: the processes that train together, where there are several.
        overrides: those of all configs, where there are no runs; None: they are unknown.
        dataset: examples that are in memory already; None: those that the configs name.
    """
    settings = build_settings(configs[0])
    given: list[Sequence[str] | None] = [run.overrides for run in runs] or [overrides] * len(configs)
    tried: set[str] = set()
    populations = [build_members(config, own, dataset, tried) for config, own in zip(configs, given, strict=True)]
    members = [member for each in populations for member in each]
    start = 0
    for run, own in zip(runs, populations, strict=True) if runs else ():
        run.members = range(start, start + len(own))
        start += len(own)
    loss = build_loss(configs[0], members[0].dataset)
    trainer = Trainer(members, loss, settings, build_callbacks(configs[0]), runs, group)
    synchronized = group is not None and len(members) == 1 and settings.sync_batch_norm
    if not isinstance(trainer.stack, Chain) and not synchronized:  # these batch norms take single examples
        check_single_examples(members[0].network, members[0].dataset.train.inputs, settings.batch_size)
    return trainer


def stackable(config: Config) -> bool:
    """Whether networks with this config can be trained together: rules that evaluate the loss themselves cannot."""
    return build_optimizer(config["optimizer"]).stackable
