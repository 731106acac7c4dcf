"""Which differences between configurations exceed what the seed alone does.

Two configurations that ran with the same seeds are compared seed by seed: with differences d_i of n seeds,

    t = mean(d) / (std(d) / sqrt(n)),    n - 1 degrees of freedom

(Student 1908, "The probable error of a mean"); otherwise by their means and variances (Welch 1947).

Seeds that all differ by the same few examples would have no spread. Where one example changes a metric by s, a
difference of k = |mean(d)| / s examples, at least one, comes from k or more that the two answer differently, whose
number is known to sqrt(k) at best (McNemar 1947); the standard error is at least that, s sqrt(k / n). Of several
comparisons the probabilities are corrected (Holm 1979). The best of many configurations is also the luckiest, so that
"not told apart from the best" is the safe reading, and a difference that exceeds the spread is worth a repetition.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nnlab.study.model import Configuration, Study

LEVEL = 0.05  # probability below which a difference counts as more than the spread of the seeds


@dataclass(frozen=True)
class Comparison:
    """The first configuration against the second.

    Attributes:
        difference: mean of the first minus that of the second, over common seeds where there are two or more.
        paired: whether it was taken seed by seed.
        seeds: number of pairs, or the smaller number of runs.
        spread: the larger standard deviation of the two over their seeds; NaN with fewer than two runs each.
        probability: of a difference at least as large from the seeds alone; None with fewer than two runs each.
    """

    first: Configuration
    second: Configuration
    difference: float
    paired: bool
    seeds: int
    spread: float
    probability: float | None

    @property
    def exceeds(self) -> bool | None:
        """Whether the difference is more than the seeds make by themselves; None where that cannot be said."""
        return None if self.probability is None else self.probability < LEVEL

    @property
    def undecided(self) -> bool:
        """Whether the difference is larger than the spread, but of too few seeds to be more than chance."""
        return self.exceeds is False and abs(self.difference) > self.spread

    @property
    def verdict(self) -> str:
        """The answer in words."""
        if self.exceeds is None:
            return "one seed"
        unlike = f"{self.seeds} seeds cannot tell them apart" if self.undecided else "within spread"
        return f"{'real' if self.exceeds else unlike} (p = {self.probability:.2g})"


def compare(first: Configuration, second: Configuration, tag: str, step: float = 0.0) -> Comparison:
    """Compare two configurations by a metric, of which one example changes `step`."""
    a, b = first.results(tag), second.results(tag)
    common = [key for key in a if key in b]
    spread = max(first.std(tag), second.std(tag)) if min(len(a), len(b)) > 1 else math.nan
    if len(common) > 1:
        differences = [a[key] - b[key] for key in common]
        probability: float | None = _paired(differences, step)
        return Comparison(first, second, statistics.fmean(differences), True, len(common), spread, probability)
    difference = first.mean(tag) - second.mean(tag)
    seeds = min(len(a), len(b))
    probability = _welch(list(a.values()), list(b.values()), step) if seeds > 1 else None
    return Comparison(first, second, difference, False, seeds, spread, probability)


def against_best(study: Study, others: Sequence[Configuration]) -> list[Comparison]:
    """Compare each of several configurations with the best one, with corrected probabilities."""
    found = [compare(each, study.best, study.metric, study.step) for each in others if each is not study.best]
    known = [each.probability for each in found if each.probability is not None]
    corrected = iter(holm(known))
    return [each if each.probability is None else replace(each, probability=next(corrected)) for each in found]


def holm(probabilities: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number, in the same order (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(probabilities)), key=probabilities.__getitem__)
    corrected, largest = [0.0] * len(order), 0.0
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * probabilities[position]))
        corrected[position] = largest
    return corrected


def _paired(differences: Sequence[float], step: float) -> float:
    count = len(differences)
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(count)
    return _two_sided(mean, max(error, _least_error(mean, step, count)), count - 1)


def _welch(first: Sequence[float], second: Sequence[float], step: float) -> float:
    difference = statistics.fmean(first) - statistics.fmean(second)
    least = _least_error(difference, step, min(len(first), len(second)))
    a, b = statistics.variance(first) / len(first), statistics.variance(second) / len(second)
    if a + b == 0:
        return _two_sided(difference, least, 1)
    freedom = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    return _two_sided(difference, max(math.sqrt(a + b), least), freedom)


def _least_error(difference: float, step: float, seeds: int) -> float:
    """The standard error that a difference of so few examples has at least."""
    return math.sqrt(step * max(abs(difference), step) / seeds)


def _two_sided(difference: float, error: float, freedom: float) -> float:
    if difference == 0 or error == 0:
        return float(difference == 0)
    return student_tail(abs(difference) / error, freedom)


def student_tail(t: float, freedom: float) -> float:
    """Probability that |T| > t, for Student's distribution with `freedom` >= 1 degrees of freedom.

    With t = sqrt(freedom) tan(a) the density is proportional to cos(a)^(freedom - 1), whose integral is taken by
    Simpson's rule.

    >>> round(student_tail(12.706, 1), 4), round(student_tail(2.776, 4), 4)
    (0.05, 0.05)
    """
    start = math.atan(t / math.sqrt(freedom))
    return _cosine_power(start, freedom - 1) / _cosine_power(0.0, freedom - 1)


def _cosine_power(start: float, power: float, intervals: int = 512) -> float:
    """Integral of cos(a)^power from `start` to pi/2; written in the distance from pi/2, where the tail is."""
    width = (math.pi / 2 - start) / intervals
    heights: list[float] = [math.sin(i * width) ** power for i in range(intervals + 1)]
    return width / 3.0 * (heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2]))
