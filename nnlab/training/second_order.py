"""The loss as a function of one row of parameters, for optimizers that evaluate it themselves."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev

from nnlab.optimizer.base import HessianClosure
from nnlab.training.population import Population

CHUNK = 64  # rows of the Hessian that are computed together


class BatchClosure(HessianClosure):
    """Mean loss on one batch plus penalties, of a population of one."""

    def __init__(self, population: Population, inputs: Tensor, targets: Tensor) -> None:
        self.population, self.inputs, self.targets = population, inputs, targets

    def __call__(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        population = self.population
        kept = population.stack.theta[0].clone()
        population.stack.theta[0].copy_(theta)
        losses = population.stack.backward(self.inputs, self.targets) + population.penalty()
        population.add_penalties()
        population.stack.theta[0].copy_(kept)
        return losses[0], population.stack.gradient[0].clone()

    def hessian(self, theta: Tensor) -> Tensor:
        stack = self.population.stack
        buffers = {name: value[0] for name, value in stack.buffers.items()}

        def objective(row: Tensor) -> Tensor:
            views = {name: view[0] for name, view in stack.layout.views(row.unsqueeze(0)).items()}
            outputs = functional_call(stack.network, views | buffers, (self.inputs[0],))
            value = stack.loss.losses(outputs, self.targets[0]).mean()
            penalties = [p.value(row.unsqueeze(0), self.population.mask)[0] for p in self.population.penalties]
            return torch.stack([value, *penalties]).sum()

        stack.network.train()
        hessian: Tensor = jacrev(grad(objective), chunk_size=CHUNK)(theta)
        return hessian
