"""The training loop: one for a single network, an ensemble and a grid.

See `nnlab.training.callback` for the loop with its events.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nnlab.device import resolve_device, resolve_dtype
from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.members import Hyper
from nnlab.optimizer.base import SecondOrder
from nnlab.training.batches import stacked_split
from nnlab.training.best import Best
from nnlab.training.callback import Callback
from nnlab.training.ensemble import ensemble_report
from nnlab.training.evaluation import Evaluation, evaluate
from nnlab.training.history import History
from nnlab.training.member import Member
from nnlab.training.nonfinite import nonfinite_sentence
from nnlab.training.population import Population
from nnlab.training.run import Run
from nnlab.training.second_order import BatchClosure
from nnlab.training.settings import TrainerSettings
from nnlab.types import Split

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
        history: losses and metrics; see `History`.
        best: the members' best weights so far; see `Best`.
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
        self.best = Best(self.population.stack)
        self.stop_requested: str | None = None
        self.losses: Tensor = torch.zeros(len(members))
        self._rates: list[float] | Tensor = []
        self._final: dict[str, Evaluation] | None = None
        self._alive = torch.ones(len(members), dtype=torch.bool, device=self.device)

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
        """The metric that decides which weights are best: accuracy or rmse."""
        return self.loss.primary_metric(self.members[0].dataset.task)

    @property
    def finished(self) -> bool:
        """Whether no member is in training any more."""
        return "running" not in self.statuses

    def metric_names(self) -> list[str]:
        """`loss` and the task's metrics, in the order in which they are reported."""
        split = stacked_split([self.members[0].dataset], "validation")
        one = Split(split.inputs[:, :1], split.targets[:, :1])
        with torch.no_grad():
            members = len(self.active)
            wide = Split(
                one.inputs.expand(members, *one.inputs.shape[1:]), one.targets.expand(members, *one.targets.shape[1:])
            )
            return list(evaluate(self.stack, wide).metrics)

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
            self._one_step()
            self.seconds = time.perf_counter() - started
            self._after_step()
            if self.stop_requested:
                break
        self.history.flush()
        self._settle()
        for row in list(self.active):
            self.statuses[row] = "interrupted" if self.stop_requested == "interrupted" else "completed"
            self.ended_at[row] = self.step
        self.seconds = time.perf_counter() - started
        self._notify("fit_end")
        return self

    def schedule(self) -> None:
        """Compute the learning rates of all steps anew."""
        self._rates = self.population.schedule(self.total_steps)

    def learning_rate(self) -> Hyper:
        """The rate of the present step, a number or (M, 1)."""
        return self._rates[min(self.step, self.total_steps - 1)]

    def _notify(self, event: str) -> None:
        for listener in self._listeners[event]:
            listener(self)

    def _one_step(self) -> None:
        population = self.population
        if isinstance(population.optimizer, SecondOrder):
            self._second_order_step(population.optimizer)
        else:
            self._backward()
            self._notify("after_backward")
            population.add_penalties()
            population.clip()
            if self._healthy():
                rate = self.learning_rate()
                before = population.stack.theta.clone() if self.device.type != "cpu" else None
                population.update(rate, self.step + 1)
                if before is not None:
                    torch.where(
                        self._alive[population.active].unsqueeze(1),
                        population.stack.theta,
                        before,
                        out=population.stack.theta,
                    )
                self.history.add(self.losses, rate)
        self.step += 1

    def _backward(self) -> None:
        """Losses and gradients of the next minibatch, or of the average of several."""
        count = self.settings.accumulate
        if count == 1:
            self.inputs, self.targets = self.population.batch(self.step)
            self._notify("step_start")
            self.losses = self.stack.backward(self.inputs, self.targets)
            return
        per_epoch = self.population.batches.steps_per_epoch
        first = (self.step // self.steps_per_epoch) * per_epoch + (self.step % self.steps_per_epoch) * count
        last = min(first + count, (first // per_epoch + 1) * per_epoch)
        total, examples = torch.zeros_like(self.stack.gradient), 0
        losses = torch.zeros(len(self.active), device=self.device, dtype=total.dtype)
        for position in range(first, last):
            self.inputs, self.targets = self.population.batch(position)
            if position == first:
                self._notify("step_start")
            weight = self.inputs.shape[1]
            losses += weight * self.stack.backward(self.inputs, self.targets)
            total.add_(self.stack.gradient, alpha=weight)
            examples += weight
        self.losses = losses / examples
        torch.div(total, examples, out=self.stack.gradient)

    def _second_order_step(self, optimizer: SecondOrder) -> None:
        self.inputs, self.targets = self.population.batch(self.step)
        self._notify("step_start")
        closure = BatchClosure(self.population, self.inputs, self.targets)
        row = self.stack.theta[0].clone()
        rate = self.learning_rate()
        state = {name: value[0] for name, value in self.population.state.items()}
        loss = optimizer.step(row, closure, state, float(rate), self.step + 1)
        self.losses = loss.detach().reshape(1)
        closure(row)
        self._notify("after_backward")
        if math.isfinite(float(loss)) and bool(torch.isfinite(row).all()):
            self.stack.theta[0].copy_(row)
            self.population.state = {name: value.unsqueeze(0) for name, value in state.items()}
            self.population.project()
            self.history.add(self.losses, rate)
        else:
            self._end([0], "diverged", nonfinite_sentence(self, 0))

    def _healthy(self) -> bool:
        """End members whose loss or gradient is not finite before they are updated; False where none remain.

        On the CPU this is immediate. Elsewhere looking would make the program wait for the device in every step, so
        such members are frozen on the device, and ended when losses are fetched.
        """
        finite = torch.isfinite(self.losses + self.stack.gradient.sum(1))
        if self.device.type != "cpu":
            index = torch.tensor(self.active, device=self.device)
            self._alive[index] &= finite
            self.stack.gradient.masked_fill_(~self._alive[index].unsqueeze(1), 0.0)
            return True
        if bool(finite.all()):
            return True
        bad = (~finite).nonzero().flatten().tolist()
        if self.settings.on_nonfinite == "stop":
            for row in bad:
                self.reasons[self.active[row]] = nonfinite_sentence(self, row)
            self._end(bad, "diverged")
            return bool(self.active)
        if self.settings.on_nonfinite == "restore":
            self._restore(bad)
        self.stack.gradient.masked_fill_(~finite.unsqueeze(1), 0.0)
        return True

    def _restore(self, rows: list[int]) -> None:
        """Return to the best weights and halve the rate."""
        for row in rows:
            member = self.active[row]
            self.best.restore(self.stack, row, member)
            self.members[member].optimizer.learning_rate *= 0.5
        self.population.merge()
        self.schedule()

    def _settle(self) -> None:
        """End the members that were frozen on the device."""
        if self.device.type == "cpu" or not self.active:
            return
        dead = [row for row, member in enumerate(self.active) if not bool(self._alive[member])]
        for row in dead:
            self.reasons[self.active[row]] = f"the loss or gradient became non-finite before step {self.step}"
        self._end(dead, "diverged")

    def end(self, members: Sequence[int], status: str, reason: str) -> None:
        """Take `members` out of training, for callbacks that may (early stopping)."""
        self._end([self.active.index(member) for member in members], status, reason)

    def _end(self, rows: Sequence[int], status: str, reason: str = "") -> None:
        if not rows:
            return
        for row in rows:
            member = self.active[row]
            self.statuses[member] = status
            self.reasons[member] = reason or self.reasons[member]
            self.ended_at[member] = self.step
        keep = [row for row in range(len(self.active)) if row not in set(rows)]
        self.best.keep_final(self.stack, self.active, rows)
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
        self._settle()
        if not self.active:
            return
        metrics = {name: value.tolist() for name, value in self.evaluate("validation").metrics.items()}
        for row, member in enumerate(self.active):
            values = {name: column[row] for name, column in metrics.items()}
            self.history.record(self.step, member, {f"{name}/validation": value for name, value in values.items()})
            self.best.offer(self.stack, row, member, self.step, values, self.primary_metric)
        self._notify("evaluated")

    def evaluate(self, split: str) -> Evaluation:
        """Evaluate the active members with their present weights on `train`, `validation` or `test`."""
        datasets = [self.members[i].dataset for i in self.active]
        return evaluate(self.stack, stacked_split(datasets, split), datasets[0].target_std)

    def final_evaluations(self) -> dict[str, Evaluation]:
        """Evaluate the best weights of all members, also of those that have ended, on every split."""
        if self._final is None:
            stack, datasets = self.stack, [member.dataset for member in self.members]
            present = stack.theta, stack.buffers
            stack.replace(self.best.theta, self.best.buffers)
            self._final = {
                split: evaluate(stack, stacked_split(datasets, split), datasets[0].target_std)
                for split in ("train", "validation", "test")
            }
            stack.replace(*present)
        return self._final

    def final_metrics(self, members: Sequence[int]) -> tuple[dict[str, dict[str, float]], dict[str, Any] | None]:
        """Metrics by split of a run's member; for several members those of the ensemble, and its report."""
        final = self.final_evaluations()
        if len(members) == 1:
            row = members[0]
            return {s: {n: float(v[row]) for n, v in e.metrics.items()} for s, e in final.items()}, None
        data, rows = self.members[members[0]].dataset, list(members)
        reports = {
            split: ensemble_report(self.loss, evaluation, getattr(data, split).targets, rows, data.target_std)
            for split, evaluation in final.items()
        }
        return {split: report["by_size"][-1] for split, report in reports.items()}, reports
