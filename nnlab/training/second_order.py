"""The engine of rules that evaluate the loss themselves, such as L-BFGS and Newton's method: one network at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev

from nnlab.loss.base import Loss
from nnlab.optimizer.base import HessianClosure, SecondOrder
from nnlab.training.engine import Engine
from nnlab.training.member import Member
from nnlab.training.settings import TrainerSettings

CHUNK = 64  # rows of the Hessian that are computed together


class SecondOrderEngine(Engine):
    """An `Engine` whose optimizer is a `SecondOrder` rule.

    `losses` and gradients are those of the minibatch before the step, without penalties, as for other rules. The losses
    that `update` and `advance` return are the objective's, penalties included, which is what the rule minimizes.
    """

    def __init__(
        self, members: Sequence[Member], loss: Loss, settings: TrainerSettings, device: torch.device, dtype: torch.dtype
    ) -> None:
        super().__init__(members, loss, settings, device, dtype)
        self.guard.deferred = False  # the rules look at the numbers themselves

    def update(self) -> Tensor:
        optimizer, stack, losses = self.rules.optimizer, self.stack, self.losses
        if not isinstance(optimizer, SecondOrder):
            raise TypeError(f"{type(optimizer).__name__} does not evaluate the loss itself")
        closure = BatchClosure(self)
        row = stack.theta[0].clone()
        keep = self.guard.policy != "stop"  # the rules change their state in place
        state = {name: value[0].clone() if keep else value[0] for name, value in self.state.items()}
        loss = optimizer.step(row, closure, state, float(self.rates.at(self.step)), self.step + 1)
        self.losses, objective = losses, loss.detach().reshape(1)
        stack.gradient[0].copy_(closure.gradient)
        moved = torch.cat([closure.gradient, row]).unsqueeze(0)
        if self.guard.admitted(objective, moved, self.step) is None:
            stack.theta[0].copy_(row)
            self.state = {name: value.unsqueeze(0) for name, value in state.items()}
            self.rules.project(stack)
            self.rules.average(stack, self.state, self.step + 1)
        return objective


class BatchClosure(HessianClosure):
    """Mean loss on the engine's present batch plus penalties, as a function of one row of parameters.

    Attributes:
        gradient: (P,) of loss and penalties at the parameters from which the step starts.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.start = engine.stack.theta[0].clone()
        losses = engine.losses + engine.rules.penalty(engine.stack)
        engine.rules.add_penalties(engine.stack)
        self.loss, self.gradient = losses[0], engine.stack.gradient[0].clone()

    def __call__(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        if torch.equal(theta, self.start):  # known already, and what callbacks have seen
            return self.loss.clone(), self.gradient.clone()
        engine, stack = self.engine, self.engine.stack
        stack.theta[0].copy_(theta)
        engine.backward()
        losses = engine.losses + engine.rules.penalty(stack)
        engine.rules.add_penalties(stack)
        stack.theta[0].copy_(self.start)
        return losses[0], stack.gradient[0].clone()

    def hessian(self, theta: Tensor) -> Tensor:
        stack, rules = self.engine.stack, self.engine.rules
        buffers = {name: value[0] for name, value in stack.buffers.items()}

        def objective(row: Tensor) -> Tensor:
            views = {name: view[0] for name, view in stack.layout.views(row.unsqueeze(0)).items()}
            outputs = functional_call(stack.network, views | buffers, (self.engine.inputs[0],))
            value = stack.loss.losses(outputs, self.engine.targets[0]).mean()
            penalties = [penalty.value(row.unsqueeze(0), rules.mask)[0] for penalty in rules.penalties]
            return torch.stack([value, *penalties]).sum()

        stack.network.train()
        parts = [(n, jacrev(grad(objective), chunk_size=CHUNK)(theta)) for n in self.engine.minibatches()]
        if len(parts) == 1:
            hessian: Tensor = parts[0][1]
            return hessian
        return torch.stack([n * part for n, part in parts]).sum(0) / sum(n for n, _ in parts)
