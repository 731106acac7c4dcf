"""The adapter for torch's optimizers: the same steps, the schedule, and exact continuation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.optimizer import TorchClosureOptimizer, TorchOptimizer, from_torch
from nnlab.optimizer.torch_optimizer import flatten_state, restore_state

ELEMENTWISE: dict[str, dict[str, Any]] = {
    "ASGD": {"lr": 0.01},
    "Adadelta": {},
    "Adagrad": {"lr": 0.1},
    "Adam": {"amsgrad": True},
    "AdamW": {"weight_decay": 0.1},
    "Adamax": {"lr": 0.01},
    "NAdam": {"lr": 0.002, "momentum_decay": 0.01},
    "RAdam": {"lr": 0.01},
    "RMSprop": {"lr": 0.01, "centered": True, "momentum": 0.5},
    "Rprop": {"lr": 0.01},
    "SGD": {"lr": 0.002, "momentum": 0.9, "dampening": 0.5},
}


def loss_of(theta: Tensor) -> Tensor:
    """Rosenbrock's function."""
    return (10 * (theta[1:] - theta[:-1] ** 2) ** 2 + (1 - theta[:-1]) ** 2).sum()


def closure(theta: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        theta = theta.detach().requires_grad_()
        loss = loss_of(theta)
    return loss.detach(), torch.autograd.grad(loss, theta)[0]


def begin() -> Tensor:
    return torch.tensor([-0.5, 0.5, 1.5, 0.2], dtype=torch.float64)


def torchs_path(name: str, options: dict[str, Any], steps: int, decay: float = 1.0) -> Tensor:
    parameter = torch.nn.Parameter(begin())
    optimizer, path = getattr(torch.optim, name)([parameter], **options), []
    base = optimizer.param_groups[0]["lr"]
    for k in range(steps):
        optimizer.param_groups[0]["lr"] = base * decay**k

        def evaluate() -> Tensor:
            loss, parameter.grad = closure(parameter)
            return loss

        evaluate()
        optimizer.step(evaluate) if name == "LBFGS" else optimizer.step()
        path.append(parameter.detach().clone())
    return torch.stack(path)


@pytest.mark.parametrize("decay", [1.0, 0.9])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_adapter_takes_torchs_steps_under_a_schedule(name: str, decay: float) -> None:
    optimizer = from_torch(getattr(torch.optim, name), ELEMENTWISE[name])
    assert isinstance(optimizer, TorchOptimizer)
    theta, path = begin().unsqueeze(0), []
    state = optimizer.initial_state(theta)
    for k in range(1, 21):
        _, gradient = closure(theta[0])
        optimizer.update(theta, gradient.unsqueeze(0), state, optimizer.learning_rate * decay ** (k - 1), k)
        path.append(theta[0].clone())
    assert torch.equal(torch.stack(path), torchs_path(name, ELEMENTWISE[name], 20, decay))
    assert all(tensor.shape[0] == 1 for tensor in state.values())


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_state_alone_continues_a_run_exactly(name: str) -> None:
    theta = begin().unsqueeze(0)
    optimizer = TorchOptimizer(getattr(torch.optim, name), ELEMENTWISE[name])
    state = optimizer.initial_state(theta)
    for k in range(1, 21):
        if k == 11:
            optimizer = TorchOptimizer(getattr(torch.optim, name), ELEMENTWISE[name])
            theta, state = theta.clone(), {key: value.clone() for key, value in state.items()}
        optimizer.update(theta, closure(theta[0])[1].unsqueeze(0), state, optimizer.learning_rate, k)
    assert torch.equal(theta[0], torchs_path(name, ELEMENTWISE[name], 20)[-1])


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
@pytest.mark.parametrize("resume", [False, True])
def test_torchs_lbfgs_runs_through_the_closure_and_continues_exactly(line_search: str | None, resume: bool) -> None:
    options = {"lr": 0.5, "max_iter": 3, "history_size": 4, "line_search_fn": line_search}
    optimizer = from_torch(torch.optim.LBFGS, options)
    assert isinstance(optimizer, TorchClosureOptimizer)
    theta, path = begin(), []
    state = optimizer.initial_state(theta.unsqueeze(0))
    for k in range(1, 9):
        if resume and k == 4:
            optimizer = TorchClosureOptimizer(torch.optim.LBFGS, options)
            theta, state = theta.clone(), {key: value.clone() for key, value in state.items()}
        loss = optimizer.step(theta, closure, state, optimizer.learning_rate, k)
        if k > 1:
            assert float(loss) == float(loss_of(path[-1]))
        path.append(theta.clone())
    assert torch.equal(torch.stack(path), torchs_path("LBFGS", options, 8))


def test_the_rate_is_torchs_own() -> None:
    assert from_torch(torch.optim.NAdam).learning_rate == 0.002
    assert from_torch(torch.optim.NAdam, {"lr": 0.3}).learning_rate == 0.3
    assert from_torch(torch.optim.LBFGS).learning_rate == 1.0


def test_numbers_lists_and_nothing_survive_as_tensors() -> None:
    memory = {"n": 3, "t": 0.1, "on": True, "d": torch.ones(2), "ro": [torch.tensor(1.0), None], "empty": []}
    restored = restore_state({name: tensor.clone() for name, tensor in flatten_state({**memory, "no": None}).items()})
    assert restored.keys() == memory.keys()
    assert (restored["n"], restored["t"], restored["on"], restored["empty"]) == (3, 0.1, True, [])
    assert restored["ro"] == [torch.tensor(1.0), None]
    assert torch.equal(restored["d"], torch.ones(2))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("NAdam", {"lr": -1.0}, "NAdam refuses these options: Invalid learning rate: -1.0"),
        ("NAdam", {"learning_rate": 0.1}, "refuses these options: .*learning_rate"),
        ("Muon", {}, "refuses these options: Muon only supports 2D parameters"),
        ("SparseAdam", {}, "needs sparse gradients"),
    ],
)
def test_what_torch_refuses_is_refused_in_one_sentence(name: str, options: dict[str, Any], message: str) -> None:
    if not hasattr(torch.optim, name):
        pytest.skip(f"this torch has no {name}")
    with pytest.raises(UserError, match=message):
        from_torch(getattr(torch.optim, name), options)


def test_more_than_one_network_is_our_bug() -> None:
    optimizer = TorchOptimizer(torch.optim.SGD, {"lr": 0.1})
    with pytest.raises(TypeError, match="one network at a time"):
        optimizer.update(torch.ones(2, 3), torch.ones(2, 3), {}, 0.1, 1)
