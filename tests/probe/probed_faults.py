"""Components with a fault, and data with one."""

from __future__ import annotations

from torch import Tensor, nn

from nnlab.loss import SoftmaxCrossEntropy


class NegatedGradient(SoftmaxCrossEntropy):
    """The right loss with the gradient of its negative."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().losses_and_gradient(outputs, targets)
        return losses, -gradient


class Healthy(nn.Sequential):
    """A network with no fault, which needs more steps than nnlab's own."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 32), nn.Sigmoid(), nn.Linear(32, 10))
