"""Newton's method: to the minimum of the quadratic model of the loss.

    theta_{k+1} = theta_k - a (H + lambda I)^{-1} g,    H the exact Hessian of the loss

lambda = 0 and a = 1 is the lecture's step. Where H is not positive definite that step leads to a saddle point or a
maximum; `positive_definite` then raises lambda until the step goes downhill.

Source: Levenberg 1944, doi:10.1090/qam/10666 (damping); Nocedal and Wright 2006, "Numerical optimization", 2nd ed.,
Algorithm 3.3 (Cholesky with an added multiple of the identity).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.optimizer.base import Closure, HessianClosure, SecondOrder, State, check_matrix_size
from nnlab.optimizer.line_search import Point, take_step
from nnlab.validation import check, check_choice


class Newton(SecondOrder):
    """Newton's method with the exact Hessian: few steps, each O(P^2) in memory and O(P^3) in time.

    Args:
        learning_rate: the step length a, or the first one that the line search tries, (0, inf).
        damping: lambda, [0, inf).
        positive_definite: raise lambda, tenfold until H + lambda I is positive definite.
        line_search: `strong_wolfe`, or `none` for steps of length `learning_rate`.
        max_parameters: larger networks are refused, [1, inf).
    """

    def __init__(
        self,
        learning_rate: float = 1.0,
        damping: float = 0.0,
        positive_definite: bool = True,
        line_search: Literal["strong_wolfe", "none"] = "strong_wolfe",
        max_parameters: int = 5000,
    ) -> None:
        super().__init__(learning_rate)
        self.damping = check("damping", damping, "[0, inf)")
        self.positive_definite = positive_definite
        self.line_search = check_choice("line_search", line_search, ("strong_wolfe", "none"))
        self.max_parameters = check("max_parameters", max_parameters, "[1, inf)")

    def initial_state(self, theta: Tensor) -> State:
        check_matrix_size("Newton's method", theta.shape[1], self.max_parameters)
        return {}

    def step(self, theta: Tensor, closure: Closure, state: State, learning_rate: float, k: int) -> Tensor:
        if not isinstance(closure, HessianClosure):
            raise TypeError("Newton's method needs a HessianClosure")
        loss, gradient = closure(theta)
        gradient = gradient.clone()
        hessian = closure.hessian(theta)
        # Divergence is the caller's to see; a factorisation of NaN would never succeed.
        if learning_rate == 0 or not bool(loss.isfinite() & gradient.isfinite().all() & hessian.isfinite().all()):
            return loss
        direction = self.direction(gradient, hessian)
        slope = float(gradient @ direction)
        if self.line_search == "strong_wolfe" and slope < 0:
            take_step(theta, direction, closure, Point(0.0, float(loss), slope, gradient), learning_rate, True)
        else:  # an uphill step, wanted without `positive_definite`, is none that a search could accept
            theta.add_(direction, alpha=learning_rate)
        return loss

    def direction(self, gradient: Tensor, hessian: Tensor) -> Tensor:
        """The direction -(H + lambda I)^{-1} g (P,); the diagonal of `hessian` is overwritten.

        Raises:
            UserError: the matrix is singular and may not be changed.
        """
        diagonal, damping = hessian.diagonal().clone(), self.damping
        while True:
            hessian.diagonal().copy_(diagonal + damping)
            factor, failed = torch.linalg.cholesky_ex(hessian)
            if not failed:
                return -torch.cholesky_solve(gradient.unsqueeze(1), factor).squeeze(1)
            if not self.positive_definite:
                break
            damping = max(10 * damping, 1e-3 * (float(diagonal.abs().mean()) or 1.0))
        step: Tensor
        step, failed = torch.linalg.solve_ex(hessian, gradient.unsqueeze(1))
        if failed or not step.isfinite().all():
            raise UserError("the Hessian is singular; set `optimizer.damping` or `optimizer.positive_definite=true`")
        return -step.squeeze(1)
