"""Max-norm: after every update, each unit's incoming weight vector is scaled back to a norm of at most c.

w <- w * min(1, c / ||w||_2). Source: N. Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
overfitting", JMLR 15, section 5.1, where c is 3 to 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.members import Hyper
from nnlab.regularizer.base import Constraint
from nnlab.validation import check


class MaxNorm(Constraint):
    """Bounds the L2 norm of the weights that enter each unit (or channel), biases not counted.

    Args:
        max_norm: c, (0, inf).
    """

    per_member = ("max_norm",)

    def __init__(self, max_norm: float = 3.0) -> None:
        self.max_norm: Hyper = check("max_norm", max_norm, "(0, inf)")

    @torch.no_grad()
    def project(self, weights: list[Tensor]) -> None:
        for weight in weights:  # (M, out, in, *kernel)
            norms = torch.linalg.vector_norm(weight.flatten(2), dim=2)  # (M, out)
            # Clamped from below, the factor is exactly 1 for all that is inside, zeros included.
            outer = norms.clamp(min=self.max_norm)
            factors = outer.clamp(max=self.max_norm) / outer
            weight.mul_(factors.reshape(factors.shape + (1,) * (weight.ndim - 2)))
