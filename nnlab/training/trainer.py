"""The training loop: one for a single network, an ensemble and a grid.

See `nnlab.training.callback` for the loop with its events, and `nnlab.training.engine` for what a step does.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from nnlab import process
from nnlab.activation.layers import activation_layers
from nnlab.device import resolve_dtype, small_as_zero
from nnlab.errors import UserError, described
from nnlab.loss.base import Loss
from nnlab.metric_names import THOROUGH
from nnlab.storage.run import Run, mark_trained
from nnlab.training.best import Best, check_metric
from nnlab.training.callback import Callback
from nnlab.training.engines import make_engine
from nnlab.training.evaluation import Evaluation
from nnlab.training.evaluator import Evaluator
from nnlab.training.group import Group, device_of
from nnlab.training.guard import Exit, repaired_sentence
from nnlab.training.history import History
from nnlab.training.member import Member, moved
from nnlab.training.outcome import Outcome, Status
from nnlab.training.pace import Pace
from nnlab.training.settings import TrainerSettings
from nnlab.training.stack import Stack

log = logging.getLogger(__name__)


class Trainer:
    """Trains a population of M >= 1 networks of one architecture.

    Args:
        members: the networks with their data and rules; see `Member`. Shapes and classes must agree.
        loss: the loss that all share.
        settings: length, batches, device.
        callbacks: observers, called in this order.
        runs: the run directories that the members' results go to, if any.
        group: the processes that this one leads, if any.

    Attributes:
        engine: the networks in training, and their steps.
        step, total_steps: updates done so far, and of the whole run.
        steps_per_epoch: updates of an epoch.
        outcomes: of each member, how its training went.
        history: losses and metrics.
        best: the members' best weights so far.
        seconds: time spent on training.
        stop_requested: why training is to stop after the present step; None: it is not.
        saved: whether all steps are done and in a checkpoint, if there is one: what follows may be left and repeated.
        clock: seconds of the time that `seconds` counts.
    """

    clock: Callable[[], float] = staticmethod(time.perf_counter)

    def __init__(
        self,
        members: Sequence[Member],
        loss: Loss,
        settings: TrainerSettings,
        callbacks: Sequence[Callback] = (),
        runs: Sequence[Run] = (),
        group: Group | None = None,
    ) -> None:
        if not members:
            raise UserError("a population needs at least one member")
        self.loss, self.settings = loss, settings
        self.callbacks, self.runs = list(callbacks), list(runs)
        device, dtype = device_of(settings.device, group), resolve_dtype(settings.precision)
        self.members = moved(members, device, dtype)
        self.engine = make_engine(self.members, loss, settings, device, dtype, group)
        if not self.stack.buffers:  # the networks differ in their weights alone, which the stack has now
            template = self.members[0].network
            self.members = [dataclasses.replace(member, network=template) for member in self.members]
        self.step, self.total_steps = 0, self.engine.total_steps
        self.steps_per_epoch = self.engine.steps_per_epoch
        self.outcomes = [Outcome() for _ in members]
        self.history = History(len(members))
        self.best = Best(self.stack, settings.best_window)
        self.seconds = 0.0
        self.stop_requested: str | None = None
        self.saved = False
        self._activations: dict[str, Tensor] | None = None
        combines = any(len(run.members) > 1 for run in self.runs)
        self.evaluator = Evaluator(self.engine, self.best, self._thorough, combines)
        check_metric(self.primary_metric, self.metric_names(), [member.dataset for member in self.members])
        for callback in self.callbacks:
            callback.check(self)

    # What callbacks read.

    @property
    def stack(self) -> Stack:
        """The networks in training."""
        return self.engine.stack

    @property
    def device(self) -> torch.device:
        """Where training happens."""
        return self.engine.device

    @property
    def active(self) -> list[int]:
        """Positions of the members still in training."""
        return self.engine.active

    @property
    def losses(self) -> Tensor:
        """The present step's losses (m,) of the members in training."""
        return self.engine.losses

    @property
    def inputs(self) -> Tensor:
        """Inputs (m, n, ...) of the present minibatch, augmented, of the members in training."""
        return self.engine.inputs

    @property
    def targets(self) -> Tensor:
        """Targets (m, n) or (m, n, C) of the present minibatch."""
        return self.engine.targets

    @property
    def activations(self) -> dict[str, Tensor]:
        """Outputs (m, n, ...) of the activation layers on the present minibatch, by name, in `after_backward`.

        They belong to the pass that the gradients follow from, and are found once for all who ask.
        """
        if self._activations is None:
            names = list(activation_layers(self.stack.network))
            self._activations = self.stack.remembered(self.inputs, names) if names else {}
        return self._activations

    @property
    def epoch(self) -> float:
        """Epochs done so far."""
        return self.step / self.steps_per_epoch

    @property
    def statuses(self) -> list[Status]:
        """Of each member: `running`, then `completed`, `diverged` or `interrupted`."""
        return [outcome.status for outcome in self.outcomes]

    @property
    def finished(self) -> bool:
        """Whether no member is in training any more."""
        return "running" not in self.statuses

    @property
    def interrupted(self) -> bool:
        """Whether training was stopped from outside before its end."""
        return "interrupted" in self.statuses

    @property
    def validations(self) -> int:
        """How many validations are due until the present step."""
        return self.step // self._validation_interval()

    @property
    def total_validations(self) -> int:
        """How many validations the whole run has, the one at its end included."""
        return -(-self.total_steps // self._validation_interval())

    @property
    def primary_metric(self) -> str:
        """The metric that decides which weights are best: `trainer.metric`, else accuracy or rmse."""
        return self.settings.metric or self.loss.primary_metric(self.members[0].dataset.task)

    @property
    def _thorough(self) -> tuple[str, ...]:
        """The metric that decides, where it is one of those that otherwise only the end measures."""
        return tuple(name for name in THOROUGH if name == self.primary_metric)

    def metric_names(self) -> list[str]:
        """`loss` and the task's metrics, in the order in which they are reported."""
        data = self.members[0].dataset
        targets = data.validation.targets[None, :1]
        outputs = self.stack.theta.new_zeros(1, 1, self.loss.output_size(data.target_size))
        return ["loss", *self.loss.measured(self.loss.prediction(outputs), targets, data.units, self._thorough)]

    # The loop.

    def fit(self) -> Trainer:
        """Train until the end, or until every member has ended; then evaluate the best weights on all splits."""
        process.loaded()
        started = self.clock() - self.seconds
        looking = [callback for callback in self.callbacks if callback.looks_at_steps]
        pace = Pace()
        self._notify("fit_start")
        while self.active and self.step < self.total_steps and self.stop_requested is None:
            count, lookers = self._until_a_look(looking, min(self._next_event(), self.step + pace.steps))
            with pace.taking(count), small_as_zero():
                if lookers:
                    self._looked_at_step(lookers)
                else:
                    self.advance(count)
            self.seconds = self.clock() - started
            self._between_blocks()
        self._settle_outcomes()
        self.seconds = self.clock() - started
        for callback in self.callbacks:
            callback.flush(self)
        mark_trained(self.runs)
        self._notify("trained")
        self.saved = True
        self._finish()
        return self

    def _finish(self) -> None:
        """Let callbacks evaluate and show what training came to; one that cannot costs no run."""
        for callback in self.callbacks:
            try:
                self._notify("fit_end", [callback])
            except (UserError, MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as error:
                if callback.essential:
                    raise
                log.debug("an error after training", exc_info=True)
                name = callback.name or type(callback).__name__
                log.warning(f"`{name}` failed after training had ended, and is left out: {described(error)}")

    def advance(self, count: int) -> Tensor:
        """Take up to `count` steps without events, inside `fit` or in its place; the losses (done, m) of each."""
        losses = self.engine.advance(self.step, count)
        self._count(losses)
        return losses

    def _until_a_look(self, looking: Sequence[Callback], end: int) -> tuple[int, list[Callback]]:
        """Steps before somebody looks, at most until `end`; where that is none, who looks at the present one."""
        if lookers := [callback for callback in looking if callback.wants(self.step)]:
            return 1, lookers
        for callback in looking:
            end = next((step for step in range(self.step + 1, end) if callback.wants(step)), end)
        return end - self.step, []

    def _next_event(self) -> int:
        """The step at whose end a validation, the end of an epoch or that of training is due."""
        intervals = [self._validation_interval()]
        if any(callback.hears("epoch_end") for callback in self.callbacks):
            intervals.append(self.steps_per_epoch)
        return min(self.total_steps, *((self.step // interval + 1) * interval for interval in intervals))

    def _validation_interval(self) -> int:
        unit = self.steps_per_epoch if self.settings.validate_unit == "epoch" else 1
        return unit * self.settings.validate_every

    def _looked_at_step(self, lookers: Sequence[Callback]) -> None:
        """Take the present step with its events."""
        self.engine.begin(self.step)
        self._notify("step_start", lookers)
        self.engine.backward()
        self._notify("after_backward", lookers)
        self._activations = None
        if self.active:
            self._count(self.engine.update().unsqueeze(0))
        else:
            self.step += 1
        if self.active:
            self._notify("step_end", lookers)

    def _count(self, losses: Tensor) -> None:
        """Count the steps that have been done, with their losses (steps, m)."""
        self.history.add(losses, self.engine.rates.exact(self.step, len(losses)))
        self.step += len(losses)
        if self.engine.guard.alarm:
            self._settle_faults()

    def _notify(self, event: str, lookers: Sequence[Callback] | None = None) -> None:
        self.engine.collect()
        for callback in self.callbacks if lookers is None else lookers:
            if callback.hears(event):
                getattr(callback, event)(self)

    def _between_blocks(self) -> None:
        """Stop at the time limit; validate and say that an epoch has ended where that is due."""
        limit = self.settings.time_limit
        if limit is not None and self.seconds > limit and self.step < self.total_steps:
            self.stop_requested = "time limit"
        done = self.step >= self.total_steps or self.stop_requested == "time limit"
        if self.active and (self.step % self._validation_interval() == 0 or done):
            self.validate()
        if self.active and self.step % self.steps_per_epoch == 0:
            self._notify("epoch_end")

    def validate(self) -> None:
        """Evaluate the active members on the validation split and keep the best weights.

        Raises:
            Interrupted: training is to stop, and this takes long; the run continues from its last checkpoint.
        """
        self.history.flush()
        self._settle_faults()
        if not self.active:
            return
        evaluation = self.evaluator.validate(self.step, lambda: self.stop_requested == "interrupted")
        tags = [f"{name}/validation" for name in evaluation.metrics]
        with self.engine.as_evaluated():
            for row, (member, values) in enumerate(zip(self.active, evaluation.of_members, strict=True)):
                self.history.record(self.step, member, dict(zip(tags, values.values(), strict=True)))
                self.best.offer(self.stack, row, member, self.step, values, self.primary_metric)
        self._notify("evaluated")

    def _settle_faults(self) -> None:
        """Do what the guard says about numbers that were not finite."""
        self.engine.collect()
        verdict = self.engine.guard.verdict(self.engine.again)
        if verdict is None:
            return
        for member, count in zip(self.active, verdict.left_out, strict=True):
            self.outcomes[member].repairs = count
        for row in verdict.restored:
            member = self.active[row]
            self.best.restore(self.stack, row, member)
            self.engine.set_learning_rate(member, 0.5 * self.engine.learning_rate(member))
        if verdict.restored:
            self.engine.merge()
        if verdict.ended:
            self._leave(verdict.ended, "diverged")

    def end(self, members: Sequence[int], status: Status, reason: str) -> None:
        """Take `members` out of training, for callbacks that may (early stopping)."""
        rows = [self.active.index(member) for member in members]
        losses = self.losses.tolist()
        self._leave({row: Exit(self.step, losses[row], reason) for row in rows}, status)

    def _leave(self, rows: Mapping[int, Exit], status: Status) -> None:
        """Take the stack's `rows` out of training."""
        for row, why in rows.items():
            member = self.active[row]
            self._conclude(member, status, why.sentence, why.step)
            self.best.keep_final(self.stack, row, member, why.step, why.loss)
            self.history.forget(member, why.step)
        kept = [row for row in range(len(self.active)) if row not in rows]
        self.engine.select(kept)
        self._activations = self._activations and {name: value[kept] for name, value in self._activations.items()}
        self.history.select(self.active)

    def _conclude(self, member: int, status: Status, reason: str, step: int) -> None:
        outcome, rate = self.outcomes[member], self.engine.learning_rate(member)
        repaired = repaired_sentence(self.settings.on_nonfinite, outcome.repairs, rate)
        outcome.end(status, reason, step, repaired)

    def _settle_outcomes(self) -> None:
        """Set the final status of every member still training."""
        self.history.flush()
        self._settle_faults()
        if self.stop_requested == "interrupted" and self.step >= self.total_steps:
            self.stop_requested = None  # the signal came with the last step
        status: Status = "interrupted" if self.stop_requested == "interrupted" else "completed"
        limited = self.stop_requested == "time limit"
        limit = f"the time limit was reached at step {self.step} of {self.total_steps}" if limited else ""
        for member in self.active:
            self._conclude(member, status, limit, self.step)

    # What the members reach.

    def evaluate(self, split: str) -> Evaluation:
        """Evaluate the active members with their present weights on `train`, `validation` or `test`."""
        return self.evaluator.present(split)

    def validation(self) -> Evaluation:
        """The active members with their present weights on the validation split; after a validation, that one."""
        return self.evaluator.validation(self.step)

    def at_best(self, members: slice | Sequence[int] = slice(None)) -> AbstractContextManager[Stack]:
        """The stack with the best weights of all members, or some, also of those that have ended; then as it was."""
        return self.evaluator.at_best(members)

    def final_evaluations(self) -> dict[str, Evaluation]:
        """Evaluate the best weights of all members, also of those that have ended, on every split."""
        return self.evaluator.final()
