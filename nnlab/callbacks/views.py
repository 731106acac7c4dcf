"""Callbacks that look at a network's predictions on the validation split: now and then, and at the best weights.

After a validation they look at the present weights, as often as a share of the training time allows; at the end they
look at the best weights, whose evaluation every run needs anyway. In a population the first run always has its last
look, and the others as far as the time goes.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnlab.callbacks.budget import Budget
from nnlab.training import Callback, Run, Trainer
from nnlab.types import Dataset


@dataclass(frozen=True)
class View:
    """A run at one moment.

    Attributes:
        trainer: the trainer, with the present weights.
        run: the run.
        step: updates done.
        theta: parameters of the run's networks (m, P), one or those of an ensemble.
        data: the run's data set.
        prediction: on the validation split, (N, *); an ensemble's average.
        final: whether this is the end, at the best weights.
    """

    trainer: Trainer
    run: Run
    step: int
    theta: Tensor
    data: Dataset
    prediction: Tensor
    final: bool

    @contextlib.contextmanager
    def networks(self) -> Iterator[list[nn.Module]]:
        """The run's networks in evaluation mode."""
        members = list(self.run.members)
        with self.trainer.at_best() if self.final else contextlib.nullcontext(self.trainer.stack) as stack:
            if len(stack) == 1:
                yield [stack.network.eval()]
            else:
                rows = members if self.final else [self.trainer.active.index(member) for member in members]
                yield [stack.member(row) for row in rows]

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> Tensor:
        """What the run predicts for inputs (N, ...)."""
        loss = self.trainer.loss
        with self.networks() as networks:
            predictions = torch.stack([loss.prediction(network(inputs)) for network in networks])
        return loss.combine(predictions) if len(predictions) > 1 else predictions[0]


class Views(Callback):
    """Decides when to look.

    Args:
        share: of the time that may be spent. [0, 1]
    """

    def __init__(self, share: float = 0.01) -> None:
        self.budget = Budget(share)

    def _wanted(self, trainer: Trainer) -> bool:
        """Whether there is anything to see in this task."""
        return True

    def _due(self, trainer: Trainer) -> bool:
        """Whether to look after this validation."""
        return self.budget.allows()

    @abstractmethod
    def show(self, view: View) -> None:
        """Write what there is to see."""

    def fit_start(self, trainer: Trainer) -> None:
        self.budget.start()
        self._shown = bool(trainer.runs) and self._wanted(trainer)

    def evaluated(self, trainer: Trainer) -> None:
        if not self._shown or trainer.step >= trainer.total_steps or not self._due(trainer):
            return
        rows = {member: row for row, member in enumerate(trainer.active)}
        prediction = trainer.validation().prediction
        self._show_all(trainer, trainer.stack.theta, rows, prediction, final=False)

    def fit_end(self, trainer: Trainer) -> None:
        if not self._shown or trainer.stop_requested == "interrupted":
            return
        prediction = trainer.final_evaluations()["validation"].prediction
        rows = {member: member for member in range(len(trainer.members))}
        self._show_all(trainer, trainer.best.theta, rows, prediction, final=True)

    def _show_all(
        self, trainer: Trainer, theta: Tensor, rows: Mapping[int, int], prediction: Tensor, *, final: bool
    ) -> None:
        """Look at every run whose members are all there."""
        for position, run in enumerate(trainer.runs):
            own = [rows[member] for member in run.members if member in rows]
            if len(own) < len(run.members) or not (position == 0 or self.budget.allows()):
                continue
            with self.budget.spending():
                step = max(trainer.outcomes[member].ended_at for member in run.members) if final else trainer.step
                combined = trainer.loss.combine(prediction[own]) if len(own) > 1 else prediction[own[0]]
                data = trainer.members[run.members[0]].dataset
                self.show(View(trainer, run, step, theta[own], data, combined, final))
