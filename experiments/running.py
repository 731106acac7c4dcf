"""Populations from overrides: every variant with every seed, trained in one loop on the same data.

    grid = train("optimizer=sgd", vary={"optimizer.learning_rate": [0.01, 0.1]}, seeds=range(10))
    grid.losses[1, :, -1]    # last losses of the ten networks with the rate 0.1

Only what the members of a population may differ in can be varied (rates, strengths, scales); activations, widths and
the like take one call of `train` each.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from nnlab.cli import compose
from nnlab.config.build import build_loss, build_member, load_dataset
from nnlab.runs.launch import suitable_threads
from nnlab.training import Callback, Trainer, TrainerSettings
from nnlab.training.monte_carlo import masked_predictions
from nnlab.types import Dataset

QUIET = ["callbacks=[]", "scheduler=constant", "trainer.device=cpu", "trainer.validate_every=1000000"]


class Until(Callback):
    """Ends a network as soon as its accuracy in a validation is as high as asked for."""

    changes_state = True

    def __init__(self, accuracy: float) -> None:
        self.accuracy = accuracy

    def evaluated(self, trainer: Trainer) -> None:
        latest = {member: trainer.history.latest("accuracy/validation", member) for member in trainer.active}
        there = [member for member, accuracy in latest.items() if accuracy is not None and accuracy >= self.accuracy]
        if there:
            trainer.end(there, "completed", f"accuracy {self.accuracy:g} is reached")


class Grid:
    """A trained population as an array of variants by seeds.

    Attributes:
        variants: what each variant overrides, in the order of the first axis of every result.
        seeds: of initial weights, data order and masks; the second axis.
        trainer: with history, best weights and stack.
    """

    def __init__(self, trainer: Trainer, variants: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> None:
        self.trainer, self.variants, self.seeds = trainer, list(variants), list(seeds)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of variants and of seeds."""
        return len(self.variants), len(self.seeds)

    @property
    def losses(self) -> np.ndarray:
        """Training losses (variants, seeds, steps) of the minibatches; NaN where a network had diverged."""
        steps, _ = self.trainer.history.losses.shape
        return self.trainer.history.losses.T.reshape(*self.shape, steps)

    @property
    def diverged(self) -> np.ndarray:
        """Which networks diverged, (variants, seeds) bool."""
        return np.array([status == "diverged" for status in self.trainer.statuses]).reshape(self.shape)

    def last(self, split: str, metric: str) -> np.ndarray:
        """A metric of the last weights on a split, (variants, seeds); NaN where a network had diverged."""
        values = np.full(len(self.trainer.members), np.nan)
        if self.trainer.active:
            values[self.trainer.active] = self.trainer.evaluate(split).metrics[metric].cpu().numpy()
        return values.reshape(self.shape)

    def best(self, split: str, metric: str) -> np.ndarray:
        """A metric on a split of the weights that validated best, (variants, seeds)."""
        return self.trainer.final_evaluations()[split].metrics[metric].cpu().numpy().reshape(self.shape)

    def masked(self, row: int, inputs: torch.Tensor, masks: int) -> torch.Tensor:
        """Predictions (masks, N, C) of the network in a row of the population, each with other random masks."""
        stack = self.trainer.stack
        buffers = {name: value[row].clone() for name, value in stack.buffers.items()}
        return masked_predictions(stack, stack.theta[row].clone(), buffers, inputs, masks)

    def curve(self, tag: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps (T,) and the values (variants, seeds, T) of a record such as `accuracy/validation`; NaN where none."""
        records = [record for record in self.trainer.history.records if tag in record.values]
        steps = sorted({record.step for record in records})
        position = {step: place for place, step in enumerate(steps)}
        values = np.full((len(self.trainer.members), len(steps)), np.nan)
        for record in records:
            values[record.member, position[record.step]] = record.values[tag]
        return np.array(steps), values.reshape(*self.shape, len(steps))


def grid(
    *overrides: str,
    vary: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] = (),
    seeds: Iterable[int] = (0,),
    callbacks: Sequence[Callback] = (),
    data: Dataset | None = None,
) -> Grid:
    """The population before training.

    Args:
        overrides: as on the command line; they come after `QUIET`: no files, constant rate, CPU (where thousands of
            small networks are at home), no validation before the end.
        vary: dotted keys with their values, of which every combination is a variant; or the variants themselves.
        seeds: of initial weights, data order and masks; all networks share the split and the noise of the data, which
            follow the override `seed`.
        callbacks: what else to observe.
        data: a data set made by hand, in place of the config's.
    """
    base = compose(*QUIET, *overrides)
    variants, seeds = _combinations(vary), list(seeds)
    configs = [_changed(base, variant) for variant in variants]
    members = []
    for config in configs:
        dataset = data or load_dataset(config)
        loss = build_loss(config, dataset)
        members += [build_member(config, dataset, loss, seed) for seed in seeds]
    settings = TrainerSettings(**{k: v for k, v in base["trainer"].items() if k != "_target_"})
    trainer = Trainer(members, build_loss(base, members[0].dataset), settings, callbacks)
    return Grid(trainer, variants, seeds)


def train(*overrides: str, **arguments: Any) -> Grid:
    """A trained population; arguments as for `grid`."""
    population = grid(*overrides, **arguments)
    torch.set_num_threads(suitable_threads(population.trainer))
    population.trainer.fit()
    return population


def _combinations(vary: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not isinstance(vary, Mapping):
        return [dict(variant) for variant in vary] or [{}]
    return [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]


def _changed(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a config with other values under dotted keys that it has."""
    changed = copy.deepcopy(dict(config))
    for key, value in values.items():
        *path, leaf = key.split(".")
        section = changed
        for name in path:
            section = section[name]
        if leaf not in section:
            raise KeyError(key)
        section[leaf] = value
    return changed
