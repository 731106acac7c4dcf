"""What a callback may do, and when: the training loop with its events.

    fit_start
    for each step:
        step_start          the batch is known, nothing is computed
        after_backward      losses (M,) and gradients (M, P) are there; penalties are added, nothing is clipped
        step_end            the parameters have moved
        evaluated           after a validation: metrics of every member; losses up to this step have been fetched
        epoch_end
    fit_end

Callbacks observe. The few that change the state of training (early stopping, which ends members) say so with
`changes_state = True`. They serve a population as well as one network: what they read has a leading axis of members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from nnlab.training.trainer import Trainer


class Callback:
    """Does nothing at every event; subclasses override what they need."""

    changes_state: ClassVar[bool] = False

    def check(self, trainer: Trainer) -> None:
        """Refuse a trainer that this callback cannot serve, before anything is written.

        Raises:
            UserError: it cannot.
        """

    def fit_start(self, trainer: Trainer) -> None:
        """Training begins or continues (`trainer.step` steps are done)."""

    def step_start(self, trainer: Trainer) -> None:
        """`trainer.inputs` and `trainer.targets` hold the batch of step `trainer.step` (from 0)."""

    def after_backward(self, trainer: Trainer) -> None:
        """`trainer.losses` (M,) and `trainer.stack.gradient` (M, P) are those of step `trainer.step`."""

    def step_end(self, trainer: Trainer) -> None:
        """The update is done; `trainer.step` has been counted up."""

    def evaluated(self, trainer: Trainer) -> None:
        """A validation is done: see `trainer.history`."""

    def epoch_end(self, trainer: Trainer) -> None:
        """The last step of an epoch is done."""

    def fit_end(self, trainer: Trainer) -> None:
        """All members have ended; results are there."""

    def flush(self, trainer: Trainer) -> None:
        """Write what waits: a checkpoint is about to be saved, and a run that continues from it begins after it."""

    def state(self, member: int) -> dict[str, Any]:
        """What must be kept of a member for its run to continue exactly: plain values and tensors."""
        return {}

    def load_state(self, member: int, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
