"""Sharpness-aware minimization: the gradient where the loss nearby is worst, so that flat minima are preferred.

    g = grad L(theta),    theta^ = theta + rho g / ||g||_2,    the step is taken from theta with grad L(theta^)

on the same minibatch with the same noise; penalties are added afterwards. A step costs two passes.

Source: Foret et al. 2021, "Sharpness-aware minimization for efficiently improving generalization", arXiv:2010.01412,
equations 2 and 3.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from nnlab.members import Hyper
from nnlab.regularizer.base import Regularizer
from nnlab.validation import check

TINY = 1e-12  # keeps a zero gradient from dividing by zero


class SharpnessAware(Regularizer):
    """Takes the gradient at the worst point within a radius.

    Args:
        rho: the radius, (0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("rho",)

    def __init__(self, rho: float = 0.05) -> None:
        self.rho: Hyper = check("rho", rho, "(0, inf)")

    def climb(self, theta: Tensor, gradient: Tensor) -> None:
        """Move theta (M, P) to where the linear model of the loss is largest, in place."""
        norm = gradient.norm(dim=1, keepdim=True) + TINY
        theta.add_(gradient * (self.rho / norm))
