"""Broken parts for the held-out kinds: networks, losses and rules with one fault each, selected by `_target_`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from nnlab.activation import ReLU
from nnlab.architecture import MLP
from nnlab.architecture.base import Head, MakeActivation
from nnlab.initialization.base import Initialization
from nnlab.loss import SoftmaxCrossEntropy, SquaredError
from nnlab.optimizer import SGD, Adam
from nnlab.scheduler.base import Scheduler

NetworkFault = Literal[
    "relu_at_the_end",
    "softmax_at_the_end",
    "tanh_at_the_end",
    "first_frozen",
    "last_frozen",
    "detached",
    "noisy",
    "mixing",
    "scaled_down",
    "rounded",
    "half_of_the_inputs",
    "shared_output",
    "inputs_forgotten",
    "inputs_clamped",
    "dropout_in_evaluation",
    "logits_divided",
    "softmax_over_batch",
    "rows_normalized",
    "hard_choice",
]


class Fixed(nn.Module):
    """What has no parameters: one operation of the signal."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        if self.fault == "detached":
            return x.detach()
        if self.fault == "noisy":
            return x + 2 * torch.randn_like(x)
        if self.fault == "mixing":
            return x + x.roll(1, 0)
        if self.fault == "scaled_down":
            return 1e-4 * x
        if self.fault == "inputs_clamped":
            return x.clamp(0, 1)
        if self.fault == "dropout_in_evaluation":
            return nn.functional.dropout(x, 0.7, training=True)
        if self.fault == "logits_divided":
            return x / 200
        if self.fault == "rows_normalized":
            return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)
        if self.fault == "hard_choice":
            return nn.functional.one_hot(x.argmax(-1), x.shape[-1]).to(x.dtype)
        if self.fault == "rounded":
            return x.sign()
        if self.fault == "half_of_the_inputs":
            return x * (torch.arange(x.shape[-1], device=x.device) < 0.2 * x.shape[-1])
        if self.fault == "shared_output":
            return x.mean(-1, keepdim=True).expand_as(x)
        return torch.ones_like(x)


ENDS: dict[str, Callable[[], nn.Module]] = {
    "relu_at_the_end": nn.ReLU,
    "softmax_at_the_end": lambda: nn.Softmax(-1),
    "tanh_at_the_end": nn.Tanh,
    "logits_divided": lambda: Fixed("logits_divided"),
    "softmax_over_batch": lambda: nn.Softmax(0),
}
BEFORE_OUTPUT = ("detached", "noisy", "mixing", "scaled_down", "shared_output", "dropout_in_evaluation", "hard_choice")


class PlantedMLP(nn.Sequential):
    """An MLP with one fault.

    Args:
        fault: which; `rounded`, `half_of_the_inputs`, `inputs_forgotten`, `inputs_clamped` and `rows_normalized` are
            done to the inputs, those of `BEFORE_OUTPUT` to the last hidden layer.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Head,
        activation: MakeActivation,
        widths: list[int] = [32, 32],  # noqa: B006 (only read)
        fault: NetworkFault = "relu_at_the_end",
    ) -> None:
        sound = dict(MLP(input_shape, head, activation, widths).named_children())
        output = sound.pop("output")
        start = {"flatten": sound.pop("flatten")} if "flatten" in sound else {}
        if fault in ENDS:
            layers = {**start, **sound, "output": output, "end": ENDS[fault]()}
        elif fault in BEFORE_OUTPUT:
            layers = {**start, **sound, "step": Fixed(fault), "output": output}
        elif fault in ("first_frozen", "last_frozen"):
            layers = {**start, **sound, "output": output}
        else:
            layers = {**start, "step": Fixed(fault), **sound, "output": output}
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        if fault == "first_frozen":
            sound["linear1"].weight.requires_grad_(False)
        elif fault == "last_frozen":
            output.weight.requires_grad_(False)  # type: ignore[union-attr]


class Zeros(Initialization):
    """All weights zero."""

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        weight.zero_()


class Faint(Initialization):
    """Weights a thousandth of what they should be."""

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        weight.normal_(0, 1e-3 / weight.shape[1] ** 0.5, generator=generator)


class UpsideDown(SoftmaxCrossEntropy):
    """A cross-entropy that is maximized."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().losses_and_gradient(outputs, targets)
        return losses, -gradient


class NextLabel(SoftmaxCrossEntropy):
    """A cross-entropy whose gradient is that of the batch's next label."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return super().losses_and_gradient(outputs, targets.roll(1, -1))


class FirstClassForgotten(SoftmaxCrossEntropy):
    """A cross-entropy without a gradient for examples of the first class."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().losses_and_gradient(outputs, targets)
        return losses, gradient * (targets != 0).unsqueeze(-1)


class Divided(SoftmaxCrossEntropy):
    """A cross-entropy whose gradient was divided by the size of the batch twice."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().losses_and_gradient(outputs, targets)
        return losses, gradient / outputs.shape[-2] ** 2


class AbsoluteOutput(SquaredError):
    """A squared error of the output's size, whatever its sign."""

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().losses(outputs.abs(), targets)

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().gradient(outputs.abs(), targets) * outputs.sign()


class Uphill(SGD):
    """Steps along the gradient."""

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate, k: int) -> None:  # type: ignore[no-untyped-def,override]
        super().update(theta, -gradient, state, learning_rate, k)


class Uncleared(Adam):
    """Adds up the gradients of all batches."""

    def initial_state(self, theta: Tensor) -> dict[str, Tensor]:
        return {**super().initial_state(theta), "total": torch.zeros_like(theta)}

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate, k: int) -> None:  # type: ignore[no-untyped-def,override]
        state["total"].add_(gradient)
        super().update(theta, state["total"], state, learning_rate, k)


class HeadOnly(Adam):
    """Moves the last tenth of the parameters, as an optimizer that was given those of the output layer alone."""

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate, k: int) -> None:  # type: ignore[no-untyped-def,override]
        before = theta[:, : -max(theta.shape[1] // 10, 1)].clone()
        super().update(theta, gradient, state, learning_rate, k)
        theta[:, : before.shape[1]] = before


class Forgetful(Adam):
    """Shrinks all weights by a tenth in every step."""

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate, k: int) -> None:  # type: ignore[no-untyped-def,override]
        super().update(theta, gradient, state, learning_rate, k)
        theta.mul_(0.9)


class SignOfTen(SGD):
    """Steps of a thousandth along the sign of the gradient's first number alone."""

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate, k: int) -> None:  # type: ignore[no-untyped-def,override]
        super().update(theta, gradient[:, :1].sign().expand_as(gradient), state, learning_rate, k)


class SuddenEnd(Scheduler):
    """A rate of nothing after the first twenty steps."""

    def factor(self, t: Tensor, total: int) -> Tensor:
        return (t < 1).double() + 1e-6


class Growing(Scheduler):
    """A rate that grows a thousandfold."""

    def factor(self, t: Tensor, total: int) -> Tensor:
        return 10 ** (3 * t.double() / total)


class Clipped(ReLU):
    """A ReLU that ends at a hundredth."""

    def forward(self, z: Tensor) -> Tensor:
        return z.clamp(0, 0.01)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return ((z > 0) & (z < 0.01)).to(z.dtype)

    def backward(self, error: Tensor, z: Tensor, y: Tensor) -> Tensor:
        return error * self.derivative(z, y)
