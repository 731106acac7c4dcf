"""L-BFGS: BFGS that keeps only the last few pairs (s, y) instead of a matrix.

The two-loop recursion computes H g: with rho_i = 1 / (y_i^T s_i) and q = g,

    newest to oldest: a_i = rho_i s_i^T q,  q <- q - a_i y_i
    q <- (s^T y / y^T y of the newest pair) q
    oldest to newest: b = rho_i y_i^T q,    q <- q + (a_i - b) s_i

Good in full batch with all sources of noise off, poor with minibatches.

Source: Nocedal 1980; Liu and Nocedal 1989, "On the limited memory BFGS method", doi:10.1007/BF01589116; Nocedal and
Wright 2006, "Numerical optimization", 2nd ed., Algorithm 7.4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nnlab.optimizer.base import State
from nnlab.optimizer.quasi_newton import QuasiNewton
from nnlab.validation import check


class LBFGS(QuasiNewton):
    """Quasi-Newton with a short memory.

    Args:
        learning_rate: the step length, or the first one that the line search tries, (0, inf).
        memory: number of pairs kept, [1, inf).
        line_search: `strong_wolfe`, or `none` for steps of length `learning_rate`.
        iterations: how many iterations one step makes on its batch, [1, inf).
    """

    def __init__(
        self,
        learning_rate: float = 1.0,
        memory: int = 10,
        line_search: Literal["strong_wolfe", "none"] = "strong_wolfe",
        iterations: int = 1,
    ) -> None:
        super().__init__(learning_rate, line_search, iterations)
        self.memory = check("memory", memory, "[1, inf)")

    def initial_state(self, theta: Tensor) -> State:
        """Rings of pairs: s and y (1, memory, P), rho (1, memory); and how many pairs came since a reset (1,)."""
        return {
            "s": theta.new_zeros(1, self.memory, theta.shape[1]),
            "y": theta.new_zeros(1, self.memory, theta.shape[1]),
            "rho": theta.new_zeros(1, self.memory),
            "count": torch.zeros(1, dtype=torch.int64),
        }

    def direction(self, gradient: Tensor, state: State) -> Tensor:
        s, y, rho, count = state["s"], state["y"], state["rho"], int(state["count"])
        q = -gradient
        if not count:
            return q
        newest_first = [i % self.memory for i in range(count - 1, max(count - self.memory, 0) - 1, -1)]
        a = {}
        for i in newest_first:
            a[i] = rho[i] * (s[i] @ q)
            q -= a[i] * y[i]
        newest = newest_first[0]
        q /= rho[newest] * (y[newest] @ y[newest])
        for i in reversed(newest_first):
            q += (a[i] - rho[i] * (y[i] @ q)) * s[i]
        return q

    def remember(self, s: Tensor, y: Tensor, curvature: Tensor, state: State) -> None:
        i = int(state["count"]) % self.memory
        state["s"][i], state["y"][i], state["rho"][i] = s, y, 1 / curvature
        state["count"] += 1
