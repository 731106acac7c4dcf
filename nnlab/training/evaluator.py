"""What the members of a population reach: with their present weights, and at the end with their best ones."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator

from nnlab.training.best import Best
from nnlab.training.engine import Engine
from nnlab.training.evaluation import SPLITS, Evaluation
from nnlab.training.stack import Stack

PATIENCE = 0.5  # seconds that whoever stops the training waits for a validation


class Evaluator:
    """Evaluates the members of an engine, and remembers what need not be computed twice.

    Args:
        engine: the members in training.
        best: the best weights of all members.
        thorough: metrics that are measured during training of those that take longer; the end measures all.
    """

    def __init__(self, engine: Engine, best: Best, thorough: Collection[str] = ()) -> None:
        self.engine, self.best, self.thorough = engine, best, thorough
        self._validated: tuple[int, list[int], Evaluation] | None = None
        self._final: dict[str, Evaluation] | None = None

    def present(self, split: str) -> Evaluation:
        """The active members with their present weights on `train`, `validation` or `test`."""
        with self.engine.as_evaluated():
            return self.engine.evaluate(self.engine.stack, split, self.engine.active, self.thorough)

    def validate(self, step: int, stopped: Callable[[], bool]) -> Evaluation:
        """The active members on the validation split after `step` updates, and remember it.

        Raises:
            Interrupted: training is `stopped`, and the evaluation takes long.
        """
        started = time.monotonic()
        with self.engine.as_evaluated():
            found = self.engine.evaluate(
                *(self.engine.stack, "validation", self.engine.active, self.thorough),
                lambda: stopped() and time.monotonic() - started > PATIENCE,
            )
        self._validated = step, list(self.engine.active), found
        return found

    def validation(self, step: int) -> Evaluation:
        """The active members on the validation split after `step` updates; after a validation, that one."""
        known = self._validated
        unchanged = known is not None and known[:2] == (step, self.engine.active)
        return known[2] if known is not None and unchanged else self.present("validation")

    def final(self) -> dict[str, Evaluation]:
        """The best weights of all members, also of those that have ended, on every split."""
        if self._final is None:
            with self.at_best() as stack:
                members = range(len(self.engine.members))
                self._final = {split: self.engine.evaluate(stack, split, members) for split in SPLITS}
        return self._final

    @contextlib.contextmanager
    def at_best(self) -> Iterator[Stack]:
        """The stack with the best weights of all members, also of those that have ended; then as it was."""
        stack = self.engine.stack
        present = stack.theta, stack.buffers
        stack.replace(self.best.theta, self.best.buffers)
        try:
            yield stack
        finally:
            stack.replace(*present)
