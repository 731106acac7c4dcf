"""Weight decay: the penalty strength/2 * ||w||^2, whose gradient strength * w pulls every weight towards zero.

Decoupled from the gradient, w <- (1 - learning_rate * strength) w before the update: the two agree for plain gradient
descent, but not where the optimizer rescales gradients, as Adam does.

Sources: A. Krogh and J. Hertz 1991, "A simple weight decay can improve generalization"; decoupled: I. Loshchilov and
F. Hutter 2019, arXiv:1711.05101, Algorithm 2 (in the form of torch's AdamW, where the rate multiplies the decay).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.members import Hyper
from nnlab.regularizer.base import Penalty


class WeightDecay(Penalty):
    """The sum of squares of the weights, times strength/2.

    Args:
        strength: lambda, [0, inf).
        decoupled: shrink the weights directly instead of adding to loss and gradient, as in AdamW.
    """

    def __init__(self, strength: float = 0.0, decoupled: bool = False) -> None:
        super().__init__(strength)
        self.decoupled = decoupled

    def value(self, theta: Tensor, mask: Tensor) -> Tensor:
        if self.decoupled or self.is_off:
            return theta.new_zeros(len(theta))
        squares: Tensor = 0.5 * self.strength * (theta.square() @ mask).unsqueeze(1)
        return squares.squeeze(1)

    def add_gradient(self, gradient: Tensor, weights: Tensor) -> None:
        if not (self.decoupled or self.is_off):
            self.add(gradient, weights)

    @torch.no_grad()
    def decay(self, theta: Tensor, mask: Tensor, learning_rate: Hyper) -> None:
        """theta <- (1 - learning_rate * strength) theta where the mask is 1, if decoupled."""
        if self.decoupled and not self.is_off:
            theta.mul_(1 - mask * (learning_rate * self.strength))
