"""A foreign optimizer in an ordinary loop over an ordinary network, and through nnlab's contract."""

from __future__ import annotations

from typing import Any

import torch
import torch.optim
from torch import Tensor, nn

from nnlab.optimizer import TorchClosureOptimizer, from_torch
from nnlab.optimizer.torch_binding import Part
from nnlab.training.layout import Layout

STEPS, HALF = 60, 25


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))


class Named(torch.optim.SGD):
    """Takes the parameters under another name than torch's classes, as Adam-mini does."""

    def __init__(self, named_parameters: Any, lr: float = 0.1) -> None:
        super().__init__(named_parameters, lr=lr)


INPUTS = torch.sin(torch.arange(24.0)).view(8, 3)
TARGETS = torch.cos(torch.arange(16.0)).view(8, 2)


def rates(base: float) -> list[float]:
    return [base * 0.98**k for k in range(STEPS)]


def plain_loop(kind: type, options: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """The iterates of an ordinary loop over an ordinary network, and the weights that it would evaluate with."""
    model, path, shown = network(), [], []
    wants_closure = Part(kind, options).traits.closure
    optimizer = kind(model.parameters(), **options)
    base = optimizer.param_groups[0]["lr"]
    row = Layout(model).row

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(INPUTS) - TARGETS).square().mean()
        loss.backward()
        return loss

    for rate in rates(base):
        for group in optimizer.param_groups:
            group["lr"] = rate
        if isinstance(getattr(optimizer, "lr", None), float):
            optimizer.lr = rate
        if hasattr(optimizer, "train"):
            optimizer.train()
        closure()
        optimizer.step(closure) if wants_closure else optimizer.step()
        path.append(row(model, torch.float32))
        if hasattr(optimizer, "eval"):
            kept = [p.detach().clone() for p in model.parameters()]
            optimizer.eval()
            shown.append(row(model, torch.float32))
            optimizer.train()
            for p, old in zip(model.parameters(), kept, strict=True):
                p.data.copy_(old)
    return path, shown


def through_nnlab(kind: type, options: dict[str, Any], interrupted: bool) -> tuple[list[Tensor], list[Tensor]]:
    """The same through theta, gradient and state alone; `interrupted` makes everything anew in the middle."""
    model, path, shown = network(), [], []
    layout = Layout(model)
    theta = layout.row(model, torch.float32).unsqueeze(0)
    optimizer = from_torch(kind, options)
    optimizer.place(layout.slots)
    state = optimizer.initial_state(theta)

    def closure(row: Tensor) -> tuple[Tensor, Tensor]:
        views = {name: view[0].detach().requires_grad_() for name, view in layout.views(row.unsqueeze(0)).items()}
        loss = (torch.func.functional_call(model, views, (INPUTS,)) - TARGETS).square().mean()
        parts = torch.autograd.grad(loss, list(views.values()))
        return loss.detach(), torch.cat([part.reshape(-1) for part in parts])

    for k, rate in enumerate(rates(optimizer.learning_rate), start=1):
        if interrupted and k == HALF:
            optimizer = from_torch(kind, options)
            optimizer.place(layout.slots)
            theta, state = theta.clone(), {name: value.clone() for name, value in state.items()}
        if isinstance(optimizer, TorchClosureOptimizer):
            first = {name: value[0] for name, value in state.items()}
            optimizer.step(theta[0], closure, first, rate, k)
            state = {name: value.unsqueeze(0) for name, value in first.items()}
        else:
            optimizer.update(theta, closure(theta[0])[1].unsqueeze(0), state, rate, k)
        path.append(theta[0].clone())
        averaged = optimizer.averaged(theta, state)
        shown += [] if averaged is None else [averaged[0]]
    return path, shown
