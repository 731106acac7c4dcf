"""Findings about the learning rate: too high, too low, decayed too early, and updates of an unusual size.

The first update, measured before a wrong rate has spoiled the network, also gives the rate to try: the present one
times the wanted update-to-weight ratio over the measured one. T updates in random directions travel sqrt(T) times as
far as one, so that updates of 0.5 / sqrt(T) of the weights let them move by half of their size; for long runs that
comes near a thousandth, the usual rule of thumb (notes of CS231n). Gradients shrink as a network learns, so rules that
do not normalize them may start with larger updates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median  # numpy's loads its masked arrays first

import numpy as np

from nnlab.diagnosis.facts.curves import EARLY, View, rounded
from nnlab.diagnosis.finding import Finding
from nnlab.diagnosis.record import RunRecord

USUAL = {"adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "adagrad": 0.02, "adadelta": 1.0, "sgd": 0.1, "momentum": 0.1}
USUAL |= {"heavy_ball": 0.01, "nesterov": 0.01}
# Rules whose updates are of the rate's size whatever the gradient's, with the size of the first against later ones:
# that of RMSProp is 1 / sqrt(1 - gamma), for want of a bias correction.
NORMALIZED = {"adam": 1.0, "adamw": 1.0, "rmsprop": 3.2, "adagrad": 1.0}
TRAVEL = 0.5  # part of their size that the weights should move by; see above
FIRST = {"heavy_ball": 0.02, "nesterov": 0.02}  # the first update-to-weight ratio that suits the other rules,
PLAIN = 0.05  # and those whose steps do not add up
HIGH_EARLY = 0.25  # a ratio in the first steps from which weights are overwritten rather than adjusted
HIGH_LATE = 0.05
LOW = 2e-4
STUCK = 0.3  # training skill, below which a loss that jumps is no noise of the targets
GREW = 3.0


def suggested_rate(view: View) -> float:
    """A rate whose updates would be of a healthy size, near the usual one of the optimizer."""
    record = view.record
    usual = USUAL.get(record.optimizer, 0.01)
    ratio = _early_ratio(view)
    if not 0 < ratio < math.inf:
        return usual
    wanted = FIRST.get(record.optimizer, PLAIN)
    if record.optimizer in NORMALIZED:
        wanted = NORMALIZED[record.optimizer] * TRAVEL / math.sqrt(max(record.total_steps, 1))
    # A schedule may begin with a smaller rate than the configured one.
    share = float(record.rates[0]) / record.learning_rate if len(record.rates) else 1.0
    estimate = record.learning_rate * (share if 0 < share < math.inf else 1.0) * wanted / ratio
    return min(max(estimate, usual / 3), usual * (5 if record.optimizer in NORMALIZED else 3))


def cautious_rate(view: View) -> float:
    """As `suggested_rate`; rules that do not normalize gradients explode where more than the usual is too much."""
    optimizer = view.record.optimizer
    return min(suggested_rate(view), USUAL.get(optimizer, 0.01) * (3 if optimizer in NORMALIZED else 1))


def _early_ratio(view: View) -> float:
    """The first ratio, the geometric mean over the weights: later ones may be those of an exploded network."""
    first = [v for v in view.early("update_ratio").values() if 0 < v < math.inf]
    return math.exp(sum(map(math.log, first)) / len(first)) if first else math.nan


def exploded(view: View) -> Iterator[Finding]:
    """The loss became infinite, or ended far above where it started."""
    record = view.record
    layer = record.reason.partition("first non-finite gradient: `")[2].partition("`")[0]
    grew = _grew(view)
    if record.status != "diverged" and not grew:
        return
    step = len(record.losses) + 1 if record.status == "diverged" else int(np.argmax(record.losses)) + 1
    last = float(record.losses[-1]) if len(record.losses) else math.nan
    what = "stopped being a finite number" if record.status == "diverged" else "grew far beyond its first value"
    yield Finding(
        "loss_exploded",
        f"The loss {what} at step {step}; the last good state is that of step {record.best_step}",
        {"first loss": view.first_loss, "last loss": last, "last good step": record.best_step},
        bounded(record),
        layer=layer or None,
        step=step,
        certain=True,
    )


def _grew(view: View) -> bool:
    data, windows = view.record.data, view.windows
    if data is None or len(windows) < 3:
        return False
    top = max(data.levels.constant, view.first_loss) + data.levels.span
    return bool(windows[-1] > GREW * top or windows.max() > 100 * max(abs(top), data.levels.span))


def too_high(view: View) -> Iterator[Finding]:
    """Updates overwrite the weights, and the loss jumps about, stays up, or explodes."""
    record = view.record
    ratios = view.update_ratio
    early = max((v for s, v in zip(ratios.steps, ratios.values, strict=True) if 1 < s <= EARLY), default=math.nan)
    first = max(ratios.values[:1], default=math.nan)
    early = first if math.isnan(early) else early
    late = float(median([v for s, v in zip(ratios.steps, ratios.values, strict=True) if s > EARLY] or [math.nan]))
    diverged = record.status == "diverged" or _grew(view)
    jumps = early > HIGH_EARLY or late > HIGH_LATE
    if not (diverged or (jumps and record.steps >= 20)):
        return  # before anything is asked that takes longer
    noisy = _oscillation(view)
    # Where simple methods fail, too, updates that large and a loss that high say it by themselves.
    wild = late > HIGH_LATE and noisy > max(0.15, 1.5 * _sampling_noise(view)) and view.learned < 0.6 and _stuck(view)
    bad = view.weak or (wild if record.splits else view.failing)
    windows = view.windows
    falls = len(windows) > 1 and bool((np.diff(windows) < 0).mean() > 0.7) and view.learned > 0.3 and first < 1
    if not (diverged or (bad and not falls)):
        return
    rate = suggested_rate(view)
    rate = rate if rate < record.learning_rate else record.learning_rate / 10
    manner = "the loss exploded" if diverged else "the loss jumps up and down instead of falling"
    yield Finding(
        "learning_rate_too_high",
        f"With a learning rate of {record.learning_rate:g} {manner}; the first updates were "
        f"{_percent(early)} of the weights (about 0.1-1% is healthy)",
        {"learning rate": record.learning_rate, "update ratio": early, "late update ratio": late, "noise": noisy},
        (f"optimizer.learning_rate={rounded(rate)}", *falling(record), *(bounded(record) if diverged else ())),
        step=ratios.steps[0] if ratios else None,
        certain=diverged,
    )


def _sampling_noise(view: View) -> float:
    """Jumps from one minibatch loss to the next that come from the examples alone, per what there is to learn.

    A squared error, and roughly any loss far from its floor, has a standard deviation of sqrt(2) times its mean; the
    mean of B has sqrt(B) times less, and two of them differ by 2 / sqrt(pi) of it.
    """
    data, batch = view.record.data, view.record.batch_size
    if data is None or batch < 1:
        return 0.0
    above = max(view.tail_loss - (data.levels.floor or 0.0), 0.0) / data.levels.span
    return 2 * math.sqrt(2 / (math.pi * batch)) * above


def _stuck(view: View) -> bool:
    """Whether the network has learned little of its own training examples; noisy targets make any loss jump."""
    train = view.skill("train")
    return math.isnan(train) or train < max(STUCK, view.reference - 0.05)


def falling(record: RunRecord) -> tuple[str, ...]:
    """A rate that falls to zero is forgiving of where it starts."""
    return ("scheduler=cosine",) if record.scheduler == "constant" else ()


def bounded(record: RunRecord) -> tuple[str, ...]:
    """A bound on the gradient, so that one steep place does not undo the run."""
    return () if record.clipped else ("trainer.clip_norm=1",)


def steeper(record: RunRecord) -> tuple[str, ...]:
    """A bound on the gradient for a network that will begin to learn, and may be too steep for its rate then."""
    return bounded(record) if record.optimizer not in NORMALIZED else ()


def _oscillation(view: View) -> float:
    """Standard deviation of the losses in the second half around their own trend, per what there is to learn."""
    losses = view.record.losses[len(view.record.losses) // 2 :]
    losses = losses[np.isfinite(losses)]
    if len(losses) < 4 or view.record.data is None:
        return math.nan
    return float(np.abs(np.diff(losses)).mean() / view.record.data.levels.span)


def _percent(ratio: float) -> str:
    if math.isnan(ratio):
        return "an unknown share"
    if ratio < 1:
        return f"{100 * ratio:.2g}%"
    return f"{ratio:.2g} times the size" if ratio < 100 else "many times the size"


def too_low(view: View) -> Iterator[Finding]:
    """Updates are so small that the weights stay where they started."""
    record = view.record
    ratios = [v for v in view.update_ratio.values if v > 0]
    if not ratios or not view.failing or record.steps < 20:
        return
    highest = float(np.max(record.rates[np.isfinite(record.rates)], initial=0.0))
    moved = float(median(ratios)) * record.steps
    if not (max(ratios) < 5 * LOW and moved < 0.5) or highest <= 0:
        return
    rate = max(suggested_rate(view), 10 * record.learning_rate, USUAL.get(record.optimizer, 0.01))
    yield Finding(
        "learning_rate_too_low",
        f"The weights hardly move: one update changes them by {_percent(float(median(ratios)))}, all {record.steps} "
        f"together by at most {_percent(moved)}, at a rate of {record.learning_rate:g}",
        {"learning rate": record.learning_rate, "update ratio": float(median(ratios)), "learned": view.learned},
        (f"optimizer.learning_rate={rounded(rate)}", *falling(record), *steeper(record)),
        certain=record.steps >= 100,
    )


def decayed_too_early(view: View) -> Iterator[Finding]:
    """The schedule took the rate down to nothing while there was much left to learn."""
    record = view.record
    rates = record.rates[np.isfinite(record.rates)]
    if len(rates) < 20 or not view.failing or rates.max() <= 0:
        return
    high = np.flatnonzero(rates >= rates.max() / 20)
    share = (high[-1] + 1) / max(record.total_steps, len(rates))
    if share > 0.5 or rates[-1] > rates.max() / 20:
        return
    fraction = float(rates[-1] / rates.max())
    rate = cautious_rate(view)
    faster = (f"optimizer.learning_rate={rounded(rate)}",) if rate > 2 * record.learning_rate else ()
    yield Finding(
        "learning_rate_decayed_too_early",
        f"From step {high[-1] + 1} on, after {share:.0%} of the run, the learning rate was {fraction:.1g} of its "
        "highest",
        {"share of the run": float(share), "last rate": float(rates[-1]), "shortfall": view.shortfall},
        ("scheduler=cosine", *faster, *steeper(record)),
        step=int(high[-1]) + 1,
    )


def unusual_updates(view: View) -> Iterator[Finding]:
    """Update-to-weight ratios outside of 1e-6 ... 0.1 for most of the run."""
    for name, series in view.record.series("update_ratio").items():
        values = [v for s, v in zip(series.steps, series.values, strict=True) if s > EARLY and math.isfinite(v)]
        if len(values) < 3:
            continue
        ratio = float(median(values))
        converged = view.learned > 0.98  # then nothing is left to move for
        if (0 < ratio < 1e-6 and not converged) or ratio > 0.1:
            size = "large" if ratio > 0.1 else "small"
            wanted = view.record.learning_rate * (0.01 / ratio if ratio > 0.1 else 1e-4 / ratio)
            yield Finding(
                "update_ratio_out_of_range",
                f"Updates of `{name}` are unusually {size}: {ratio:.1e} of the weights, where about 1e-3 is healthy",
                {"update ratio": ratio},
                (f"optimizer.learning_rate={rounded(wanted)}",),
                layer=name,
            )
            return
