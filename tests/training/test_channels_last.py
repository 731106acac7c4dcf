"""Convolutional networks take their images with the channels side by side, and compute the same as without."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.training import Trainer

SMALL = ["callbacks=[]", "data.limit=40", "trainer.precision=float64", "trainer.device=cpu"]
NETWORKS = {
    "lenet": ["architecture=convnet", "architecture.channels=[3,4]", "architecture.hidden=6"],
    "all convolutional": ["architecture=convnet", "architecture.variant=all_convolutional"],
    "resnet": ["architecture=resnet", "architecture.width=3"],
}


def trainer_of(*overrides: str) -> Trainer:
    return build_trainer([compose(*SMALL, *overrides)])


@pytest.mark.parametrize("overrides", NETWORKS.values(), ids=NETWORKS)
def test_the_order_of_the_channels_changes_nothing(overrides: list[str]) -> None:
    stack = (trainer := trainer_of(*overrides)).stack
    batch = trainer.engine.minibatch(0)
    found: dict[bool, list[Tensor]] = {True: [], False: []}
    for stack.channels_last, values in found.items():
        values.append(stack.outputs(batch[0]))
    for stack.channels_last, values in found.items():  # later: training passes change what batch norm has seen
        values += [stack.backward(*batch), stack.gradient.clone()]
    for last, first in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(last, first, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("channels", [1, 3])
def test_convolutions_see_images_with_channels_last(channels: int) -> None:
    stack = trainer_of("architecture=convnet").stack
    images = torch.arange(2 * channels * 8 * 8, dtype=torch.float64).reshape(2, channels, 8, 8)
    seen: list[Tensor] = []
    stack.network = torch.nn.Flatten()
    stack.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    stack.outputs(images[None])
    assert seen[0].stride() == (64 * channels, 1, 8 * channels, channels)
    assert torch.equal(seen[0], images)


def test_other_networks_take_images_as_they_are() -> None:
    assert not trainer_of("architecture=mlp").stack.channels_last
    assert trainer_of("architecture=convnet").stack.channels_last


@pytest.mark.parametrize("overrides", NETWORKS.values(), ids=NETWORKS)
def test_convolutional_members_are_evaluated_as_each_of_them_alone(overrides: list[str]) -> None:
    config = compose(*SMALL, "data_seed=0", *overrides)
    stack = build_trainer([{**config, "seed": seed} for seed in range(3)]).stack
    images = build_trainer([config]).members[0].dataset.validation.inputs[:5]
    outputs = stack.outputs(images[None])
    for row in range(3):
        with torch.no_grad():
            torch.testing.assert_close(outputs[row], stack.member(row)(images), rtol=1e-12, atol=1e-14)
