"""A step of a first-order rule in three parts, between which the loop has its events: batch, backward pass, update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from nnlab.members import Hyper
from nnlab.training.nonfinite import rows_to_update, update_rows

if TYPE_CHECKING:
    from nnlab.training.trainer import Trainer


class Steps:
    """The parts of a trainer's steps, run as they stand."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def batch(self, position: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets (G, n, ...) of minibatch 0, 1, ... of the whole training, augmented."""
        return self.trainer.population.batch(position)

    def backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The members' losses (M,) on a minibatch; their gradients are then in the stack."""
        losses: Tensor = self.trainer.stack.backward(inputs, targets)
        return losses

    def update(self) -> None:
        """Move the parameters along the gradients in the stack, and remember the losses."""
        trainer = self.trainer
        trainer.population.add_penalties()
        rows = rows_to_update(trainer, trainer.step + 1)
        if trainer.active:
            rate = trainer.learning_rate()
            self.move(rows, rate, trainer.step + 1)
            trainer.history.add(trainer.losses, rate)

    def move(self, rows: Tensor | None, rate: Hyper, k: int | Tensor) -> None:
        """Clip the gradients and take step k = 1, 2, ... of the optimizer with the `rows` (M, 1) bool, None for all."""
        population = self.trainer.population
        population.clip()
        if rows is None:
            population.update(rate, k)
        else:
            update_rows(self.trainer, rows, rate, k)
