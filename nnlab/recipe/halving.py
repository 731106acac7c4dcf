"""Successive halving: of many networks, those in the worse part at a point of training are not trained further.

Populations are trained one after another, so each is ranked among all that have reached the same point so far, as in
the asynchronous variant (Li et al. 2020, "A system for massively parallel hyperparameter tuning", arXiv 1810.05934).
Networks of one population are compared by the mean of their last validation losses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from nnlab.training import Callback, Trainer

AT = (0.25, 0.5)  # of the training
SHARE = 0.5  # that goes on
SMOOTHED = 2  # validations whose mean ranks a network


class Halving(Callback):
    """Ends the worse part of the networks; one for all populations that are compared.

    Args:
        at: parts of the training after which networks are compared, rising, (0, 1).
        share: the better part, that goes on. (0, 1)
        constant: the loss of a constant answer: of networks that have learned nothing yet, none is behind another.

    Attributes:
        ended: networks that were not trained to their end.
    """

    changes_state: ClassVar[bool] = True

    def __init__(self, constant: float = math.inf, at: Sequence[float] = AT, share: float = SHARE) -> None:
        self.constant, self.at, self.share, self.ended = constant, at, share, 0
        self._reached: list[list[float]] = [[] for _ in at]
        self._next = 0

    def fit_start(self, trainer: Trainer) -> None:
        self._next = 0

    def evaluated(self, trainer: Trainer) -> None:
        due = self._next < len(self.at) and trainer.step >= self.at[self._next] * trainer.total_steps
        if not due or trainer.step >= trainer.total_steps:
            return
        reached = self._reached[self._next]
        losses = {member: min(_loss(trainer, member), self.constant) for member in trainer.active}
        reached += losses.values()
        self._next += 1
        limit = sorted(reached)[max(math.ceil(self.share * len(reached)), 1) - 1]
        behind = [member for member, loss in losses.items() if not loss <= limit]
        self.ended += len(behind)
        if behind:
            trainer.end(behind, "completed", "left behind by better configurations")


def _loss(trainer: Trainer, member: int) -> float:
    _, values = trainer.history.series("loss/validation", member)
    recent = values[-SMOOTHED:]
    mean = sum(recent) / max(len(recent), 1)
    return mean if recent and math.isfinite(mean) else math.inf
