"""Networks that `torch.func.vmap` cannot take train in populations all the same, each as if it were alone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from nnlab.loss import SoftmaxCrossEntropy
from nnlab.training.stack import Stack


class Recurrent(nn.Module):
    """A batch norm, which an attempt to map comes past, before a recurrent layer, which it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.steps, self.output = nn.BatchNorm1d(4), nn.LSTM(1, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, 3)."""
        return self.output(self.steps(self.norm(x).unsqueeze(-1))[0][:, -1])


class Reading(nn.Module):
    """Its path depends on a value, and it fills a tensor in place."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, 3)."""
        h = torch.zeros(len(x), 8)
        h[:, :4] = x if x.abs().max().item() < 100 else x / 2
        return self.output(h + self.hidden(x))


@pytest.mark.parametrize("make", [Recurrent, Reading])
def test_members_pass_one_after_another_where_they_cannot_be_mapped(make: type[nn.Module]) -> None:
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        networks.append(make())
    inputs, targets = torch.randn(1, 10, 4), torch.arange(10)[None] % 3
    alone = [
        Stack([copy.deepcopy(network)], SoftmaxCrossEntropy(), torch.device("cpu"), torch.float32)
        for network in networks
    ]
    both = Stack(networks, SoftmaxCrossEntropy(), torch.device("cpu"), torch.float32)
    for _ in range(2):
        losses = both.backward(inputs, targets)
        own = torch.cat([each.backward(inputs, targets) for each in alone])
        assert torch.equal(losses, own)
        assert torch.equal(both.gradient, torch.cat([each.gradient for each in alone]))
    assert both.maps is False
    for name, value in both.buffers.items():
        assert torch.equal(value, torch.cat([each.buffers[name] for each in alone]))
    assert torch.equal(both.outputs(inputs), torch.cat([each.outputs(inputs) for each in alone]))


def test_a_mistake_of_the_network_itself_is_not_hidden() -> None:
    networks = [nn.Sequential(nn.Linear(5, 3), nn.LSTM(7, 3)) for _ in range(2)]
    stack = Stack(networks, SoftmaxCrossEntropy(), torch.device("cpu"), torch.float32)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        stack.outputs(torch.randn(1, 10, 4))
