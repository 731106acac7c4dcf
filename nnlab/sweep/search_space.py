"""What a search may choose: values from a list, or numbers from an interval, on a linear or logarithmic scale."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnlab.errors import UserError

DIGITS = 5  # significant digits of a number from an interval, which becomes part of its run's name
WIDE = 100.0  # ratio of the ends from which an interval of positive numbers is searched on a logarithmic scale


@dataclass(frozen=True)
class Choice:
    """One of several values, as they are written in an override."""

    key: str
    values: tuple[str, ...]

    def distribution(self) -> Any:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def at(self, fraction: float) -> str:
        """The value at a fraction [0, 1) of the way."""
        return self.values[int(fraction * len(self.values))]

    def text(self, value: Any) -> str:
        """A value as it is written in an override."""
        return str(value)

    def __str__(self) -> str:
        return f"{self.key}={','.join(self.values)}"


@dataclass(frozen=True)
class Interval:
    """A number between two ends, both included.

    Attributes:
        key: what it is for.
        low, high: the ends.
        log: whether ratios count, and not differences.
        whole: whether it is a whole number.
        step: distance of neighbours, if it is not free.

    Raises:
        UserError: the ends are the wrong way round, or a logarithmic scale would begin at zero.
    """

    key: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UserError(f"`{self.key}`: an interval needs two ends, the smaller first, got {self.low}, {self.high}")
        if self.log and self.low <= 0:
            raise UserError(f"`{self.key}`: a logarithmic scale needs a positive lower end, got {self.low}")

    def distribution(self) -> Any:
        """The same for Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def at(self, fraction: float) -> float | int:
        """The number at a fraction [0, 1) of the way, on its scale."""
        if self.whole and not self.step:
            low, high = self.low - 0.5, self.high + 0.5
            value = low * (high / low) ** fraction if self.log else low + fraction * (high - low)
            return int(min(max(round(value), self.low), self.high))
        if self.step:
            count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
            value = self.low + self.step * int(fraction * count)
            return round(value) if self.whole else value
        if self.log:
            return float(self.low * (self.high / self.low) ** fraction)
        return self.low + fraction * (self.high - self.low)

    def text(self, value: Any) -> str:
        """A number as it is written in an override: its first digits, for nobody needs the others."""
        return str(int(value)) if self.whole else f"{float(value):.{DIGITS}g}"

    def __str__(self) -> str:
        kind = "whole numbers " if self.whole else ""
        scale = "logarithmic scale" if self.log else "linear scale"
        return f"{self.key}: {kind}{self.low:g} to {self.high:g}, " + (f"step {self.step:g}" if self.step else scale)


Dimension = Choice | Interval


def points(space: Sequence[Dimension]) -> Iterator[dict[str, str]]:
    """All points of a space of choices.

    Raises:
        UserError: it has an interval.
    """
    lists = []
    for each in space:
        if isinstance(each, Interval):
            raise UserError(f"the sampler `grid` needs lists of values, but `{each.key}` is an interval")
        lists.append(each.values)
    names = [each.key for each in space]
    return (dict(zip(names, point, strict=True)) for point in itertools.product(*lists))


def sobol_point(space: Sequence[Dimension], seed: int, position: int) -> dict[str, Any]:
    """The point number `position` of a low-discrepancy sequence (Sobol 1967) in a space, shifted at random.

    The shift modulo 1 (Cranley and Patterson 1976) makes it depend on the seed and keeps the points as even.
    """
    import random

    from scipy.stats.qmc import Sobol

    shift = random.Random(seed)
    sequence = Sobol(len(space), scramble=False)
    if position:
        sequence.fast_forward(position)
    fractions = [(float(u) + shift.random()) % 1.0 for u in sequence.random(1)[0]]
    return {each.key: each.at(fraction) for each, fraction in zip(space, fractions, strict=True)}


def lines(space: Sequence[Dimension], values: Mapping[str, Any]) -> list[str]:
    """A point as overrides."""
    return [f"{each.key}={each.text(values[each.key])}" for each in space]


@dataclass(frozen=True)
class SearchPlan:
    """What the overrides of a search say.

    Attributes:
        space: what may be chosen.
        fixed: overrides of every run.
        repetitions: for each run of a trial the overrides that tell it from the others; one empty list: one run.
    """

    space: list[Dimension]
    fixed: list[str]
    repetitions: list[list[str]]
