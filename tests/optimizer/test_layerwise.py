"""Rules that look at the layers: torch's equal on a network, and members that move as if alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.optim
from foreign import INPUTS, TARGETS, network
from torch import Tensor

from nnlab.members import merge
from nnlab.optimizer import Adafactor, FirstOrder, Muon
from nnlab.training.layout import Layout

STEPS = 40


def gradient_of(row: Tensor, layout: Layout, model: torch.nn.Module) -> Tensor:
    views = {name: view[0].detach().requires_grad_() for name, view in layout.views(row.unsqueeze(0)).items()}
    loss = (torch.func.functional_call(model, views, (INPUTS.to(row.dtype),)) - TARGETS.to(row.dtype)).square().mean()
    return torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, list(views.values()))])


def moved(optimizer: FirstOrder, theta: Tensor, rates: Any) -> Tensor:
    """The last parameters (M, P)."""
    model = network().to(theta.dtype)
    layout = Layout(model)
    optimizer.place(layout.slots)
    theta = theta.clone()
    state = optimizer.initial_state(theta)
    for k in range(1, STEPS + 1):
        gradient = torch.stack([gradient_of(row, layout, model) for row in theta])
        optimizer.update(theta, gradient, state, rates, k)
    return theta


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["muon", "adafactor"])
def test_a_network_moves_as_by_torch(name: str, dtype: torch.dtype) -> None:
    model = network().to(dtype)
    named = dict(model.named_parameters())
    theirs: list[torch.optim.Optimizer]
    if name == "muon":
        hidden = [named.pop("0.weight"), named.pop("2.weight")]
        theirs = [torch.optim.Muon(hidden, lr=0.02, weight_decay=0.0), torch.optim.Adam(named.values(), lr=0.003)]
        ours: FirstOrder = Muon(0.02, adam_rate=0.003)
    else:
        theirs, ours = [torch.optim.Adafactor(named.values(), lr=0.02)], Adafactor(0.02)
    row = Layout(model).row
    found = moved(ours, row(network(), dtype).unsqueeze(0), ours.learning_rate)
    for _ in range(STEPS):
        model.zero_grad()
        (model(INPUTS.to(dtype)) - TARGETS.to(dtype)).square().mean().backward()
        for each in theirs:
            each.step()
    close = {"rtol": 1e-3, "atol": 2e-4} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-10}
    if name == "muon":
        close = {"rtol": 2e-2, "atol": 2e-3}  # its products are in bfloat16, whose roundings 40 steps multiply
    torch.testing.assert_close(found[0], row(model, dtype), **close)  # type: ignore[arg-type]


MEMBERS: dict[str, list[FirstOrder]] = {
    "muon": [Muon(0.02), Muon(0.01, momentum=0.8), Muon(0.005, adam_rate=0.01)],
    "adafactor": [Adafactor(0.02), Adafactor(0.01, decay=-0.5), Adafactor(0.05, eps=0.1, clip=2.0)],
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members_of_a_population_move_as_if_alone(name: str) -> None:
    start = Layout(network()).row(network(), torch.float64)
    theta = torch.stack([start, 0.5 * start, start + 0.1])
    rates = torch.tensor([[each.learning_rate] for each in MEMBERS[name]], dtype=torch.float64)
    for each in MEMBERS[name]:
        each.place(Layout(network()).slots)
    together = moved(merge(MEMBERS[name], dtype=torch.float64), theta, rates)
    for position, each in enumerate(MEMBERS[name]):
        alone = moved(each, theta[position : position + 1], each.learning_rate)[0]
        close = {"rtol": 1e-2, "atol": 1e-3} if name == "muon" else {"rtol": 1e-9, "atol": 1e-10}
        torch.testing.assert_close(together[position], alone, **close)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_beside_others_of_equal_numbers_moves_to_the_same_bits(name: str) -> None:
    start = Layout(network()).row(network(), torch.float32)
    theta = torch.stack([start, 0.5 * start, start + 0.1])
    rule = MEMBERS[name][0]
    together = moved(rule, theta, rule.learning_rate)
    for position in range(3):
        assert torch.equal(together[position], moved(rule, theta[position : position + 1], rule.learning_rate)[0])
