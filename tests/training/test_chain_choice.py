"""Which networks may be run layer by layer."""

from __future__ import annotations

from torch import Tensor, nn

from nnlab.training.chain import is_chain


class Detour(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(x)


def test_a_chain_with_a_forward_pass_of_its_own_is_not_run_layer_by_layer() -> None:
    layers = nn.Linear(2, 3), nn.Flatten()
    assert is_chain(nn.Sequential(*layers))
    assert not is_chain(Detour(*layers))
