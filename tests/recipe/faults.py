"""Faults, planted through public `_target_` components only, and healthy configurations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nnlab.architecture import MLP
from nnlab.data import Digits
from nnlab.data.preprocessing.base import Identity, Preprocessing, Rescale, Transform
from nnlab.data.raw import Raw
from nnlab.loss import SoftmaxCrossEntropy
from nnlab.optimizer import SGD, Adam
from nnlab.types import Dataset, Split


class ToBytes(Preprocessing):
    """Pixels from 0 to 255."""

    def fit(self, inputs: Tensor) -> Transform:
        return Rescale(torch.zeros(1), torch.full((1,), float(inputs.max()) / 255))


class WipedOut(Preprocessing):
    """All inputs zero."""

    def fit(self, inputs: Tensor) -> Transform:
        return Zero()


class Zero(Identity):
    def apply(self, inputs: Tensor) -> Tensor:
        return torch.zeros_like(inputs)


@dataclasses.dataclass(kw_only=True)
class ShuffledLabels(Digits):
    """Labels that belong to other images."""

    def read(self, seed: int, root: Path) -> Raw:
        raw = super().read(seed, root)
        order = torch.randperm(len(raw.targets), generator=torch.Generator().manual_seed(seed))
        return dataclasses.replace(raw, targets=raw.targets[order])


@dataclasses.dataclass(kw_only=True)
class SwappedClasses(Digits):
    """Classes 3 and 8 swapped in every other example."""

    def read(self, seed: int, root: Path) -> Raw:
        raw = super().read(seed, root)
        swapped = raw.targets.clone()
        half = torch.rand(len(swapped), generator=torch.Generator().manual_seed(seed)) < 0.5
        swapped[half & (raw.targets == 3)] = 8
        swapped[half & (raw.targets == 8)] = 3
        return dataclasses.replace(raw, targets=swapped)


@dataclasses.dataclass(kw_only=True)
class LeakyDigits(Digits):
    """Half of the held-out examples are training examples."""

    def load(self, seed: int, root: Path, tasks=None) -> Dataset:
        data = super().load(seed, root)

        def leaky(split: Split) -> Split:
            half = len(split) // 2
            parts = zip((data.train.inputs, data.train.targets), (split.inputs, split.targets), strict=True)
            return Split(*(torch.cat([own[:half], other[half:]]) for own, other in parts))

        return dataclasses.replace(data, validation=leaky(data.validation), test=leaky(data.test))


class DoubledSoftmax(MLP):
    """A softmax that the loss applies again."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Any,
        activation: Any,
        widths: list[int] = [64, 64],  # noqa: B006
        batch_norm: bool = False,
    ) -> None:
        super().__init__(input_shape, lambda f: nn.Sequential(head(f), nn.Softmax(-1)), activation, widths, batch_norm)


class WideOutput(MLP):
    """Three outputs too many."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Any,
        activation: Any,
        widths: list[int] = [64, 64],  # noqa: B006
        batch_norm: bool = False,
    ) -> None:
        super().__init__(input_shape, lambda f: nn.Linear(f, head(f).out_features + 3), activation, widths, batch_norm)


class FrozenLayer(MLP):
    """The second layer is not trained."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Any,
        activation: Any,
        widths: list[int] = [64, 64],  # noqa: B006
        batch_norm: bool = False,
    ) -> None:
        super().__init__(input_shape, head, activation, widths, batch_norm)
        self.linear2.weight.requires_grad_(False)


class CutGraph(MLP):
    """A detached activation: nothing before it is trained."""

    def forward(self, x: Tensor) -> Tensor:
        for name, module in self.named_children():
            x = module(x)
            if name == "activation1":
                x = x.detach()
        return x


class AlwaysNoisy(MLP):
    """Dropout that stays on in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        *hidden, output = self
        for module in hidden:
            x = module(x)
        return output(nn.functional.dropout(x, 0.5, training=True))


class UnclearedSGD(SGD):
    """Gradients add up over all steps."""

    def initial_state(self, theta: Tensor) -> dict[str, Tensor]:
        return {**super().initial_state(theta), "sum": torch.zeros_like(theta)}

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate: Any, k: int) -> None:
        state["sum"] += gradient
        super().update(theta, state["sum"].clone(), state, learning_rate, k)


class UnclearedAdam(Adam):
    """Gradients add up over all steps."""

    def initial_state(self, theta: Tensor) -> dict[str, Tensor]:
        return {**super().initial_state(theta), "sum": torch.zeros_like(theta)}

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate: Any, k: int) -> None:
        state["sum"] += gradient
        super().update(theta, state["sum"].clone(), state, learning_rate, k)


class NegatedLoss(SoftmaxCrossEntropy):
    """The likelihood instead of its negative."""

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return -super().losses(outputs, targets)

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().losses_and_gradient(outputs, targets)
        return -losses, -gradient


class NegatedGradient(SoftmaxCrossEntropy):
    """The right loss with the gradient of its negative."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().losses_and_gradient(outputs, targets)
        return losses, -gradient


class ConsistentlyNegated(NegatedLoss):
    """Even theory has the wrong sign."""

    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        return -super().loss_at_zero(targets, target_size)


class ManyOutputs(SoftmaxCrossEntropy):
    """Asks for five outputs more than there are classes."""

    def output_size(self, target_size: int) -> int:
        return target_size + 5


class Fault(NamedTuple):
    """A planted fault: overrides of `nnlab recipe`, and the names under which a verdict may call it."""

    plant: str
    overrides: list[str]
    names: set[str]


def _here(name: str) -> str:
    return f"{__name__}.{name}"


DEEP = "architecture.widths=[64,64,64,64,64,64]"
SMALL = "architecture.widths=[64,64]"

FAULTS = [
    Fault("constant initialization", [SMALL, "initialization=constant"], {"symmetric_units"}),
    Fault("weights zero", [SMALL, "initialization=constant", "initialization.value=0"], {"symmetric_units"}),
    Fault("weights too small", [DEEP, "activation=tanh", "initialization=gaussian"], {"vanishing_gradients"}),
    Fault(
        "weights too large",
        [SMALL, "initialization.scale=10"],
        {"hockey_stick_start", "exploding_gradients", "saturated_units"},
    ),
    Fault(
        "weights too large, tanh",
        [SMALL, "activation=tanh", "initialization=gaussian", "initialization.std=1"],
        {"hockey_stick_start", "exploding_gradients", "saturated_units"},
    ),
    Fault(
        "inputs 0-255",
        [SMALL, "data/preprocessing=none", f"data.preprocessing._target_={_here('ToBytes')}"],
        {"inputs_not_standardized"},
    ),
    Fault(
        "inputs zero",
        [SMALL, "data/preprocessing=none", f"data.preprocessing._target_={_here('WipedOut')}"],
        {"inputs_constant"},
    ),
    Fault("labels shuffled", [SMALL, f"data._target_={_here('ShuffledLabels')}"], {"targets_unrelated"}),
    Fault(
        "two classes swapped in half the data",
        [SMALL, f"data._target_={_here('SwappedClasses')}"],
        {"classes_mixed_up"},
    ),
    Fault("softmax twice", [SMALL, f"architecture._target_={_here('DoubledSoftmax')}"], {"doubled_output_layer"}),
    Fault("wrong output size", [SMALL, f"architecture._target_={_here('WideOutput')}"], {"wrong_output_size"}),
    Fault("wrong output size asked for", [SMALL, f"loss._target_={_here('ManyOutputs')}"], {"wrong_output_size"}),
    Fault("sigmoid in every layer", [DEEP, "activation=sigmoid"], {"vanishing_gradients"}),
    Fault("dead ReLUs", [SMALL, "initialization.bias=-10"], {"dead_units"}),
    Fault("frozen layer", [SMALL, f"architecture._target_={_here('FrozenLayer')}"], {"frozen_layers"}),
    Fault("detached layer", [SMALL, f"architecture._target_={_here('CutGraph')}"], {"frozen_layers"}),
    Fault(
        "gradients not cleared",
        [SMALL, "optimizer=sgd", f"optimizer._target_={_here('UnclearedSGD')}"],
        {"gradients_not_cleared"},
    ),
    Fault(
        "gradients not cleared, Adam",
        [SMALL, f"optimizer._target_={_here('UnclearedAdam')}"],
        {"gradients_not_cleared"},
    ),
    Fault("wrong sign", [SMALL, f"loss._target_={_here('NegatedLoss')}"], {"loss_of_wrong_sign"}),
    Fault("wrong sign of the gradient", [SMALL, f"loss._target_={_here('NegatedGradient')}"], {"loss_of_wrong_sign"}),
    Fault("wrong sign everywhere", [SMALL, f"loss._target_={_here('ConsistentlyNegated')}"], {"loss_of_wrong_sign"}),
    Fault("rate 100 times too high", [SMALL, "optimizer.learning_rate=0.3"], {"learning_rate_too_high"}),
    Fault(
        "rate 100 times too high, SGD",
        [SMALL, "optimizer=sgd", "optimizer.learning_rate=10"],
        {"learning_rate_too_high"},
    ),
    Fault("rate 100 times too low", [SMALL, "optimizer.learning_rate=0.00003"], {"learning_rate_too_low"}),
    Fault(
        "rate 100 times too low, SGD",
        [SMALL, "optimizer=sgd", "optimizer.learning_rate=0.001"],
        {"learning_rate_too_low"},
    ),
    Fault(
        "dropout on in evaluation", [SMALL, f"architecture._target_={_here('AlwaysNoisy')}"], {"noise_in_evaluation"}
    ),
    Fault("leakage between splits", [SMALL, f"data._target_={_here('LeakyDigits')}"], {"leakage_between_splits"}),
]

# Configurations that train well; none may raise an alarm.
HEALTHY = [
    ["data=digits"],
    ["data=digits", "data.limit=600", "architecture=convnet", "architecture.channels=[4,8]", "architecture.hidden=16"],
    ["data=digits", "activation=tanh", "initialization=xavier", SMALL, "optimizer=momentum"],
    ["data=digits", "loss=multiclass_svm", SMALL, "optimizer=sgd", "optimizer.learning_rate=0.03"],
    ["data=digits", "loss=squared_error", SMALL, "architecture.batch_norm=true"],
    ["data=breast_cancer", "loss=binary_cross_entropy", SMALL],
    ["data=breast_cancer", "loss=hinge", "activation=elu", "architecture.widths=[32]"],
    ["data=diabetes", "loss=squared_error", SMALL],
    ["data=diabetes", "loss=gaussian_nll", SMALL],
    ["data=moons", "loss=softmax_cross_entropy", "activation=leaky_relu", SMALL],
    ["data=spirals", "activation=gelu", SMALL],
    ["data=blobs", "architecture.widths=[16]", "optimizer=rmsprop"],
    ["data=heteroscedastic", "loss=gaussian_nll", SMALL],
    ["data=digits", SMALL, "initialization=pytorch", "regularizer=[weight_decay,dropout]"],
]
