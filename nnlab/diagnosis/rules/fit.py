"""Findings about the outcome: over- and underfitting, plateau, still improving, no learning."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nnlab.diagnosis.facts.curves import CHANCE, CLEARLY_SHORT, View, rounded
from nnlab.diagnosis.finding import Finding, shown
from nnlab.diagnosis.record import RunRecord
from nnlab.diagnosis.rules.data import CERTAIN, HANDFUL
from nnlab.diagnosis.rules.rates import USUAL, cautious_rate, exploded, falling, too_high
from nnlab.types import Task

UNRELATED = 2.5  # standard deviations above chance, below which nothing is known about the targets
TELLING = 60  # training examples from which simple methods say something about the data
GAP = 0.15  # rise of the validation loss over its minimum, per what there is to learn
WIDE_GAP = 0.3  # in skill, from which half of the units are dropped
MOST_DECAY = 0.05  # that is suggested
POOR = 0.65  # skill below which a narrow network is suspected
ROOM = 0.03  # skill that simple methods have ahead, from which more steps are worth a note
GAINED = 0.05  # in accuracy, or of the error, after the loss was best
FEW_EPOCHS, FEW_STEPS = 3, 200  # runs of no more epochs and fewer steps have hardly begun
MOST_TIMES = 40.0  # longer than before
LEAST_STEPS = 2000  # then
FAR, FAR_ENOUGH = 0.7, 6.0  # how far the weights should at least be able to travel, per their size, and better should


class Gap(NamedTuple):
    """Between the losses on training and validation examples.

    Attributes:
        best: index of the best validation loss.
        end: the last validation loss, over a tenth of the run.
        rise: from the best to the last, per what there is to learn.
        behind: skill on the training split that is missing on the validation split.
        rising: whether the validation loss rose; otherwise the gap is there without.
    """

    best: int
    end: float
    rise: float
    behind: float
    rising: bool


def _gap(view: View) -> Gap | None:
    """The gap, if there is one worth speaking of."""
    record = view.record
    data, curve = record.data, record.curves.get("loss")
    if data is None or not curve or len(curve.values) < 4 or not math.isfinite(view.train_loss):
        return None
    values = np.asarray(curve.values)
    last = values[-max(1, len(values) // 10) :]
    if not np.isfinite(last).any():
        return None
    best, end = int(np.nanargmin(values)), float(np.nanmean(last))
    if record.stopped and record.status == "completed":
        end = float(values[best])
    rise, gap = (end - values[best]) / data.levels.span, (end - view.train_loss) / data.levels.span
    reliable = end - values[best] > 0.1 * abs(values[best])
    rising = rise > GAP and gap > GAP and reliable and curve.steps[best] < 0.8 * curve.steps[-1]
    behind = view.skill("train") - view.skill("validation")
    memorized = view.learned > 0.9 and gap > 0.1 and behind > max(0.1, min(1.5 * view.margin, CHANCE))
    # A few validation examples have a loss of their own, and that of a handful rises by any number.
    count = data.examples.get("validation", 0)
    few = count < HANDFUL or (count < CERTAIN and rise < 2)
    return Gap(best, end, rise, behind, bool(rising)) if (rising or memorized) and not few else None


def overfitting(view: View) -> Iterator[Finding]:
    """The validation loss rises while the training loss falls."""
    record, gap = view.record, _gap(view)
    if gap is None or record.data is None:
        return
    curve = record.curves["loss"]
    opened, lowest = curve.steps[gap.best], curve.values[gap.best]
    count = record.data.examples.get("train", 0)
    course = (
        f"Since step {opened} the validation loss has risen from {lowest:.3g} to {gap.end:.3g}"
        if gap.rising
        else f"The validation loss stays at {gap.end:.3g}"
    )
    yield Finding(
        "overfitting",
        f"{course} while the training loss on {count} examples fell to {view.train_loss:.3g}",
        {"best validation loss": lowest, "validation loss": gap.end, "training loss": view.train_loss}
        | {"training examples": count},
        _regularization(record, count, gap, len(curve.values)),
        step=opened,
        # The best weights are kept, and a gap is natural where targets are noisy: simple methods say what it costs.
        level="fault" if view.kept_weak or math.isnan(gap.behind) else "note",
        certain=gap.rise > 4 * GAP,
    )


def _gained(record: RunRecord, best: int) -> float:
    """How much better the predictions still became after the loss was best: in accuracy, or per error."""
    curve = record.curves.get(record.primary_metric)
    if not curve or len(curve.values) <= best:
        return 0.0
    then, last = curve.values[best], curve.values[-1]
    return (then - last) / max(then, 1e-12) if record.task is Task.REGRESSION else last - then


def _regularization(record: RunRecord, examples: int, gap: Gap, validations: int) -> tuple[str, ...]:
    """Weight decay, dropout and early stopping together, besides what is in use.

    A penalty on the mean loss stands for a prior, whose weight against the data falls with their number. Where the
    predictions became better although the loss rose, the network needs its freedom: then it is a little decay alone.
    """
    gentle = _gained(record, gap.best) > GAINED
    present = record.regularizers or tuple(name for name in (*record.penalties, *record.noise) if name != "optimizer")
    more = [] if gentle else ["dropout", "early_stopping"] if len(record.weights) > 1 else ["early_stopping"]
    names = dict.fromkeys(["weight_decay", *more[:-1], *sorted(present), *more[-1:]])
    own = record.penalties.get("weight_decay", record.penalties.get("decoupled_decay", 0.0))
    usual = min(MOST_DECAY, 2 / max(examples, 1)) * (0.4 if gentle else 1.0)
    strength = max(usual, min(3 * own, MOST_DECAY), own)
    overrides = [f"regularizer=[{','.join(names)}]", f"regularizer.weight_decay.strength={rounded(strength)}"]
    if "dropout" in more and "dropout" not in present:
        overrides.append(f"regularizer.dropout.p={0.5 if gap.behind > WIDE_GAP else 0.3}")
    if "early_stopping" in more:
        overrides.append(f"regularizer.early_stopping.patience={max(10, validations // 16)}")
    return tuple(overrides)


def trend(view: View) -> float:
    """Fall of the smoothed training loss in the last quarter of the run, per what there is to learn."""
    windows, data = view.windows, view.record.data
    if data is None or len(windows) < 2:
        return 0.0
    quarter = max(len(windows) // 4, 1)
    before, last = windows[-2 * quarter : -quarter], windows[-quarter:]
    return float((before.mean() - last.mean()) / data.levels.span) if len(before) else 0.0


def still_improving(view: View) -> Iterator[Finding]:
    """Training ended while the loss was falling, or before the weights had moved far enough for anything to happen."""
    record = view.record
    rates = record.rates[np.isfinite(record.rates)]
    ended = record.status == "completed" and record.steps >= record.total_steps
    if not ended or not len(rates) or view.learned > 0.98:
        return
    behind = view.weak and view.shortfall > CLEARLY_SHORT
    fall, travelled = trend(view), view.travelled
    begun = behind and travelled < FAR
    if rates[-1] < 0.02 * rates.max() and not begun:
        return  # the schedule has come to its end
    curve = record.curves.get("loss")
    newest = not curve or min(curve.values) >= 0.98 * curve.values[-1] - 1e-12 or curve.values[-1] < 0
    few = _hardly_begun(record)
    if not ((fall > 0.03 and newest) or few or begun) or (view.tiny and not few):
        return
    if not (behind or view.shortfall > ROOM or (few and view.learned < 0.8)):
        return
    why = (
        f"in its last quarter the training loss still fell by {fall:.0%} of what there is to learn"
        if fall > 0.03
        else f"all updates together moved the weights by {travelled:.0%} of their size at most"
        if begun
        else "that is too little to judge it by"
    )
    epochs = record.steps / record.steps_per_epoch
    yield Finding(
        "still_improving",
        f"The run ended after {_counted(record.steps, 'step')} ({_counted(epochs, 'epoch')}), and {why}",
        {"fall in the last quarter": fall, "shortfall": view.shortfall, "travelled": travelled},
        longer(view, few),
        why="" if behind else "It may become better still.",
        step=record.steps,
        level="fault" if behind else "note",
        variant="" if behind else "note",
    )


def _hardly_begun(record: RunRecord) -> bool:
    """Whether a run is so short that little can be said of it."""
    return record.steps <= FEW_EPOCHS * record.steps_per_epoch and record.steps < FEW_STEPS


def _counted(number: float, unit: str) -> str:
    """A number with its unit, in the plural unless it is one."""
    shown = str(number) if isinstance(number, int) else f"{number:.3g}"
    return f"{shown} {unit}{'' if number == 1 else 's'}"


def longer(view: View, few: bool = False) -> tuple[str, ...]:
    """As many steps as let the weights move by several times their size, at least four times as many as before.

    What falls as a power of the number of steps needs ten times as many for the next step that counts, and where there
    were few of them, they cost little.
    """
    record = view.record
    times = FAR_ENOUGH / view.travelled if view.travelled > 0 else 4.0
    steps = max(
        record.total_steps * min(max(times, 10.0 if few else 4.0), MOST_TIMES),
        LEAST_STEPS if record.steps < FEW_STEPS else 0,
    )
    length = (
        f"trainer.steps={math.ceil(steps)}"
        if record.by_steps
        else f"trainer.epochs={math.ceil(steps / record.steps_per_epoch)}"
    )
    rate = cautious_rate(View(dataclasses.replace(record, total_steps=math.ceil(steps))))
    faster = (f"optimizer.learning_rate={rounded(rate)}",) if rate > 1.5 * record.learning_rate else ()
    return (length, *faster, *falling(record))


def unrelated(view: View) -> Iterator[Finding]:
    """The validation is no better than the best constant, and nor are simple methods: inputs do not tell targets."""
    data = view.record.data
    skill = view.skill("validation")
    if data is None or math.isnan(skill) or view.record.status == "diverged" or view.record.steps < 20:
        return
    limit = max(0.1, min(view.margin, CHANCE))
    if skill > limit or data.examples.get("validation", 0) < CERTAIN or view.reference > limit:
        return
    facts = view.record.splits.get("validation")
    own = facts.association if facts is not None else 0.0
    if max(own, data.references.order.association) > UNRELATED:
        return  # they tell something about the targets, if little
    if data.examples.get("train", 0) < TELLING:
        return
    yield Finding(
        "targets_unrelated",
        "On the validation split neither the network nor nearest neighbors nor a linear fit beat the best constant "
        f"prediction, or order the examples better than chance ({max(own, 0):.2g} and "
        f"{max(data.references.order.association, 0):.2g} standard deviations above it)",
        {"skill": skill, "skill of simple methods": view.reference, "learned in training": view.learned}
        | {"above chance": own, "simple methods above chance": data.references.order.association},
    )


def underfitting(view: View) -> Iterator[Finding]:
    """The training loss has settled high, though simple methods show that there is more to learn."""
    record = view.record
    train = view.skill("train")
    if record.status != "completed" or math.isnan(train) or record.data is None:
        return
    # Where simple methods fail, too, a bottleneck of a unit or two is still a reason to look.
    narrow = view.tiny and train < POOR and view.skill("validation") < POOR and trend(view) < 0.03
    behind = view.weak and (view.shortfall > CLEARLY_SHORT or view.tiny) and train <= view.reference - 0.05
    if not (narrow or behind) or (trend(view) > 0.05 and not view.tiny) or _hardly_begun(record):
        return
    linear = len(record.weights) <= 1
    capacity = max((w.shape[0] for w in list(record.weights)[:-1]), default=0)
    wider = max(64, 2 * capacity)
    remedy: tuple[str, ...] = ("architecture=mlp",) if linear else (f"architecture.widths=[{wider},{wider}]",)
    usual = USUAL.get(record.optimizer, 0.01)
    if any(too_high(view)) and record.learning_rate > usual:
        remedy = (*remedy, f"optimizer.learning_rate={usual:g}")
    remedy = (*remedy, *falling(record))
    if record.data.levels.floor is None and not record.clipped:
        remedy = (*remedy, "trainer.clip_norm=1")  # a likelihood without an upper bound is steep near a perfect fit
    variant = "" if behind else "note"
    if view.tiny and not any(exploded(view)):
        variant = "bottleneck"  # it keeps the loss up whatever the rate
    yield Finding(
        "underfitting",
        f"In the end, even on its own training data the network {_told(view, train)}"
        + (
            f", where simple methods {_told(view, view.reference, 0)} on new data" if behind else ", and there it stays"
        ),
        {"training skill": train, "skill of simple methods": view.reference, "widest layer": capacity}
        | {"bottleneck": int(view.tiny)},
        remedy,
        level="fault" if behind else "note",
        variant=variant,
    )


def _told(view: View, skill: float, one: int = 1) -> str:
    """A skill as what one network does, or several methods do."""
    s = "s" * one
    if view.ranked:
        return f"order{s} the examples {max(skill, 0):.0%} of the way from chance to perfect"
    if skill > -0.005:
        return f"avoid{s} {max(skill, 0):.0%} of the errors of a constant answer"
    return f"make{s} {shown(1 - skill, 2)} times the errors of a constant answer"


def behind(view: View) -> Iterator[Finding]:
    """The network stays clearly behind simple methods, and no other rule says why."""
    if view.record.status == "completed" and view.kept_weak and view.shortfall > CLEARLY_SHORT:
        skill = view.skill("validation")
        simple = f"simple methods (neighbors, a linear fit) {_told(view, view.reference, 0)}"
        yield Finding(
            "behind_simple_methods",
            f"In the end, on validation the network {_told(view, skill)}, {simple}",
            {"skill": skill, "skill of simple methods": view.reference, "training skill": view.skill("train")},
        )


def plateau(view: View) -> Iterator[Finding]:
    """The loss has not moved for half of the run, far from the optimum."""
    windows, data = view.windows, view.record.data
    if data is None or len(windows) < 8 or not view.weak or view.shortfall < CLEARLY_SHORT:
        return
    half = windows[len(windows) // 2 :]
    moved = (half[: len(half) // 2].mean() - half[len(half) // 2 :].mean()) / data.levels.span
    if abs(moved) > 0.02 or view.learned > 0.95:
        return
    yield Finding(
        "plateau",
        f"The loss has stayed at {half.mean():.3g} for the second half of the run",
        {"loss": float(half.mean()), "change": float(moved), "learned": view.learned},
        ("optimizer=adam",) if view.record.optimizer == "sgd" else ("initialization=he",),
        step=view.record.steps // 2,
    )
