"""Callbacks of the recipe's trials: they look at the whole sample now and then, and end what need not go on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nnlab.streaming import SAMPLED, at_once
from nnlab.training import Callback, Trainer
from nnlab.training.evaluation import evaluate
from nnlab.types import Split

HALVINGS = (100, 200, 400)  # steps after which the worse half of a ladder is left behind
AVERAGED = 10  # last minibatch losses
KEPT = 3  # members that are never left behind

Fitted = Callable[[dict[str, float]], bool]


class SampleWatch(Callback):
    """Evaluates on the training sample at every validation, and ends the population when a member has fitted it.

    Args:
        fitted: whether metrics on the sample are good enough.

    Attributes:
        results: `loss/fit` and the metrics on the sample, by member.
        predictions: on validation, by member.
        winners: members that have fitted the sample.
    """

    changes_state = True

    def __init__(self, fitted: Fitted) -> None:
        self.fitted = fitted
        self.results: dict[int, dict[str, float]] = {}
        self.predictions: dict[int, Tensor] = {}
        self.winners: list[int] = []

    def evaluated(self, trainer: Trainer) -> None:
        metrics = {name: value.tolist() for name, value in trainer.evaluate("train").metrics.items()}
        predictions = trainer.validation().prediction
        for row, member in enumerate(trainer.active):
            values = {name: column[row] for name, column in metrics.items()}
            # As in training: batch norm of a few examples gives others in evaluation.
            values["minibatch"] = float(trainer.history.losses[-AVERAGED:, member].mean())
            self.results[member] = {f"{name}/fit": value for name, value in values.items()}
            self.results[member]["steps"] = trainer.step
            self.predictions[member] = predictions[row].clone()
            trainer.history.record(trainer.step, member, self.results[member])
            if self.fitted(values):
                self.winners.append(member)
        if self.winners:
            trainer.end(list(trainer.active), "completed", "a member has fitted the sample")
        else:
            self._halve(trainer)

    def _halve(self, trainer: Trainer) -> None:
        passed = sum(trainer.step >= each for each in HALVINGS)
        keep = max(KEPT, -(-len(trainer.members) // 2**passed))
        ranked = sorted(trainer.active, key=lambda member: _rank(self.results[member]["loss/fit"]))
        if len(ranked) > keep:
            trainer.end(ranked[keep:], "completed", "left behind by better learning rates")


def _rank(loss: float) -> float:
    return loss if loss == loss else float("inf")


class FitWatch(Callback):
    """Evaluates on (a part of) the training split at every validation, so that the two can be compared.

    Attributes:
        results: the last metrics on both splits, by member.
        predictions: on that part of the training split, by member, where `keep` asks for it.
    """

    def __init__(self, examples: int = 2048, keep: bool = False) -> None:
        self.examples, self.keep = examples, keep
        self.results: dict[int, dict[str, float]] = {}
        self.predictions: dict[int, Tensor] = {}

    def evaluated(self, trainer: Trainer) -> None:
        first = trainer.members[trainer.active[0]].dataset
        count = at_once(first.train.inputs, SAMPLED, self.examples)
        part = Split(first.train.inputs[:count], first.train.targets[:count])
        with torch.no_grad():
            evaluation = evaluate(trainer.stack, [part] * len(trainer.active), first.units, thorough=())
        for row, member in enumerate(trainer.active):
            values = {f"{name}/fit": float(value[row]) for name, value in evaluation.metrics.items()}
            trainer.history.record(trainer.step, member, values)
            self.results[member] = values
            if self.keep:
                self.predictions[member] = evaluation.prediction[row].clone()
