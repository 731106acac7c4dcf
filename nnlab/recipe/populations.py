"""Which configs train together, as one population: those that can be stacked, as many as the memory holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnlab.config.build import build_trainer
from nnlab.device import resolve_device
from nnlab.recipe.changes import Config
from nnlab.sweep.cost import member_cost
from nnlab.sweep.grouping import stacking_gains
from nnlab.sweep.stacking import keys_by_inputs, stacking_key
from nnlab.training import Trainer
from nnlab.training.chain import Chain
from nnlab.training.memory import network_bytes, networks_at_once
from nnlab.types import Dataset

MOST = 64  # members of one population


class Populations:
    """Groups configs; what a network of some sizes needs is measured once.

    Args:
        overrides: what the user typed.
        load: gives the data set of a config.
    """

    def __init__(self, overrides: Sequence[str], load: Callable[[Mapping[str, Any]], Dataset]) -> None:
        self.overrides, self.load = overrides, load
        self._gaining: dict[str, bool] = {}
        self._network_bytes: dict[str, int] = {}

    def of(self, configs: Sequence[Config], fastest: bool = False) -> list[list[int]]:
        """Positions of the configs of each population; alone where that is the `fastest` way."""
        found: dict[str, list[int]] = {}
        keys = keys_by_inputs([stacking_key(config)[0] for config in configs], configs, self.load)
        for position, key in enumerate(keys):
            found.setdefault(key or f"alone {position}", []).append(position)
        groups = []
        for group in found.values():
            alone = fastest and len(group) > 1 and not self._gains(configs[group[0]])
            most = 1 if alone else self._most(configs[group[0]], len(group))
            groups += [group[i : i + most] for i in range(0, len(group), most)]
        return groups

    def _most(self, config: Config, wanted: int) -> int:
        """How many networks of a config the memory holds, at most `MOST`."""
        if wanted == 1:
            return 1
        trainer = config["trainer"]
        known = _text([config["architecture"], config["optimizer"], trainer["batch_size"]])
        if known not in self._network_bytes:
            self._network_bytes[known] = network_bytes(self._alone(config))
        return networks_at_once(self._network_bytes[known], resolve_device(trainer["device"]), MOST)

    def _alone(self, config: Config) -> Trainer:
        return build_trainer([config], overrides=self.overrides, dataset=self.load(config))

    def _gains(self, config: Config) -> bool:
        """Whether stacked networks of a config are faster than one after another; a chain of layers of any size is."""
        known = _text([config["architecture"], config["data"]["augmentation"]])
        if known not in self._gaining:
            trainer = build_trainer([config], overrides=self.overrides)
            self._gaining[known] = isinstance(trainer.stack, Chain) or stacking_gains(member_cost(trainer))
        return self._gaining[known]


def _text(values: list[Any]) -> str:
    return json.dumps(values, sort_keys=True, default=repr)
