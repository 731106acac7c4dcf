"""A line search for the strong Wolfe conditions: a step that lowers the loss enough and flattens its slope enough.

    phi(a) = loss(theta + a d):   phi(a) <= phi(0) + c1 a phi'(0)   and   |phi'(a)| <= c2 |phi'(0)|

Source: Nocedal and Wright 2006, "Numerical optimization", 2nd ed., Algorithms 3.5 (bracket) and 3.6 (zoom), with the
cubic interpolation of eq. (3.59). Losses that are not finite count as too large.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Point:
    """One evaluation on the line: the step a, phi(a), phi'(a), and the loss's gradient (P,) there."""

    step: float
    loss: float
    slope: float
    gradient: Tensor


@dataclasses.dataclass
class StrongWolfe:
    """The search along one direction.

    Args:
        evaluate: from a step to its point.
        start: the point of step 0; its slope must be negative.
        sufficient_decrease: c1, in (0, 1/2).
        curvature: c2, in (c1, 1); 0.9 is usual for Newton and quasi-Newton directions.
        evaluations: how many may be spent.
    """

    evaluate: Callable[[float], Point]
    start: Point
    sufficient_decrease: float = 1e-4
    curvature: float = 0.9
    evaluations: int = 25

    def search(self, step: float) -> Point:
        """The first point found that meets both conditions, trying `step` first.

        If the evaluations run out, or differences drown in rounding, the best point that lowers the loss enough; if
        there is none, the start.
        """
        previous = self.start
        while self.evaluations > 0:
            point = self._try(step)
            if self._too_high(point, previous):
                return self._zoom(previous, point)
            if self._flat(point):
                return point
            if point.slope >= 0:
                return self._zoom(point, previous)
            step = _cubic_minimum(previous, point, 2 * point.step, 10 * point.step)
            previous = point
        return previous

    def _zoom(self, low: Point, high: Point) -> Point:
        """Shrink the interval between `low`, the best point so far, and `high`; it holds a step that will do."""
        while self.evaluations > 0:
            width = abs(high.step - low.step)
            if width * abs(self.start.slope) <= _resolution(low):
                break
            # A tenth of the width from either end at least, so that the interval shrinks.
            left = min(low.step, high.step)
            point = self._try(_cubic_minimum(low, high, left + 0.1 * width, left + 0.9 * width))
            if self._too_high(point, low):
                high = point
                continue
            if self._flat(point):
                return point
            if point.slope * (high.step - low.step) >= 0:
                high = low
            low = point
        return low

    def _try(self, step: float) -> Point:
        self.evaluations -= 1
        return self.evaluate(step)

    def _too_high(self, point: Point, best: Point) -> bool:
        enough = self.start.loss + self.sufficient_decrease * point.step * self.start.slope
        lower = point.loss < best.loss or best is self.start
        return not (point.loss <= enough and lower and math.isfinite(point.slope))

    def _flat(self, point: Point) -> bool:
        return abs(point.slope) <= self.curvature * abs(self.start.slope)


def _resolution(point: Point) -> float:
    """The smallest difference of losses that the dtype can show."""
    return torch.finfo(point.gradient.dtype).eps * abs(point.loss)


def _cubic_minimum(first: Point, second: Point, left: float, right: float) -> float:
    """Minimum of the cubic through two points and their slopes, kept in [left, right]; the middle if there is none."""
    middle = (left + right) / 2
    d1 = first.slope + second.slope - 3 * (first.loss - second.loss) / (first.step - second.step)
    inside = d1 * d1 - first.slope * second.slope
    if not (math.isfinite(inside) and inside >= 0):
        return middle
    d2 = math.copysign(math.sqrt(inside), second.step - first.step)
    denominator = second.slope - first.slope + 2 * d2
    if denominator == 0:
        return middle
    step = second.step - (second.step - first.step) * (second.slope + d2 - d1) / denominator
    return min(max(step, left), right) if math.isfinite(step) else middle


def take_step(
    theta: Tensor,
    direction: Tensor,
    closure: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Point,
    step: float,
    strong_wolfe: bool,
) -> Point:
    """Move theta (P,) in place along a direction (P,), and return the point where it now is.

    Args:
        closure: from parameters to loss and gradient.
        start: the point of step 0.
        step: the step of a fixed length, or the first trial of the search.
        strong_wolfe: whether to search; otherwise the step is taken as it is.
    """

    def evaluate(step: float) -> Point:
        loss, gradient = closure(torch.add(theta, direction, alpha=step))
        gradient = gradient.clone()  # a closure may hand out the same memory every time
        return Point(step, float(loss), float(gradient @ direction), gradient)

    point = StrongWolfe(evaluate, start).search(step) if strong_wolfe else evaluate(step)
    theta.add_(direction, alpha=point.step)
    return point
