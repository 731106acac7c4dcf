"""What follows from the curves and facts of a run, once: how much was learned, how fast, how the curve bends."""

from __future__ import annotations

import functools
import math
from statistics import median  # numpy's loads its masked arrays first

import numpy as np

from nnlab.diagnosis.facts.references import balanced_skill
from nnlab.diagnosis.record import RunRecord, Series
from nnlab.types import Task

EARLY = 8  # steps whose statistics still describe the start
CLEARLY_SHORT = 0.13  # the same, where nothing else is wrong
CHANCE = 0.2  # the most that is put down to chance: the errors of a bad network have a large spread
FEW = 30  # validation examples below which twice as much may be chance
LEAST = 4  # examples of a split, below which no skill is measured: one or two decide nothing
LITTLE = 0.3  # of what there is to learn
SHORT = 0.1  # skill behind the reference that counts as not having learned what is there


class View:
    """A record with what follows from it; everything is computed when it is asked for.

    Args:
        record: the record.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    @functools.cached_property
    def windows(self) -> np.ndarray:
        """Mean losses of twenty equal stretches of the run (fewer where it is shorter), finite ones only."""
        losses = self.record.losses[np.isfinite(self.record.losses)]
        count = min(20, len(losses) // 5) or min(len(losses), 1)
        if not count:
            return np.empty(0)
        (each, more), number = divmod(len(losses), count), np.arange(count)
        starts = number * each + np.minimum(number, more)  # as `np.array_split` has them, which takes longer
        return np.asarray(np.add.reduceat(losses, starts) / np.diff(starts, append=len(losses)))

    @property
    def first_loss(self) -> float:
        """Loss of the first minibatch."""
        return float(self.record.losses[0]) if len(self.record.losses) else math.nan

    @functools.cached_property
    def tail_loss(self) -> float:
        """Mean minibatch loss of the last epoch, or of the last tenth where that is longer."""
        count = max(self.record.steps_per_epoch, len(self.record.losses) // 10, 1)
        losses = self.record.losses[-count:]
        losses = losses[np.isfinite(losses)]
        return float(losses.mean()) if len(losses) else math.nan

    @property
    def train_loss(self) -> float:
        """Training loss at the end, in evaluation mode where that was measured."""
        split = self.record.splits.get("train")
        return split.loss if split else self.tail_loss

    @functools.cached_property
    def learned(self) -> float:
        """Share of what there is to learn that the training loss has come down; below 0: worse than a constant."""
        data = self.record.data
        if data is None:
            return math.nan
        loss = self.tail_loss if self.record.batch_norm else self.train_loss
        return data.levels.progress(loss) if math.isfinite(loss) else -math.inf

    def skill(self, split: str) -> float:
        """Share of the best constant prediction's errors on a split that the network avoids, at its last weights.

        NaN where it was not measured, or on fewer than `LEAST` examples; below 0 with more errors than the constant's.
        """
        facts, data = self.record.splits.get(split), self.record.data
        if data is None or data.examples.get(split, LEAST) < LEAST:
            return math.nan
        if facts is None:
            curve = self.record.curves.get(self.record.primary_metric) if split == "validation" else None
            return self._skill_of(curve.values[-1], data.baseline_metric) if curve else math.nan
        if self.ranked:
            return facts.ranking
        if self.balanced:
            return balanced_skill(facts.recall)
        return self._skill_of(facts.metric, facts.baseline)

    def _skill_of(self, metric: float, baseline: float) -> float:
        """The skill of an accuracy, or of a root mean squared error."""
        if self.record.task is Task.REGRESSION:
            return 1 - (metric / baseline) ** 2 if baseline > 0 else 0.0
        return (metric - baseline) / max(1 - baseline, 1e-9)

    @property
    def balanced(self) -> bool:
        """Whether skill counts every class as much as any other, as the loss does."""
        return bool(self.record.class_weights) and self.record.task is not Task.REGRESSION

    @property
    def ranked(self) -> bool:
        """Whether skill is how well predictions order the examples, because few examples decide the metric."""
        facts, data = self.record.splits.get("validation"), self.record.data
        return data is not None and facts is not None and data.skewed and math.isfinite(facts.ranking)

    @property
    def behind_constant(self) -> bool:
        """Whether squared errors on validation are clearly larger than a constant's, however well they are ordered."""
        facts, data = self.record.splits.get("validation"), self.record.data
        if facts is None or data is None or self.record.task is not Task.REGRESSION:
            return False
        return self._skill_of(facts.metric, data.baseline_metric) < -SHORT

    @property
    def reference(self) -> float:
        """The skill of simple methods on the validation split, measured as the network's."""
        data = self.record.data
        if data is None:
            return math.nan
        found = data.references
        return found.order.ranking if self.ranked else found.balanced if self.balanced else found.skill

    @property
    def deciding(self) -> int:
        """Validation examples that decide the skill: all, or those of the rarer classes where one is nearly all."""
        data = self.record.data
        counts = data.targets.counts.get("validation", ()) if data else ()
        total = data.examples.get("validation", 1) if data else 1
        return total - max(counts) if self.ranked and counts else total

    @functools.cached_property
    def shortfall(self) -> float:
        """How far the network's skill on the validation split stays behind that of simple methods; 0 or more.

        Where the validation is not measured, a training loss that did not beat a constant counts as a shortfall of 1;
        while training goes on, nothing does in the first fifth of the run.
        """
        own, data = self.skill("validation"), self.record.data
        if self.record.status == "diverged":
            return 1.0
        if not self.record.ended and self.record.steps < 0.2 * self.record.total_steps:
            return 0.0
        if data is None or math.isnan(own):
            return 1.0 if self.learned < 0.1 else 0.0
        return max(0.0, self.reference - own)

    @property
    def margin(self) -> float:
        """Shortfall that chance explains: two standard errors of the skill."""
        facts, data = self.record.splits.get("validation"), self.record.data
        if facts is None or data is None or not math.isfinite(facts.error):
            return 0.1
        if self.ranked:
            return 2 * (1 - min(facts.ranking, 0.9) ** 2) / math.sqrt(max(self.deciding, 1))
        if self.record.task is Task.REGRESSION:
            return 4 * facts.error * facts.metric / max(data.baseline_metric**2, 1e-12)
        # An accuracy near 1 has a standard error near 0, though one mistake more or less is always chance.
        count = max(data.examples.get("validation", 1), 1)
        return 2 * math.hypot(facts.error, 1 / count) / max(1 - data.baseline_metric, 1e-9)

    @functools.cached_property
    def weak(self) -> bool:
        """Whether the network has clearly not learned what there is to learn."""
        data = self.record.data
        few = data is not None and data.examples.get("validation", 0) > 0 and self.deciding < FEW
        most = 2 * CHANCE * math.sqrt(FEW / max(self.deciding, 1)) if few else CHANCE
        limit = max(SHORT, min(1.5 * self.margin, most))
        if self.record.status != "diverged" and self.skill("validation") >= 1 - limit:
            return False  # whatever simple methods reach, which is then not computed
        return self.shortfall > limit

    @property
    def failing(self) -> bool:
        """Whether something is known to be wrong with what was learned.

        That is so behind simple methods, or, where no validation says how much there is to learn, with a training loss
        that has hardly fallen. A loss that stays high alone may be all that noisy targets allow.
        """
        return self.weak or (math.isnan(self.skill("validation")) and self.learned < LITTLE)

    @functools.cached_property
    def kept_weak(self) -> bool:
        """Whether the best weights, which a run keeps, are behind simple methods, too."""
        if self.ranked or self.record.class_weights:
            return self.weak  # the curves do not have such a skill
        return self.weak and self.reference - self.best_skill > max(SHORT, min(self.margin, CHANCE))

    @property
    def best_skill(self) -> float:
        """The largest skill of all validations."""
        curve, data = self.record.curves.get(self.record.primary_metric), self.record.data
        values = [value for value in curve.values if math.isfinite(value)] if curve else []
        last = self.skill("validation")
        if data is None or not values:
            return last
        best = min(values) if self.record.task is Task.REGRESSION else max(values)
        return max(last, self._skill_of(best, data.baseline_metric))

    @property
    def tiny(self) -> bool:
        """Whether a linear model or a hidden layer of two units at most stands in the way."""
        hidden = list(self.record.weights)[:-1]
        return bool(self.record.weights) and min((w.shape[0] for w in hidden), default=0) <= 2

    @property
    def travelled(self) -> float:
        """How far all updates together can have moved the weights, per their size; NaN where it was not measured."""
        ratios = [value for value in self.update_ratio.values if value > 0]
        return median(ratios) * self.record.steps if ratios else math.nan

    @functools.cached_property
    def update_ratio(self) -> Series:
        """The largest update-to-weight ratio over the weights, by step."""
        return self._largest("update_ratio")

    def _largest(self, prefix: str) -> Series:
        found: dict[int, float] = {}
        for series in self.record.series(prefix).values():
            for step, value in zip(series.steps, series.values, strict=True):
                if math.isfinite(value):
                    found[step] = max(found.get(step, 0.0), value)
        return Series(list(found), list(found.values()))

    def early(self, prefix: str) -> dict[str, float]:
        """The first value of each statistic with this prefix, where it was measured in the first two steps."""
        series = self.record.series(prefix)
        return {name: s.values[0] for name, s in series.items() if s and s.steps[0] <= 2}

    def gradients(self, position: int = 0) -> dict[str, float]:
        """Root mean square gradient of each weight at a measurement, in the network's order."""
        shapes = {w.name: math.prod(w.shape) for w in self.record.weights}
        series = self.record.series("gradient_norm")
        return {
            name: series[name].values[position] / math.sqrt(size) for name, size in shapes.items() if series.get(name)
        }


def at(series: Series, step: int) -> float:
    """The last value measured up to `step`; NaN before the first."""
    values = [value for s, value in zip(series.steps, series.values, strict=True) if s <= step]
    return values[-1] if values else math.nan


def rounded(rate: float) -> str:
    """The nearest learning rate with one leading digit, 1, 2 or 5, as one would try it: 0.0234 is 0.02.

    >>> rounded(0.0234), rounded(0.0008), rounded(3.1)
    ('0.02', '0.001', '2')
    """
    exponent = math.floor(math.log10(rate))
    digit = min((1, 2, 5, 10), key=lambda d: abs(math.log10(rate / 10**exponent / d)))
    return f"{digit * 10.0**exponent:.6g}"
