"""Broken parts for the fifth set of kinds: losses and rules with one fault each, selected by `_target_`."""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.activation import ReLU
from nnlab.initialization.base import Initialization
from nnlab.loss import SoftmaxCrossEntropy, SquaredError
from nnlab.optimizer import SGD, Adam
from nnlab.scheduler.base import Scheduler


class SoftmaxTwice(SoftmaxCrossEntropy):
    """A cross-entropy of probabilities that are taken for logits."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        p = outputs.softmax(-1)
        losses, gradient = super().losses_and_gradient(p, targets)
        return losses, p * (gradient - (gradient * p).sum(-1, keepdim=True))


class OtherIndex(SoftmaxCrossEntropy):
    """A cross-entropy that counts classes from one."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return super().losses_and_gradient(outputs, (targets + 1) % outputs.shape[-1])


class Summed(SquaredError):
    """A squared error whose gradient is a sum over the batch, and no mean."""

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().gradient(outputs, targets) * outputs.shape[-2]


class Inflating(Adam):
    """Weight decay of the wrong sign: all weights grow by two hundredths in every step."""

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate, k: int) -> None:  # type: ignore[no-untyped-def,override]
        super().update(theta, gradient, state, learning_rate, k)
        theta.mul_(1.02)


class FirstGradient(SGD):
    """Steps along the gradient of the first batch for ever."""

    def initial_state(self, theta: Tensor) -> dict[str, Tensor]:
        return {"first": torch.zeros_like(theta), "known": torch.zeros_like(theta[:, :1])}

    def update(self, theta: Tensor, gradient: Tensor, state: dict[str, Tensor], learning_rate, k: int) -> None:  # type: ignore[no-untyped-def,override]
        state["first"].add_(gradient * (1 - state["known"]))
        state["known"].fill_(1.0)
        super().update(theta, state["first"], state, learning_rate, k)


class RateAsFactor(Scheduler):
    """A schedule that returns a rate where a factor is wanted."""

    def factor(self, t: Tensor, total: int) -> Tensor:
        return 1e-3 * (1 - t.double() / total)


class Exponential(ReLU):
    """An activation without a bound: exp(z)."""

    def forward(self, z: Tensor) -> Tensor:
        return z.exp()

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return y

    def backward(self, error: Tensor, z: Tensor, y: Tensor) -> Tensor:
        return error * y


class CopiedUnits(Initialization):
    """All units of a layer with the weights of its first one."""

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        weight.normal_(0, gain / weight.shape[1] ** 0.5, generator=generator)
        weight.copy_(weight[:1].expand_as(weight).clone())
