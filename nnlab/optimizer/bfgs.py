"""BFGS: the whole inverse Hessian, improved by a rank-two update in every step.

    H_{k+1} = (I - rho s y^T) H_k (I - rho y s^T) + rho s s^T,    rho = 1 / (y^T s),    H_0 = (s^T y / y^T y) I

Source: Broyden, Fletcher, Goldfarb and Shanno 1970; Nocedal and Wright 2006, "Numerical optimization", 2nd ed.,
eq. (6.17) and (6.20). The lecture's slide speaks of rank-one updates; the method of this name has rank two.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nnlab.optimizer.base import State, check_matrix_size
from nnlab.optimizer.quasi_newton import QuasiNewton
from nnlab.validation import check


class BFGS(QuasiNewton):
    """Quasi-Newton with a dense matrix: memory and time per step grow with the square of the parameters.

    Args:
        learning_rate: the step length, or the first one that the line search tries, (0, inf).
        line_search: `strong_wolfe`, or `none` for steps of length `learning_rate`.
        iterations: how many iterations one step makes on its batch, [1, inf).
        max_parameters: larger networks are refused, [1, inf); 5000 need 100 MB in float32.
    """

    def __init__(
        self,
        learning_rate: float = 1.0,
        line_search: Literal["strong_wolfe", "none"] = "strong_wolfe",
        iterations: int = 1,
        max_parameters: int = 5000,
    ) -> None:
        super().__init__(learning_rate, line_search, iterations)
        self.max_parameters = check("max_parameters", max_parameters, "[1, inf)")

    def initial_state(self, theta: Tensor) -> State:
        """The inverse Hessian (1, P, P), and the number of pairs in it (1,); not used while that is 0."""
        parameters = theta.shape[1]
        check_matrix_size("BFGS", parameters, self.max_parameters)
        return {
            "inverse_hessian": theta.new_zeros(1, parameters, parameters),
            "count": torch.zeros(1, dtype=torch.int64),
        }

    def direction(self, gradient: Tensor, state: State) -> Tensor:
        return state["inverse_hessian"] @ -gradient if state["count"] else -gradient

    def remember(self, s: Tensor, y: Tensor, curvature: Tensor, state: State) -> None:
        h = state["inverse_hessian"]
        if not state["count"]:
            h.zero_().diagonal().copy_((curvature / (y @ y)).expand(len(s)))
        state["count"] += 1
        hy = h @ y
        # The product form above, multiplied out: two rank-one products and their transposes in one pass.
        u = s * ((1 + y @ hy / curvature) / (2 * curvature)) - hy / curvature
        h.addr_(s, u).addr_(u, s)
