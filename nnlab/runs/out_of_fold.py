"""Predictions for training examples by networks that have not seen them: folds of a run as one population.

The training split is cut into K parts, each with the classes in their proportions. Network k trains on all parts but
the k-th, and predicts that one; so every example is predicted by a network that did not learn it, and its label can be
held against the prediction (Northcutt et al. 2021, "Confident learning", arXiv:1911.00068).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from nnlab.callbacks import HistoryFile
from nnlab.config.build import build_loss, build_member, build_members, load_dataset
from nnlab.config.construct import construct
from nnlab.diagnosis.facts.trained import last_weights
from nnlab.errors import UserError
from nnlab.randomness import generator
from nnlab.streaming import Streamed
from nnlab.training import Callback, Member, Trainer
from nnlab.training.evaluation import examples_at_once
from nnlab.training.memory import check_step, network_bytes, networks_at_once
from nnlab.types import Dataset, Split
from nnlab.validation import check


@dataclasses.dataclass(frozen=True)
class OutOfFold:
    """Predictions of all N training examples.

    Attributes:
        prediction: (N, C) class probabilities (scores for margin losses), or means of the targets, of networks that did
            not train on the example; those of an example that is left over are the mean of all.
        fold: (N,) the network that predicted it; -1 for what is left over.
        learned: (N,) share of the validations during training at which networks that train on the example
            already had its class right; NaN for regression.
        validation: (n, C) the mean prediction of all networks on the validation split.
    """

    prediction: Tensor
    fold: Tensor
    learned: Tensor
    validation: Tensor


def out_of_fold(config: Mapping[str, Any], folds: int = 4, dataset: Dataset | None = None) -> OutOfFold:
    """Train `folds` networks of a config, each without its part of the training split, as many at once as memory holds.

    Args:
        config: of `nnlab train`, plain and checked; an ensemble is taken as a single network.
        folds: parts of the training split, [2, inf).
        dataset: where it is in memory; else that of the config.

    Raises:
        UserError: there are fewer than two examples a fold, the config cannot be trained, or memory is short.
    """
    check("folds", folds, "[2, inf)")
    dataset = load_dataset(config) if dataset is None else dataset
    fold = assign_folds(dataset.train.targets, folds, config["seed"])
    together = _together(_trainer(config, dataset, fold, range(1)), folds)
    watch = _Learned(dataset, fold)
    found = []
    for first in range(0, folds, together):
        watch.numbers = range(first, min(first + together, folds))
        trainer = _trainer(config, dataset, fold, watch.numbers)
        trainer.callbacks.append(watch)
        trainer.fit()
        with last_weights(trainer):
            found.append(
                [predicted(trainer, part, dataset.target_size) for part in (dataset.train, dataset.validation)]
            )
        del trainer  # whose memory the next one takes
    prediction, validation = (torch.cat(parts) for parts in zip(*found, strict=True))
    rows = torch.arange(len(fold))
    own = prediction[fold.clamp(min=0), rows]
    left_over = (fold < 0).unsqueeze(1)
    return OutOfFold(torch.where(left_over, prediction.mean(0), own), fold, watch.share, validation.mean(0))


def assign_folds(targets: Tensor, folds: int, seed: int) -> Tensor:
    """The fold of each example, (N,), classes in their proportions; -1 for the few that would make them unequal.

    >>> found = assign_folds(torch.tensor([0] * 6 + [1] * 3), 3, seed=0)
    >>> [found[:6].bincount().tolist(), found[6:].bincount().tolist()]
    [[2, 2, 2], [1, 1, 1]]

    Raises:
        UserError: there are fewer than two examples a fold.
    """
    count = len(targets)
    if count < 2 * folds:
        raise UserError(f"{folds} folds need {2 * folds} training examples at least, got {count}")
    order = torch.randperm(count, generator=generator(seed, "out_of_fold"))
    if not targets.is_floating_point():
        order = order[targets.cpu()[order].argsort(stable=True)]
    fold = torch.full((count,), -1)
    usable = count - count % folds
    left = torch.linspace(0, count - 1, count - usable).long() if usable < count else order[:0]
    kept = torch.ones(count, dtype=torch.bool)
    kept[left] = False
    fold[order[kept]] = torch.arange(usable) % folds
    return fold


def _together(trainer: Trainer, wanted: int) -> int:
    """How many networks such as that of a trainer, which nobody else has, are trained at once.

    Raises:
        NotEnoughMemory: not even one of them can be.
    """
    check_step(trainer)
    needed, device = network_bytes(trainer), trainer.device
    del trainer
    return networks_at_once(needed, device, wanted)


def _trainer(config: Mapping[str, Any], dataset: Dataset, fold: Tensor, numbers: Iterable[int]) -> Trainer:
    regularizers = {name: section for name, section in config["regularizer"].items() if not name.endswith("ensemble")}
    alone = {**config, "regularizer": regularizers, "callbacks": {}}
    settings = construct(config["trainer"], "trainer")
    members: list[Member] = []
    for number in numbers:
        own = dataclasses.replace(
            dataset,
            train=_rows(dataset.train, (fold != number) & (fold >= 0)),
            validation=_rows(dataset.train, fold == number),
        )
        if not members:
            [member] = build_members(alone, [], own)  # a batch larger than a fold takes what there is
        else:
            member = build_member(alone, own, build_loss(alone, dataset), config["seed"])
        members.append(member)
    brought = construct(alone["regularizer"], "regularizer").values()
    callbacks = [each for each in brought if isinstance(each, Callback) and not isinstance(each, HistoryFile)]
    return Trainer(members, build_loss(alone, dataset), settings, callbacks)


def _rows(split: Split, chosen: Tensor) -> Split:
    inputs = split.inputs
    return Split(inputs.part(chosen) if isinstance(inputs, Streamed) else inputs[chosen], split.targets[chosen])


@torch.no_grad()
def predicted(trainer: Trainer, split: Split, columns: int) -> Tensor:
    """Predictions (M, N, columns) of all networks in the stack, on the processor."""
    stack, members = trainer.stack, len(trainer.stack)
    place = (stack.theta.device, stack.theta.dtype)
    size = examples_at_once(stack, members, split.inputs[:1].to(*place)[0])
    pieces = (split.inputs[start : start + size].to(*place) for start in range(0, len(split), size))
    parts = [stack.outputs(part.expand(members, *part.shape)) for part in pieces]
    found: Tensor = trainer.loss.prediction(torch.cat(parts, 1))[..., :columns].double().cpu()
    return found


class _Learned(Callback):
    """Notes which training examples are right already, by the networks that train on them."""

    def __init__(self, dataset: Dataset, fold: Tensor) -> None:
        self.dataset, self.fold = dataset, fold
        self.numbers = range(0)  # the folds whose networks train now
        self.right, self.asked = torch.zeros(len(fold)).double(), torch.zeros(len(fold)).double()

    def wants(self, step: int) -> bool:
        return False

    def evaluated(self, trainer: Trainer) -> None:
        targets = self.dataset.train.targets
        if targets.is_floating_point() or len(trainer.active) < len(trainer.members):
            return
        answers = predicted(trainer, self.dataset.train, self.dataset.target_size).argmax(-1)
        trains = self.fold.unsqueeze(0) != torch.tensor(self.numbers).unsqueeze(1)
        self.right += ((answers == targets.cpu()) & trains).sum(0)
        self.asked += trains.sum(0)

    @property
    def share(self) -> Tensor:
        """Share of the validations at which each example was right, (N,)."""
        return self.right / self.asked  # NaN where nobody was asked
