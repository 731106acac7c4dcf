"""Quasi-Newton methods: Newton's step with an inverse Hessian learned from how the gradient changed on the way.

    d_k = -H_k g_k,    theta_{k+1} = theta_k + a_k d_k,    s = theta_{k+1} - theta_k,    y = g(theta_{k+1}) - g(theta_k)

Both gradients of y are of the same batch, so that minibatch noise does not pass for curvature; this costs one more
evaluation a step than to remember the last one.

Source: Nocedal and Wright 2006, "Numerical optimization", 2nd ed., chapters 6 and 7.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor

from nnlab.optimizer.base import Closure, SecondOrder, State
from nnlab.optimizer.line_search import Point, take_step
from nnlab.validation import check, check_choice


class QuasiNewton(SecondOrder):
    """The loop that BFGS and L-BFGS share; they differ in how they remember.

    Args:
        learning_rate: the step length a, or the first one that the line search tries, (0, inf).
        line_search: `strong_wolfe`, or `none` for steps of length `learning_rate`.
        iterations: how many iterations one step makes on its batch, [1, inf).
    """

    def __init__(self, learning_rate: float, line_search: Literal["strong_wolfe", "none"], iterations: int) -> None:
        super().__init__(learning_rate)
        self.line_search = check_choice("line_search", line_search, ("strong_wolfe", "none"))
        self.iterations = check("iterations", iterations, "[1, inf)")

    @abstractmethod
    def direction(self, gradient: Tensor, state: State) -> Tensor:
        """The direction -H g (P,)."""

    @abstractmethod
    def remember(self, s: Tensor, y: Tensor, curvature: Tensor, state: State) -> None:
        """Learn in place from one pair (P,), whose curvature s^T y is positive."""

    def step(self, theta: Tensor, closure: Closure, state: State, learning_rate: float, k: int) -> Tensor:
        loss, gradient = closure(theta)
        point = Point(0.0, float(loss), math.nan, gradient.clone())
        for _ in range(self.iterations):
            moved = self._iterate(theta, closure, state, learning_rate, point)
            if moved is None:
                break
            point = moved
        return loss

    def _iterate(
        self, theta: Tensor, closure: Closure, state: State, learning_rate: float, here: Point
    ) -> Point | None:
        """One iteration from `here`; None if there is nowhere to go."""
        gradient = here.gradient
        direction = self.direction(gradient, state)
        slope = float(gradient @ direction)
        if not slope < 0:  # rounding, or the nonsense of noisy pairs: begin again with steepest descent
            state["count"].zero_()
            direction, slope = -gradient, -float(gradient @ gradient)
        if not (slope < 0 and math.isfinite(slope) and math.isfinite(here.loss)) or learning_rate == 0:
            return None
        if not state["count"]:  # the gradient has no natural length yet
            learning_rate *= min(1.0, 1.0 / float(gradient.abs().sum()))
        start = Point(0.0, here.loss, slope, gradient)
        point = take_step(theta, direction, closure, start, learning_rate, self.line_search == "strong_wolfe")
        if point.step == 0:
            state["count"].zero_()
            return None
        s, y = direction.mul_(point.step), point.gradient - gradient
        curvature = s @ y
        if curvature > torch.finfo(y.dtype).eps * (y @ y):  # otherwise H would not stay positive definite
            self.remember(s, y, curvature, state)
        return point
