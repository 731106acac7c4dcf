"""Findings about the outcome: over- and underfitting, plateau, still improving, no learning, too strong penalties."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nnlab.diagnosis.finding import Finding
from nnlab.diagnosis.view import CHANCE, CLEARLY_SHORT, View

CERTAIN = 30  # validation examples from which their loss says something about others
GAP = 0.15  # rise of the validation loss over its minimum, per what there is to learn
STRONG = {"weight_decay": 0.1, "optimizer": 1.0, "l1": 0.01, "max_norm": math.inf}
STRONG_NOISE = 0.8
FEW_EPOCHS, FEW_STEPS = 3, 200  # runs shorter than both have hardly begun


def overfitting(view: View) -> Iterator[Finding]:
    """The validation loss rises while the training loss falls."""
    record, data = view.record, view.record.data
    curve = record.curves.get("loss")
    if data is None or not curve or len(curve.values) < 4 or not math.isfinite(view.train_loss):
        return
    values = np.asarray(curve.values)
    best = int(np.nanargmin(values))
    end = float(np.nanmean(values[-max(1, len(values) // 10) :]))
    rise, gap = (end - values[best]) / data.scale, (end - view.train_loss) / data.scale
    reliable = end - values[best] > 0.1 * abs(values[best])
    rising = rise > GAP and gap > GAP and reliable and curve.steps[best] < 0.8 * curve.steps[-1]
    behind = view.skill("train") - view.skill("validation")
    memorised = view.learned > 0.9 and gap > GAP and behind > 0.2
    # A handful of validation examples has a loss of its own.
    few = data.examples.get("validation", 0) < CERTAIN and rise < 2
    if few or not (rising or memorised):
        return
    opened = curve.steps[best]
    kept = [*record.penalties, *record.noise] or ["weight_decay"]
    decay = () if record.penalties else ("regularizer.weight_decay.strength=0.01",)
    names = ",".join(dict.fromkeys(["weight_decay", *(n for n in kept if n != "optimizer"), "early_stopping"]))
    yield Finding(
        "overfitting",
        f"Since step {opened} the validation loss has risen from {values[best]:.3g} to {end:.3g} while the training "
        f"loss fell to {view.train_loss:.3g}: the network learns its training examples by heart.",
        {"best validation loss": float(values[best]), "validation loss": end, "training loss": view.train_loss},
        (f"regularizer=[{names}]", *decay, f"regularizer.early_stopping.patience={max(5, len(values) // 50)}"),
        step=opened,
        # A loss that rises for its confidence alone costs no predictions.
        severity="fault" if behind > GAP or view.weak or math.isnan(behind) else "note",
        certain=rise > 4 * GAP,
    )


def trend(view: View) -> float:
    """Fall of the smoothed training loss in the last quarter of the run, per what there is to learn."""
    windows, data = view.windows, view.record.data
    if data is None or len(windows) < 2:
        return 0.0
    quarter = max(len(windows) // 4, 1)
    before, last = windows[-2 * quarter : -quarter], windows[-quarter:]
    return float((before.mean() - last.mean()) / data.scale) if len(before) else 0.0


def still_improving(view: View) -> Iterator[Finding]:
    """Training ended while the loss was falling."""
    record = view.record
    rates = record.rates[np.isfinite(record.rates)]
    ended = record.status == "completed" and record.steps >= record.total_steps
    fall = trend(view)
    if not ended or not len(rates) or rates[-1] < 0.02 * rates.max() or view.learned > 0.98:
        return
    curve = record.curves.get("loss")
    newest = not curve or min(curve.values) >= 0.98 * curve.values[-1] - 1e-12 or curve.values[-1] < 0
    few = record.steps < FEW_EPOCHS * record.steps_per_epoch and record.steps < FEW_STEPS
    short = view.weak and view.shortfall > CLEARLY_SHORT
    if not (((fall > 0.03 and newest) or few) and short) or (view.tiny and not few):
        return
    steps = max(10 * record.total_steps, 500) if few else 4 * record.total_steps
    by_epoch = steps % record.steps_per_epoch == 0
    length = (
        (f"trainer.epochs={steps // record.steps_per_epoch}",)
        if by_epoch
        else ("trainer.epochs=null", f"trainer.steps={steps}")
    )
    yield Finding(
        "still_improving",
        f"The run ended after {record.steps} steps ({record.steps / record.steps_per_epoch:.3g} epochs), and in its "
        f"last quarter the training loss fell by {fall:.0%} of what there is to learn: it stopped too early.",
        {"fall in the last quarter": fall, "shortfall": view.shortfall},
        length,
        step=record.steps,
    )


def no_learning(view: View) -> Iterator[Finding]:
    """The validation is no better than the best constant, and nor are simple methods: inputs do not tell targets."""
    data = view.record.data
    skill = view.skill("validation")
    if data is None or math.isnan(skill) or view.record.status == "diverged" or view.record.steps < 20:
        return
    limit = max(0.1, min(view.margin, CHANCE))
    if skill > limit or data.reference > limit or data.examples.get("validation", 0) < CERTAIN:
        return
    yield Finding(
        "no_learning",
        "On the validation split the network does not beat the best constant prediction, and neither do nearest "
        "neighbours or a linear fit: the targets seem unrelated to the inputs. Check how they were put together.",
        {"skill": skill, "skill of simple methods": data.reference, "learned in training": view.learned},
    )


def too_strong(view: View) -> Iterator[Finding]:
    """A penalty or noise that leaves the network nothing to learn with."""
    if not (view.weak or view.learned < 0.3):
        return
    record = view.record
    for name, strength in record.penalties.items():
        if strength >= STRONG.get(name, math.inf):
            key = "optimizer.weight_decay" if name == "optimizer" else f"regularizer.{name}.strength"
            yield Finding(
                "penalty_too_strong",
                f"A {name.replace('_', ' ')} of {strength:g} outweighs the loss: it pulls the weights to zero faster "
                "than the data can pull them away.",
                {"strength": strength, "learned": view.learned},
                (f"{key}=0.0001",),
            )
            return
    for name, p in record.noise.items():
        if p >= STRONG_NOISE:
            yield Finding(
                "penalty_too_strong",
                f"With {name} at p = {p:g} hardly any signal passes in training.",
                {"p": p, "learned": view.learned},
                (f"regularizer.{name}.p=0.2",),
            )
            return


def underfitting(view: View) -> Iterator[Finding]:
    """The training loss has settled high, though simple methods show that there is more to learn."""
    record = view.record
    train = view.skill("train")
    if not view.weak or record.status != "completed" or math.isnan(train) or record.data is None:
        return
    if view.shortfall < CLEARLY_SHORT:
        return
    if train > record.data.reference - 0.05 or (trend(view) > 0.05 and not view.tiny):
        return
    linear = len(record.weights) <= 1
    capacity = max((w.shape[0] for w in list(record.weights)[:-1]), default=0)
    wider = max(64, 2 * capacity)
    remedy = ("architecture=mlp",) if linear else (f"architecture.widths=[{wider},{wider}]",)
    yield Finding(
        "underfitting",
        f"Even on its own training data the network avoids only {train:.0%} of the errors of a constant, where simple "
        f"methods avoid {record.data.reference:.0%} on new data: it is too small for this task.",
        {"training skill": train, "skill of simple methods": record.data.reference, "widest layer": capacity},
        remedy,
    )


def plateau(view: View) -> Iterator[Finding]:
    """The loss has not moved for half of the run, far from the optimum."""
    windows, data = view.windows, view.record.data
    if data is None or len(windows) < 8 or not view.weak:
        return
    half = windows[len(windows) // 2 :]
    moved = (half[: len(half) // 2].mean() - half[len(half) // 2 :].mean()) / data.scale
    if abs(moved) > 0.02 or view.learned > 0.95:
        return
    yield Finding(
        "plateau",
        f"The loss has stayed at {half.mean():.3g} for the second half of the run, although the data can be learned "
        "better. A larger rate, momentum or another initialization may leave the plateau.",
        {"loss": float(half.mean()), "change": float(moved), "learned": view.learned},
        ("optimizer=adam",) if view.record.optimizer == "sgd" else ("initialization=he",),
        step=view.record.steps // 2,
    )
