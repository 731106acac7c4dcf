"""Components with a fault, and data with one."""

from __future__ import annotations

from torch import Tensor

from nnlab.loss import SoftmaxCrossEntropy


class NegatedGradient(SoftmaxCrossEntropy):
    """The right loss with the gradient of its negative."""

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().losses_and_gradient(outputs, targets)
        return losses, -gradient
