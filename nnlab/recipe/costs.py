"""What trainings take on this machine, from all that have been measured, of which the last dozen count most.

Sums of seconds and of steps, both of which each training makes smaller before its own are added: their ratio follows a
machine that others begin to load, and one slow moment does not decide.
"""

from __future__ import annotations

from dataclasses import dataclass

KEPT = 0.92  # of the sums at each training, so that a dozen make up most of them


@dataclass
class Costs:
    """Sums over the populations that were trained.

    Attributes:
        steps: updates, in those of the user's network.
        training: seconds inside the loops of training.
        around: seconds of building the networks before them, and of reading what came of them after.
        populations: how many.
    """

    steps: float = 0.0
    training: float = 0.0
    around: float = 0.0
    populations: float = 0.0

    def add(self, steps: float, training: float, around: float) -> None:
        """A population that was trained."""
        self.steps, self.training = KEPT * self.steps + steps, KEPT * self.training + training
        self.around, self.populations = KEPT * self.around + around, KEPT * self.populations + 1

    @property
    def per_step(self) -> float:
        """Seconds of an update of the user's network; 0 before anything is known.

        >>> costs = Costs()
        >>> costs.add(100, 2.0, 0.1)
        >>> costs.per_step
        0.02
        """
        return self.training / self.steps if self.steps else 0.0

    @property
    def per_population(self) -> float:
        """Seconds around the training of a population."""
        return self.around / self.populations if self.populations else 0.0
