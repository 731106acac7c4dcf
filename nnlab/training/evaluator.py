"""What the members of a population reach: with their present weights, and at the end with their best ones."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor

from nnlab.training.best import Best
from nnlab.training.engine import Engine
from nnlab.training.evaluation import SPLITS, Evaluation
from nnlab.training.stack import Stack

KEPT = 1 << 20  # predictions of a split that are kept; of more, only the metrics
PATIENCE = 0.5  # seconds that whoever stops the training waits for a validation


class Evaluator:
    """Evaluates the members of an engine, and remembers what need not be computed twice.

    Args:
        engine: the members in training.
        best: the best weights of all members.
        thorough: metrics that are measured during training of those that take longer; the end measures all.
        combines: whether runs answer with several members, whose predictions at the end are needed, however many.
    """

    def __init__(self, engine: Engine, best: Best, thorough: Collection[str] = (), combines: bool = False) -> None:
        self.engine, self.best, self.thorough, self.combines = engine, best, thorough, combines
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
        self._validated = None  # before there is another
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
            with self.engine.stack.set_aside():
                self._final = {split: self._at_best(split) for split in SPLITS}
        return self._final

    def _at_best(self, split: str) -> Evaluation:
        """The best weights of all members on a split, of some members after the other where there are many."""
        members, dataset = range(len(self.engine.members)), self.engine.members[0].dataset
        each = max(1, KEPT // (len(getattr(dataset, split)) * dataset.target_size or 1))
        if each >= len(members) or self.combines or self.engine.processes > 1:
            return self._best_of(members, split)
        parts = [self._best_of(members[start : start + each], split).metrics for start in members[::each]]
        metrics = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return Evaluation(metrics, lambda some: self._predictions(split, some))

    def _best_of(self, members: range, split: str) -> Evaluation:
        """The best weights of some members on a split; the stack then has these."""
        self._take_best(slice(members.start, members.stop))
        return self.engine.evaluate(self.engine.stack, split, members)

    def _predictions(self, split: str, members: Sequence[int]) -> Tensor:
        """What the best weights of some members predict, (m, N, *)."""
        with self.at_best(list(members)) as stack:
            return self.engine.evaluate(stack, split, members, ()).prediction

    def _take_best(self, rows: slice | Sequence[int]) -> None:
        buffers = {name: value[rows] for name, value in self.best.buffers.items()}
        self.engine.stack.replace(self.best.theta[rows], buffers)

    @contextlib.contextmanager
    def at_best(self, members: slice | Sequence[int] = slice(None)) -> Iterator[Stack]:
        """The stack with the best weights of some members, also of those that have ended; then as it was."""
        with self.engine.stack.set_aside() as stack:
            self._take_best(members)
            yield stack
