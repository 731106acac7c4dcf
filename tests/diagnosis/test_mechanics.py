"""Direct tests of networks, fresh and trained: planted faults are named, and sound networks pass."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nnlab.callbacks import Statistics
from nnlab.data import Moons
from nnlab.diagnosis import Finding, diagnose, records
from nnlab.diagnosis.measure import network_tests
from nnlab.diagnosis.rules.mechanics import check_optimizer
from nnlab.loss import SoftmaxCrossEntropy
from nnlab.loss.base import Loss
from nnlab.optimizer import Adam
from nnlab.optimizer.base import FirstOrder
from nnlab.scheduler import Constant
from nnlab.training import Member, Trainer, TrainerSettings


class Mixed(nn.Sequential):
    """Examples of a batch are centered together."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y - y.mean(0)


class Noisy(nn.Sequential):
    """Dropout that stays on in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, training=True))


class Detached(nn.Sequential):
    """The first layer is cut off from the loss."""

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = self
        y = first(x).detach()
        for module in rest:
            y = module(y)
        return y


class Negated(SoftmaxCrossEntropy):
    """The gradient of the negative loss."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().losses_and_gradient(outputs, targets)
        return losses, -gradient


class Uncleared(Adam):
    """Gradients add up."""

    def initial_state(self, theta: Tensor) -> dict[str, Tensor]:
        return {**super().initial_state(theta), "sum": torch.zeros_like(theta)}

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate: float, k: int) -> None:  # type: ignore[override]
        state["sum"] += gradient
        super().update(theta, state["sum"].clone(), state, learning_rate, k)


def layers(*end: nn.Module) -> list[nn.Module]:
    torch.manual_seed(0)
    return [nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2), *end]


def trainer(
    network: nn.Module, loss: Loss | None = None, optimizer: FirstOrder | None = None, steps: int = 100
) -> Trainer:
    data = Moons().load(0, Path())
    member = Member(network, data, 0, optimizer or Adam(0.01), Constant())
    settings = TrainerSettings(steps=steps, validate_every=10, validate_unit="step", device="cpu")
    return Trainer([member], loss or SoftmaxCrossEntropy(), settings, [Statistics()])


class Unconnected(nn.Sequential):
    """What the second layer gives is multiplied by nothing."""

    def forward(self, x: Tensor) -> Tensor:
        first, activation, last = self
        return last(0 * activation(first(x)))


class Upside(SoftmaxCrossEntropy):
    """A loss that is small for wrong answers, with the gradient that belongs to it."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().losses_and_gradient(outputs, targets)
        return -losses, -gradient

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return -super().losses(outputs, targets)


class Lazy(torch.autograd.Function):
    """The identity, with the gradient of a sine: right where it is small, and wrong beyond."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> Tensor:
        return errors[0] * (6 * ctx.saved_tensors[0]).cos()


class Foreign(nn.Module):
    """A module that is no chain, with a step whose backward pass may be wrong."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 2)
        self.wrong = wrong

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.first(x))
        z: Tensor = Lazy.apply(y) if self.wrong else y  # type: ignore[no-untyped-call]
        out: Tensor = self.last(y + torch.tanh(self.second(z)))
        return out


FAULTS = {
    "a first layer that gets no gradient": (Detached(*layers()), None, "frozen_layers"),
    "a layer that is cut off": (Unconnected(*layers()), None, "cut_off"),
    "a loss that likes wrong answers": (nn.Sequential(*layers()), Upside(), "loss_of_wrong_sign"),
    "a ReLU at the end": (nn.Sequential(*layers(nn.ReLU())), None, "output_layer_not_linear"),
    "a softmax at the end": (nn.Sequential(*layers(nn.Softmax(-1))), None, "doubled_output_layer"),
    "a sigmoid at the end": (nn.Sequential(*layers(nn.Sigmoid())), None, "doubled_output_layer"),
    "a tanh at the end": (nn.Sequential(*layers(nn.Tanh())), None, "output_layer_not_linear"),
    "mixed examples": (Mixed(*layers()), None, "examples_mixed"),
    "dropout in evaluation": (Noisy(*layers()), None, "noise_in_evaluation"),
    "a gradient of the wrong sign": (nn.Sequential(*layers()), Negated(), "loss_of_wrong_sign"),
}


@pytest.mark.parametrize("fitted", [False, True], ids=["fresh", "trained"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_before_and_after_training(name: str, fitted: bool) -> None:
    network, loss, expected = FAULTS[name]
    planted = trainer(network, loss)
    if fitted:
        planted.fit()
    theta = planted.stack.theta.clone()
    assert expected in [finding.name for finding in network_tests(planted)]
    assert torch.equal(planted.stack.theta, theta)


@pytest.mark.parametrize("steps", [0, 100, 2000])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_a_sound_network_passes_fresh_trained_and_near_its_minimum(steps: int, activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    sound = trainer(nn.Sequential(nn.Linear(2, 16), activation(), nn.Linear(16, 2)), steps=max(steps, 1))
    assert [each for each in network_tests(sound.fit() if steps else sound) if each.fault] == []


@pytest.mark.parametrize("wrong", [False, True])
def test_a_wrong_backward_pass_in_a_foreign_module_is_found_along_random_directions(wrong: bool) -> None:
    found = [finding.name for finding in network_tests(trainer(Foreign(wrong)))]
    assert found == (["gradient_off"] if wrong else [])


def test_batch_norm_and_depth_are_no_wrong_gradient() -> None:
    torch.manual_seed(0)
    deep: list[nn.Module] = [nn.Linear(2, 24), nn.BatchNorm1d(24), nn.ReLU()]
    for _ in range(4):
        deep += [nn.Linear(24, 24), nn.BatchNorm1d(24), nn.ReLU()]
    network = trainer(nn.Sequential(*deep, nn.Linear(24, 2)), steps=50)
    assert network_tests(network) == []
    assert network_tests(network.fit()) == []


def test_an_optimizer_of_one_s_own_must_come_to_rest() -> None:
    [finding] = check_optimizer(trainer(nn.Sequential(*layers()), optimizer=Uncleared(0.01)))
    assert finding.name == "gradients_not_cleared"


def test_a_bad_run_is_told_what_its_network_cannot_do() -> None:
    [record] = records(trainer(nn.Sequential(*layers(nn.Tanh())), Negated()).fit())
    assert {"output_layer_not_linear", "loss_of_wrong_sign"} <= {
        name.name for finding in diagnose(record) for name in (finding, *finding.symptoms)
    }


def test_a_good_run_is_not_tested() -> None:
    [record] = records(trainer(nn.Sequential(*layers()), steps=600).fit())

    def tested() -> list[Finding]:
        raise AssertionError

    found = diagnose(dataclasses.replace(record, tests=tested))
    assert [finding for finding in found if finding.fault] == []


def test_a_layer_that_is_cut_off_is_seen_in_the_gradients() -> None:
    torch.manual_seed(0)
    [record] = records(trainer(Detached(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)), steps=60).fit())
    found = {finding.name: finding for finding in diagnose(record)}
    assert found["frozen_layers"].layer == "0.weight"
