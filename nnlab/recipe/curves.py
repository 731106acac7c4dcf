"""Step 6: what the loss curves say, in words, each with its evidence and what to try.

Reads the curves of the best configuration of step 5 (means over seeds): minibatch losses with their moving average,
the loss on the training split and on validation after every epoch. Three errors are told apart (Bottou and Bousquet
2008, "The tradeoffs of large scale learning", section 2): approximation, what even the best fit of this network leaves
above the floor; optimization, what this configuration leaves above that best fit; estimation, what validation lies
above the training split.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnlab.diagnosis.facts.levels import Levels
from nnlab.diagnosis.finding import Finding, shown
from nnlab.recipe.candidate import Candidate
from nnlab.recipe.grid import name_of
from nnlab.recipe.nothing_found import nothing_on_validation
from nnlab.recipe.numbers import CurveNumbers, GridNumbers
from nnlab.recipe.report import StepReport, Table, TrialRecord
from nnlab.recipe.trials import Trials

TITLE = "Look at the loss curves"
LATE = 0.85  # of the run: a best epoch after it says that longer is better
RISEN = 0.1  # of the lowest validation loss, that it rose again
GAP = 0.25  # of the validation loss above its floor, that lies between training and validation
CLOSE = 0.05  # of what there is to learn, between training and validation
UNFIT = 0.1  # of what there is to learn, left on the training split
REGULARIZE = ("regularizer=[weight_decay,dropout]",)
NOISE = 0.5  # spread of minibatch losses in the last epochs over their mean
MOOT = ("underfitting", "plateau", "still_improving", "noisy_loss")  # where nothing was found that could be learned
START = 3.0  # initial loss over its theory


@dataclass(frozen=True)
class Curves:
    """Means over seeds; `epochs` (E,) are those at which `validation` and `fit` (E,) were measured."""

    epochs: np.ndarray
    validation: np.ndarray
    fit: np.ndarray
    train: np.ndarray
    spread: float

    def epoch(self, row: int) -> str:
        """The epoch of a row, in words: with a tenth where it was measured within one."""
        return f"{round(float(self.epochs[row]), 1):g}"


def look_at_curves(trials: Trials, refined: StepReport[GridNumbers]) -> StepReport[CurveNumbers]:
    """Read the curves of step 5's best configuration; its trials are drawn on the report's page."""
    report = StepReport(6, TITLE, CurveNumbers())
    numbers, best = refined.numbers, refined.numbers.best
    if best is None or numbers.initial is None or numbers.constant is None:
        raise ValueError("step 6 needs the report of a finished step 5")
    levels = Levels(numbers.initial, numbers.constant, numbers.floor)
    own = _records(refined, best)
    if not own:
        report.findings = [_nothing_to_see(trials, best)]
        report.conclusion = f"{report.findings[0].name}: {report.findings[0].observed}"
        return report
    curves = gather(own, numbers.epochs, best.spread)
    report.trials = own
    seen = read(curves, levels, best.changes.get("architecture.widths", trials.value("architecture.widths")))
    nothing = nothing_on_validation(trials, best, levels)
    report.findings = [*nothing, *(each for each in seen if not nothing or each.name not in MOOT)]
    lowest = numbers.lowest_fit if numbers.lowest_fit is not None else math.inf
    _errors(report, curves, levels, min(lowest, float(curves.fit.min())))
    report.numbers.best, report.numbers.suggestions = best, [each.name for each in seen]
    words = ", ".join(f.name.replace("_", " ") for f in report.findings) or "nothing to complain about"
    told = nothing[0].observed if nothing else f"the curves show: {words}"
    report.conclusion = (
        f"{told}; the lowest validation loss is {shown(float(curves.validation.min()))}, after epoch "
        f"{curves.epoch(int(curves.validation.argmin()))} of {curves.epoch(-1)}"
    )
    return report


def _records(refined: StepReport[GridNumbers], best: Candidate) -> list[TrialRecord]:
    """The trials of the best configuration, one for each seed."""
    return [record for record in refined.trials if record.is_of(best.changes) and "loss/fit" in record.curves]


def _nothing_to_see(trials: Trials, best: Candidate) -> Finding:
    return Finding(
        "all_diverged",
        f"even the best configuration of step 5, {name_of(trials, best.changes)}, diverged before its first validation",
        overrides=("trainer.clip_norm=1",),
        why="There are no curves to look at.",
    )


def gather(records: Sequence[TrialRecord], epochs: float, spread: float) -> Curves:
    """The curves of one configuration's trials, cut to the shortest."""

    def stacked(tag: str) -> np.ndarray:
        rows = [np.asarray(r.curves[tag][1], dtype=float) for r in records]
        length = min(map(len, rows))
        return np.stack([row[:length] for row in rows])

    validation, fit, train = stacked("loss/validation"), stacked("loss/fit"), stacked("loss/train")
    points = np.arange(1, validation.shape[1] + 1) * epochs / max(validation.shape[1], 1)
    return Curves(points, validation.mean(0), fit.mean(0), train, spread)


def read(curves: Curves, levels: Levels, widths: Sequence[int] | None = None) -> list[Finding]:
    """Findings about the curves, those with the most to gain first; none is a fault.

    Args:
        widths: of the network's hidden layers, where it has such.
    """
    apart = _overfitting(curves, levels)
    return [
        *apart,
        *_still_improving(curves, levels),
        *([] if apart else _underfitting(curves, levels, widths)),
        *_plateau(curves, levels),
        *_noise(curves),
        *_bad_start(curves, levels),
    ]


def _overfitting(curves: Curves, levels: Levels) -> list[Finding]:
    validation, at = curves.validation, int(curves.validation.argmin())
    rise = float(validation[-1] - validation[at])
    gap = float(validation[at] - curves.fit[at])
    if rise > max(RISEN * abs(float(validation[at])), curves.spread) and at < len(validation) - 1:
        return [
            Finding(
                "overfitting",
                f"validation loss rose from {shown(float(validation[at]))} after epoch "
                f"{curves.epoch(at)} to {shown(float(validation[-1]))}, while the training loss fell to "
                f"{shown(float(curves.fit[-1]))}",
                overrides=REGULARIZE,
                level="note",
            )
        ]
    left = float(validation[at]) - (levels.floor if levels.floor is not None else float(curves.fit.min()))
    if gap > GAP * left and gap > curves.spread:
        opened = int(np.argmax(curves.validation - curves.fit > 0.5 * gap))
        return [
            Finding(
                "generalization_gap",
                f"validation lies {shown(gap)} above training at the best epoch, a large part of what "
                f"is left; half of that had opened by epoch {curves.epoch(opened)}",
                overrides=REGULARIZE,
            )
        ]
    return []


def _still_improving(curves: Curves, levels: Levels) -> list[Finding]:
    validation, at = curves.validation, int(curves.validation.argmin())
    third = max(len(validation) // 3, 1)
    fell = float(validation[-third - 1] - validation[-1]) if len(validation) > third else 0.0
    if at >= LATE * (len(validation) - 1) and fell > 0.01 * levels.span:
        return [
            Finding(
                "still_improving",
                f"validation loss was lowest at epoch {curves.epoch(at)} of "
                f"{curves.epoch(-1)}, and fell by {shown(fell)} in the last third",
                overrides=(f"trainer.epochs={2 * curves.epochs[-1]:g}",),
                level="note",
            )
        ]
    return []


def _underfitting(curves: Curves, levels: Levels, widths: Sequence[int] | None) -> list[Finding]:
    left = 1 - levels.progress(float(curves.fit.min()))
    gap = float(curves.validation.min() - curves.fit[int(curves.validation.argmin())])
    if levels.floor is None or left < UNFIT or gap > CLOSE * levels.span:
        return []
    return [
        Finding(
            "underfitting",
            f"{left:.0%} of what there is to learn is left on the training split itself; "
            f"validation is only {shown(gap)} above",
            overrides=(f"architecture.widths=[{','.join(str(2 * int(width)) for width in widths)}]",) if widths else (),
            why="The network is too small, trained too briefly, or the labels are noisy; then nothing is left to gain.",
            level="note",
        )
    ]


def _plateau(curves: Curves, levels: Levels) -> list[Finding]:
    third = max(len(curves.fit) // 3, 1)
    moved = abs(float(curves.fit[-third:].max() - curves.fit[-third:].min()))
    left = 1 - levels.progress(float(curves.fit[-1]))
    if third < 2 or levels.floor is None or moved > 0.01 * levels.span or left < 2 * UNFIT:
        return []
    return [
        Finding(
            "plateau",
            f"the training loss moved by {shown(moved)} in the last third, {left:.0%} above its floor",
            overrides=("scheduler=cosine",),
            why="Progress has stopped: a lower rate may find the way down, a higher one may leave the plateau.",
            level="note",
        )
    ]


def _noise(curves: Curves) -> list[Finding]:
    last = curves.train[:, -max(curves.train.shape[1] // 5, 2) :]
    ratio = float((last.std(1) / np.maximum(np.abs(last.mean(1)), 1e-12)).mean())
    if ratio < NOISE or float(last.mean()) < 1e-3:
        return []
    return [
        Finding(
            "noisy_loss",
            f"minibatch losses at the end vary by {ratio:.0%} of their mean",
            overrides=("scheduler=cosine",),
        )
    ]


def _bad_start(curves: Curves, levels: Levels) -> list[Finding]:
    first = float(curves.train[:, 0].mean())
    if first <= START * max(levels.initial, levels.constant) or levels.floor is None:
        return []
    return [
        Finding(
            "hockey_stick_start",
            f"the first losses, {shown(first)} on average, lie far above {shown(levels.initial)}, where theory starts",
            overrides=("scheduler.warmup=1",),
            why="The first steps only undo the initialization, or the rate is too high for them.",
            level="note",
        )
    ]


def _errors(report: StepReport[CurveNumbers], curves: Curves, levels: Levels, lowest: float) -> None:
    """Approximation, optimization and estimation error."""
    at = int(curves.validation.argmin())
    fit, floor = float(curves.fit[at]), levels.floor
    rows = [
        ("estimation: validation above training", float(curves.validation[at]) - fit),
        ("optimization: training above the best fit of any trial", fit - lowest),
    ]
    if floor is not None:
        rows.append(("approximation: that best fit above the floor", lowest - floor))
    report.tables.append(Table("Where the loss comes from (at the best epoch)", ["error", "loss"], rows))
    report.numbers.errors = {name.partition(":")[0]: value for name, value in rows}
