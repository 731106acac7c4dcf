"""Which configs can be trained as one population: those that differ only in what its members may differ in.

Members may differ in their seed, in initialization and schedule altogether, in clipping, in label noise, and in the
attributes that a component names in `per_member`. Everything else must be the same, as must be the number of inputs:
where the training split decides it, the data say so.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnlab.config.build import build_optimizer, data_seed, dataset_key, load_dataset, stackable
from nnlab.config.construct import construct
from nnlab.config.lookup import locate
from nnlab.storage.keys import meaning
from nnlab.training import Callback
from nnlab.types import Dataset

CLIPPING = ("clip_norm", "clip_value")


def stacking_key(config: Mapping[str, Any]) -> tuple[str | None, str]:
    """The key that is equal for configs that can be stacked; or None, and why this one cannot be.

    Raises:
        UserError: a component refuses its values.
    """
    optimizer = build_optimizer(config["optimizer"])
    if not stackable(config):
        return None, f"`{_name(config['optimizer'])}` cannot move several networks at once"
    regularizers = construct(config["regularizer"] or {}, "regularizer")
    own_schedule = not any(isinstance(each, Callback) for each in regularizers.values())
    same = {
        key: value
        for key, value in config.items()
        if not meaning(key).study
        and key not in ("seed", "data_seed", "initialization", "optimizer", "regularizer", "data", "trainer")
        and not (key == "scheduler" and own_schedule)
    }
    same["trainer"] = {key: value for key, value in config["trainer"].items() if key not in CLIPPING}
    same["optimizer"] = _fixed(optimizer)
    same["regularizer"] = {name: _fixed(each) for name, each in regularizers.items()}
    own = ("augmentation", "label_noise", "validation_fold")
    same["data"] = {key: value for key, value in config["data"].items() if key not in own}
    if config["loss"].get("class_weights") == "balanced":  # they follow from the training split, and all share one loss
        noise, fold = (config["data"].get(key) for key in ("label_noise", "validation_fold"))
        same["training split"] = [data_seed(config), noise, fold]
    augmentation = construct(config["data"].get("augmentation") or {}, "data/augmentation")
    same["augmentation"] = {name: _fixed(each) for name, each in augmentation.items()}
    return json.dumps(same, sort_keys=True, default=repr), ""


def keys_by_inputs(
    keys: Sequence[str | None],
    configs: Sequence[Mapping[str, Any]],
    load: Callable[[Mapping[str, Any]], Dataset] = load_dataset,
) -> list[str | None]:
    """Keys of configs, those apart whose data sets differ in their number of inputs.

    A level of a category, or a missing cell, that is rare is not in every training split, nor an input for it. Data are
    loaded where configs of one key have several data sets, and these may differ in that.

    Args:
        keys: as `stacking_key` gives them.
        configs: of the keys.
        load: gives the data set of a config.

    Raises:
        UserError: data cannot be loaded.
    """
    data: dict[str | None, set[str]] = collections.defaultdict(set)
    for key, config in zip(keys, configs, strict=True):
        data[key].add(dataset_key(config))
    apart = [key and len(data[key]) > 1 and _inputs_vary(config) for key, config in zip(keys, configs, strict=True)]
    return [
        f"{key} {load(config).input_shape}" if own else key
        for key, config, own in zip(keys, configs, apart, strict=True)
    ]


def _inputs_vary(config: Mapping[str, Any]) -> bool:
    """Whether the number of inputs may follow from the training split."""
    sections = config["data"], config["data"].get("preprocessing")
    return not all(getattr(locate(each["_target_"]), "keeps_shape", False) for each in sections if each)


def _name(section: Mapping[str, Any]) -> str:
    """The class that a section names."""
    return str(section["_target_"]).rpartition(".")[2]


def _fixed(component: Any) -> list[str]:
    """What must be the same about a component: its class, its other attributes, and where noise is placed."""
    own = getattr(component, "per_member", ())
    lines = [
        f"{name}={value!r}"
        for name, value in getattr(component, "__dict__", {}).items()
        if not name.startswith("_") and not (name in own and _is_number(value))
    ]
    placed = getattr(component, "input_p", None)  # dropout of the inputs is a layer only where it is more than zero
    where = [] if placed is None or not _is_number(placed) else [f"input_p > 0: {placed > 0}"]
    return [type(component).__qualname__, *lines, *where]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
