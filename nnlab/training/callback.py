"""What a callback may do, and when: the training loop with its events.

    fit_start
    for each step:                 (where a callback wants to look, see `Callback.wants`)
        step_start                 the minibatch is known, nothing is computed
        after_backward             losses (m,) and gradients (m, P) are there, without penalties; nothing is clipped
        step_end                   the parameters have moved
    evaluated                      after a validation: its metrics; losses up to this step have been fetched
    epoch_end
    trained                        all steps are done: how every member ended is known, nothing is evaluated yet
    fit_end                        the best weights may be evaluated and shown; not after an interruption

What callbacks read has a leading axis of rows, one for each of the m members still in training, in the order of
`trainer.active`, for every optimizer. Callbacks observe. The few that change the state of training (early stopping,
which ends members) say so with `changes_state = True`.

Steps that nobody wants to look at are taken in blocks, many times faster than one after another.
"""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from nnlab.errors import UserError

if TYPE_CHECKING:
    from nnlab.training.trainer import Trainer

STEP_EVENTS = ("step_start", "after_backward", "step_end")
EVENTS = ("fit_start", *STEP_EVENTS, "evaluated", "epoch_end", "trained", "fit_end")


class Callback:
    """Does nothing at every event; subclasses override what they need.

    A public method that takes a trainer is an event or refused, so that a misspelt event is found at once; methods of
    a callback's own begin with an underscore, or take something else.

    Attributes:
        changes_state: whether the callback changes the state of training.
        essential: whether a run is worth nothing where the callback fails at its end.
        name: under which a checkpoint keeps its state, such as `callbacks.statistics`; empty: that of its class.
    """

    changes_state: ClassVar[bool] = False
    essential: ClassVar[bool] = False
    name: str = ""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name, function in vars(cls).items():
            if not name.startswith("_") and not hasattr(Callback, name) and _looks_like_an_event(name, function):
                near = difflib.get_close_matches(name, EVENTS, n=1, cutoff=0.0)[0]
                raise UserError(
                    f"`{cls.__name__}.{name}` is no event of a callback, and would never be called: did you mean "
                    f"`{near}`? The events are {', '.join(EVENTS)}; begin the name of a method of your own with `_`"
                )

    def check(self, trainer: Trainer) -> None:
        """Refuse a trainer that this callback cannot serve, before anything is written.

        Raises:
            UserError: it cannot.
        """

    def wants(self, step: int) -> bool:
        """Whether this callback looks at step `step` = 0, 1, ...: whether it hears `step_start`, `after_backward` and
        `step_end` of that step. Asked before the step, maybe long before; without an answer of its own, every step.
        """
        return True

    def fit_start(self, trainer: Trainer) -> None:
        """Training begins or continues (`trainer.step` steps are done)."""

    def step_start(self, trainer: Trainer) -> None:
        """`trainer.inputs` and `trainer.targets` hold the minibatch of step `trainer.step` (from 0); the first of
        several whose gradients are averaged."""

    def after_backward(self, trainer: Trainer) -> None:
        """`trainer.losses` (m,) and `trainer.stack.gradient` (m, P) are those of step `trainer.step` on its minibatch,
        before penalties are added and anything is clipped; `trainer.stack.theta` (m, P) has not moved.
        `trainer.activations` are the layers' outputs in that pass."""

    def step_end(self, trainer: Trainer) -> None:
        """The update is done; `trainer.step` has been counted up."""

    def evaluated(self, trainer: Trainer) -> None:
        """A validation is done: see `trainer.history` and `trainer.validation()`."""

    def epoch_end(self, trainer: Trainer) -> None:
        """The last step of an epoch is done."""

    def trained(self, trainer: Trainer) -> None:
        """All members have ended or training is interrupted: see `trainer.outcomes`; what follows may be repeated."""

    def fit_end(self, trainer: Trainer) -> None:
        """All is done; results are in `trainer.final_evaluations()` unless `trainer.interrupted`. An error here is said
        and costs no run, but for callbacks that are `essential`."""

    def flush(self, trainer: Trainer) -> None:
        """Write what waits: a checkpoint is about to be saved, and a run that continues from it begins after it."""

    def state(self, member: int) -> dict[str, Any]:
        """What must be kept of a member for its run to continue exactly: plain values and tensors."""
        return {}

    def load_state(self, member: int, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""

    @property
    def looks_at_steps(self) -> bool:
        """Whether it hears any event of single steps."""
        return any(self.hears(event) for event in STEP_EVENTS)

    def hears(self, event: str) -> bool:
        """Whether it does anything at an event."""
        return getattr(type(self), event) is not getattr(Callback, event)


def _looks_like_an_event(name: str, function: object) -> bool:
    """Whether a method takes nothing but a trainer, or is named nearly as an event is."""
    if not inspect.isfunction(function):
        return False
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) != 2:
        return False
    takes_trainer = parameters[1].name == "trainer" or "Trainer" in str(parameters[1].annotation)
    return takes_trainer or bool(difflib.get_close_matches(name, EVENTS, n=1, cutoff=0.7))


def named(callbacks: list[Callback]) -> dict[str, Callback]:
    """Callbacks by the names under which checkpoints keep their state; equal names are numbered.

    >>> class Watch(Callback): ...
    >>> list(named([Watch(), Watch()]))
    ['Watch', 'Watch 2']
    """
    found: dict[str, Callback] = {}
    for callback in callbacks:
        name = first = callback.name or type(callback).__name__
        number = 1
        while name in found:
            number += 1
            name = f"{first} {number}"
        found[name] = callback
    return found
