"""Callbacks that look at a network's predictions on the validation split: now and then, and at the best weights.

After validations 1, 8, 64, ... they look at the present weights, and at the end at the best weights, whose
evaluation every run needs anyway. In a population they look at the first runs.
"""

from __future__ import annotations

import contextlib
import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnlab.callbacks.schedule import octupling
from nnlab.errors import described
from nnlab.storage.files import WriteError
from nnlab.training import Callback, Run, Trainer
from nnlab.training.evaluation import Evaluation
from nnlab.types import Dataset
from nnlab.validation import check

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moment:
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
        with self.trainer.at_best(members) if self.final else contextlib.nullcontext(self.trainer.stack) as stack:
            if len(stack) == 1:
                yield [stack.network.eval()]
            else:
                rows = range(len(stack)) if self.final else map(self.trainer.active.index, members)
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
        most: runs of a population that are looked at, the first ones. [1, inf)
    """

    def __init__(self, most: int = 4) -> None:
        self.most = check("most", most, "[1, inf)")
        self._failed = False

    def _wanted(self, trainer: Trainer) -> bool:
        """Whether there is anything to see in this task."""
        return True

    def _due(self, trainer: Trainer) -> bool:
        """Whether to look after this validation."""
        return octupling(trainer.validations)

    @abstractmethod
    def _show(self, view: Moment) -> None:
        """Write what there is to see."""

    def fit_start(self, trainer: Trainer) -> None:
        self._seen = bool(trainer.runs) and self._wanted(trainer)

    def evaluated(self, trainer: Trainer) -> None:
        if not self._seen or not trainer.active or trainer.step >= trainer.total_steps or not self._due(trainer):
            return
        rows = {member: row for row, member in enumerate(trainer.active)}
        self._show_all(trainer, trainer.stack.theta, rows, trainer.validation(), final=False)

    def fit_end(self, trainer: Trainer) -> None:
        if not self._seen or trainer.interrupted:
            return
        rows = {member: member for member in range(len(trainer.members))}
        self._show_all(trainer, trainer.best.theta, rows, trainer.final_evaluations()["validation"], final=True)

    def _show_all(
        self, trainer: Trainer, theta: Tensor, rows: Mapping[int, int], evaluation: Evaluation, *, final: bool
    ) -> None:
        """Look at every run whose members are all there."""
        for run in trainer.runs[: self.most]:
            own = [rows[member] for member in run.members if member in rows]
            if len(own) < len(run.members):
                continue
            with self._drawing(trainer):
                step = max(trainer.outcomes[member].ended_at for member in run.members) if final else trainer.step
                prediction = evaluation.prediction_of(own)
                combined = trainer.loss.combine(prediction) if len(own) > 1 else prediction[0]
                data = trainer.members[run.members[0]].dataset
                self._show(Moment(trainer, run, step, theta[own], data, combined, final))

    @contextlib.contextmanager
    def _drawing(self, trainer: Trainer) -> Iterator[None]:
        """Leave out a picture that cannot be drawn, and say so once: no picture is worth a run."""
        try:
            yield
        except (WriteError, torch.OutOfMemoryError):  # the disk's, or the sweep's to answer
            raise
        except Exception as error:
            log.debug("a picture that could not be drawn", exc_info=True)
            if not self._failed:
                self._failed = True
                what = self.name or type(self).__name__
                log.warning(f"`{what}` cannot show this network, and leaves that out: {described(error)}")
