"""The training loop: one for a single network, an ensemble and a grid.

See `nnlab.training.callback` for the loop with its events.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from nnlab.device import resolve_device, resolve_dtype
from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.members import Hyper
from nnlab.metric_names import THOROUGH
from nnlab.optimizer.base import SecondOrder
from nnlab.storage.run import Run
from nnlab.training.batches import spread, stacked_scale
from nnlab.training.best import Best, check_metric
from nnlab.training.callback import Callback
from nnlab.training.evaluation import SPLITS, Evaluation, evaluate
from nnlab.training.history import History
from nnlab.training.member import Member
from nnlab.training.nonfinite import (
    nonfinite_sentence,
    repair,
    repaired_sentence,
    settle,
)
from nnlab.training.population import Population
from nnlab.training.recorded import make_steps
from nnlab.training.second_order import BatchClosure
from nnlab.training.settings import TrainerSettings

EVENTS = ("fit_start", "step_start", "after_backward", "step_end", "evaluated", "epoch_end", "fit_end")


class Trainer:
    """Trains a population of M >= 1 networks of one architecture.

    Args:
        members: the networks with their data and rules; see `Member`. Shapes and classes must agree.
        loss: the loss that all share.
        settings: length, batches, device.
        callbacks: observers, called in this order.
        runs: the run directories that the members' results go to, if any.

    Attributes:
        step: updates done so far.
        statuses: of each member: `running`, then `completed`, `diverged`, `interrupted`.
        reasons: one sentence where a member ended early.
        steps: how a step's parts are run; see `nnlab.training.recorded`.
        history: losses and metrics; see `History`.
        best: the members' best weights so far; see `Best`.
        deferred: whether non-finite members are found only when losses are fetched; see `nnlab.training.nonfinite`.
        failed_step: (M,) on the device, the step at which each was found, -1 for none.
        repairs: (M,) on the device, steps that were not taken because a number was not finite (`on_nonfinite`).
    """

    def __init__(
        self,
        members: Sequence[Member],
        loss: Loss,
        settings: TrainerSettings,
        callbacks: Sequence[Callback] = (),
        runs: Sequence[Run] = (),
    ) -> None:
        if not members:
            raise UserError("a population needs at least one member")
        self.loss, self.settings = loss, settings
        self.callbacks, self.runs = list(callbacks), list(runs)
        self.device, dtype = resolve_device(settings.device), resolve_dtype(settings.precision)
        moved = {id(member.dataset): member.dataset.to(self.device, dtype) for member in members}
        for member in members:
            member.dataset = moved.get(id(member.dataset), member.dataset)
        self.members = list(members)
        size = None if settings.batch_size == "full" else settings.batch_size
        self.population = Population(members, loss, size, self.device, dtype, settings.precision == "bf16")
        self.steps_per_epoch = -(-self.population.batches.steps_per_epoch // settings.accumulate)
        self.total_steps = settings.steps or max(1, round((settings.epochs or 0) * self.steps_per_epoch))
        self.step = 0
        self.seconds = 0.0
        self.statuses = ["running"] * len(members)
        self.reasons = [""] * len(members)
        self.ended_at = [0] * len(members)
        self.history = History(len(members))
        self.best = Best(self.population.stack, settings.best_window)
        self.stop_requested: str | None = None
        self.losses: Tensor = torch.zeros(len(members))
        self._rates: list[float] | Tensor = []
        self.ensembles: dict[int, dict[str, Any]] = {}
        self._validated: tuple[int, list[int], Evaluation] | None = None
        self._final: dict[str, Evaluation] | None = None
        self.deferred = self.device.type != "cpu"
        self.failed_step = torch.full((len(members),), -1, device=self.device)
        self.repairs = torch.zeros(len(members), dtype=torch.long, device=self.device)
        self._listeners: dict[str, list[Callable[[Trainer], None]]] = {event: [] for event in EVENTS}
        check_metric(self.primary_metric, self.metric_names(), [member.dataset for member in self.members])
        self.steps = make_steps(self)
        for callback in self.callbacks:
            callback.check(self)

    @property
    def stack(self) -> Any:
        """The networks in training."""
        return self.population.stack

    @property
    def active(self) -> list[int]:
        """Positions of the members still in training."""
        return self.population.active

    @property
    def primary_metric(self) -> str:
        """The metric that decides which weights are best: `trainer.metric`, else accuracy or rmse."""
        return self.settings.metric or self.loss.primary_metric(self.members[0].dataset.task)

    @property
    def _thorough(self) -> tuple[str, ...]:
        """The metric that decides, where it is one of those that otherwise only the end measures."""
        return tuple(name for name in THOROUGH if name == self.primary_metric)

    @property
    def finished(self) -> bool:
        """Whether no member is in training any more."""
        return "running" not in self.statuses

    @property
    def inputs(self) -> Tensor:
        """Inputs (M, N, ...) of the present minibatch, augmented, of the members in training."""
        return spread(self._inputs, len(self.active))

    @property
    def targets(self) -> Tensor:
        """Targets (M, N) or (M, N, C) of the present minibatch."""
        return spread(self._targets, len(self.active))

    def metric_names(self) -> list[str]:
        """`loss` and the task's metrics, in the order in which they are reported."""
        data = self.members[0].dataset
        targets = data.validation.targets[None, :1]
        outputs = data.validation.inputs.new_zeros(1, 1, self.loss.output_size(data.target_size))
        return ["loss", *self.loss.metrics(self.loss.prediction(outputs), targets, data.target_std, self._thorough)]

    @property
    def epoch(self) -> float:
        """Epochs done so far."""
        return self.step / self.steps_per_epoch

    def fit(self) -> Trainer:
        """Train until the end, or until every member has ended; then evaluate the best weights on all splits."""
        started = time.perf_counter() - self.seconds
        self._listeners = {
            event: [
                getattr(c, event) for c in self.callbacks if getattr(type(c), event) is not getattr(Callback, event)
            ]
            for event in EVENTS
        }
        self.schedule()
        self._notify("fit_start")
        while self.active and self.step < self.total_steps:
            self.one_step()
            self.seconds = time.perf_counter() - started
            self._after_step()
            if self.stop_requested:
                break
        self._settle_statuses()
        self.seconds = time.perf_counter() - started
        for callback in self.callbacks:
            callback.flush(self)
        for run in self.runs:
            run.mark_trained()
        self._notify("fit_end")
        return self

    def _settle_statuses(self) -> None:
        """Say how those ended that are still in training."""
        self.history.flush()
        settle(self)
        if self.stop_requested == "interrupted" and self.step >= self.total_steps:
            self.stop_requested = None  # the signal came with the last step
        for member in list(self.active):
            self.statuses[member] = "interrupted" if self.stop_requested == "interrupted" else "completed"
            self.ended_at[member] = self.step
            limited = self.stop_requested == "time limit"
            limit = f"the time limit was reached at step {self.step} of {self.total_steps}" if limited else ""
            self.reasons[member] = "; ".join(filter(None, (limit, repaired_sentence(self, member))))

    def schedule(self) -> None:
        """Compute the learning rates of all steps anew."""
        self._rates = self.population.schedule(self.total_steps) if self.active else []

    def learning_rate(self) -> Hyper:
        """The rate of the present step, a number or (M, 1)."""
        return self._rates[min(self.step, self.total_steps - 1)]

    def _notify(self, event: str) -> None:
        for listener in self._listeners[event]:
            listener(self)

    def one_step(self) -> None:
        """Do the present step and count it, after `schedule`; callbacks hear of it within `fit` alone."""
        population = self.population
        if isinstance(population.optimizer, SecondOrder):
            self._second_order_step(population.optimizer)
        else:
            self.compute_gradient(("step_start",))
            self._notify("after_backward")
            self.steps.update()
        self.step += 1

    def compute_gradient(self, events: Sequence[str] = ()) -> None:
        """Losses and gradients of the minibatch of `step`, or of the average of several; `events` when it is known."""
        count = self.settings.accumulate
        if count == 1:
            self._inputs, self._targets = self.steps.batch(self.step)
            for event in events:
                self._notify(event)
            self.losses = self.steps.backward(self._inputs, self._targets)
            return
        per_epoch = self.population.batches.steps_per_epoch
        first = (self.step // self.steps_per_epoch) * per_epoch + (self.step % self.steps_per_epoch) * count
        last = min(first + count, (first // per_epoch + 1) * per_epoch)
        total, examples = torch.zeros_like(self.stack.gradient), 0
        losses = torch.zeros(len(self.active), device=self.device, dtype=total.dtype)
        for position in range(first, last):
            self._inputs, self._targets = self.steps.batch(position)
            for event in events if position == first else ():
                self._notify(event)
            weight = self._inputs.shape[1]
            losses += weight * self.steps.backward(self._inputs, self._targets)
            total.add_(self.stack.gradient, alpha=weight)
            examples += weight
        self.losses = losses / examples
        torch.div(total, examples, out=self.stack.gradient)

    def _second_order_step(self, optimizer: SecondOrder) -> None:
        self._inputs, self._targets = self.population.batch(self.step)
        self._notify("step_start")
        closure = BatchClosure(self.population, self._inputs, self._targets)
        row = self.stack.theta[0].clone()
        rate = self.learning_rate()
        keep = self.settings.on_nonfinite != "stop"  # the rules change their state in place
        state = {name: value[0].clone() if keep else value[0] for name, value in self.population.state.items()}
        loss = optimizer.step(row, closure, state, float(rate), self.step + 1)
        self.losses = loss.detach().reshape(1)
        closure(row)
        self._notify("after_backward")
        if math.isfinite(float(loss)) and bool(torch.isfinite(row).all()):
            self.stack.theta[0].copy_(row)
            self.population.state = {name: value.unsqueeze(0) for name, value in state.items()}
            self.population.project()
        elif self.settings.on_nonfinite == "stop":
            self.end_rows([0], "diverged", nonfinite_sentence(self, 0, self.step + 1))
            return
        else:
            repair(self, [0])
        self.history.add(self.losses, rate)

    def end(self, members: Sequence[int], status: str, reason: str) -> None:
        """Take `members` out of training, for callbacks that may (early stopping)."""
        self.end_rows([self.active.index(member) for member in members], status, reason)

    def end_rows(self, rows: Sequence[int], status: str, reason: str = "") -> None:
        """Take the stack's `rows` out of training."""
        if not rows:
            return
        for row in rows:
            member = self.active[row]
            self.statuses[member] = status
            why = (reason or self.reasons[member], repaired_sentence(self, member))
            self.reasons[member] = "; ".join(filter(None, why))
            self.ended_at[member] = self.step
        keep = [row for row in range(len(self.active)) if row not in set(rows)]
        self.best.keep_final(self.stack, self.active, rows, self.step, self.losses)
        self.losses = self.losses[keep]
        self.population.select(keep)
        self.history.select(self.active)
        if self.active:
            self.schedule()

    def _after_step(self) -> None:
        settings = self.settings
        if self.active:
            self._notify("step_end")
        per = self.steps_per_epoch if settings.validate_unit == "epoch" else 1
        done = self.step >= self.total_steps
        if settings.time_limit is not None and self.seconds > settings.time_limit and not done:
            self.stop_requested = "time limit"
            done = True
        if self.active and (self.step % (per * settings.validate_every) == 0 or done):
            self.validate()
        if self.active and self.step % self.steps_per_epoch == 0:
            self._notify("epoch_end")

    def validate(self) -> None:
        """Evaluate the active members on the validation split and keep the best weights."""
        self.history.flush()
        settle(self)
        if not self.active:
            return
        evaluation = self.evaluate("validation")
        self._validated = self.step, list(self.active), evaluation
        metrics = {name: value.tolist() for name, value in evaluation.metrics.items()}
        for row, member in enumerate(self.active):
            values = {name: column[row] for name, column in metrics.items()}
            self.history.record(self.step, member, {f"{name}/validation": value for name, value in values.items()})
            self.best.offer(self.stack, row, member, self.step, values, self.primary_metric)
        self._notify("evaluated")

    def evaluate(self, split: str) -> Evaluation:
        """Evaluate the active members with their present weights on `train`, `validation` or `test`."""
        return self._evaluate(self.stack, split, self.active, self._thorough)

    def _evaluate(
        self, stack: Any, split: str, members: Sequence[int], thorough: Collection[str] = THOROUGH
    ) -> Evaluation:
        datasets = [self.members[member].dataset for member in members]
        return evaluate(stack, [getattr(dataset, split) for dataset in datasets], stacked_scale(datasets), thorough)

    def validation(self) -> Evaluation:
        """The active members with their present weights on the validation split; after a validation, that one."""
        known = self._validated
        return known[2] if known is not None and known[:2] == (self.step, self.active) else self.evaluate("validation")

    @contextlib.contextmanager
    def at_best(self) -> Iterator[Any]:
        """The stack with the best weights of all members, also of those that have ended; then as it was."""
        present = self.stack.theta, self.stack.buffers
        self.stack.replace(self.best.theta, self.best.buffers)
        try:
            yield self.stack
        finally:
            self.stack.replace(*present)

    def final_evaluations(self) -> dict[str, Evaluation]:
        """Evaluate the best weights of all members, also of those that have ended, on every split."""
        if self._final is None:
            with self.at_best() as stack:
                self._final = {split: self._evaluate(stack, split, range(len(self.members))) for split in SPLITS}
        return self._final
