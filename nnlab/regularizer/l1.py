"""L1 penalty: strength * sum |w|, whose constant pull drives useless weights towards zero and keeps them there.

Source: R. Tibshirani 1996, "Regression shrinkage and selection via the lasso".
"""

from __future__ import annotations

from torch import Tensor

from nnlab.regularizer.base import Penalty


class L1(Penalty):
    """The sum of absolute values of the weights, times strength; its subgradient is strength * sign(w), 0 at w = 0.

    Args:
        strength: lambda, [0, inf).
    """

    def __init__(self, strength: float = 1e-5) -> None:
        super().__init__(strength)

    def value(self, theta: Tensor, mask: Tensor) -> Tensor:
        if self.is_off:
            return theta.new_zeros(len(theta))
        total: Tensor = self.strength * (theta.abs() @ mask).unsqueeze(1)
        return total.squeeze(1)

    def add_gradient(self, gradient: Tensor, weights: Tensor) -> None:
        if not self.is_off:
            self.add(gradient, weights.sign())
