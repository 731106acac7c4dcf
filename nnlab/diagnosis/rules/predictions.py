"""Findings about what the network predicts: one class for all, no minority, and not the same in evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnlab.console import counted
from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.finding import Finding

COLLAPSED = 0.97
IMBALANCED = 5.0
MISSED, FOUND = 0.35, 0.9
ORDERED, WELL = 0.5, 0.75  # ranking from which the classes are told apart, and from which only the border is off
ORDERED_WELL = (
    "The examples are in a good order, so that a lower threshold finds more of them; class weights do so at the price "
    "of accuracy on the other classes."
)
HARD_TO_TELL = "The inputs hardly tell it from the others; class weights find more of it, and cost accuracy elsewhere."
MISMATCH, STALE = 0.1, 0.1
SETTLED = 200  # steps after which running statistics should have arrived
WITH_SWITCH = ("mlp", "convnet")  # architectures whose batch norm is an option


def collapse(view: View) -> Iterator[Finding]:
    """One class is predicted for nearly every example."""
    facts, data = view.record.splits.get("train"), view.record.data
    if facts is None or data is None or not facts.predicted:
        return
    total, most = sum(facts.predicted), max(facts.predicted)
    predicted = facts.predicted.index(most)
    share = data.class_counts[predicted] / max(sum(data.class_counts), 1)
    weights = view.record.class_weights
    # Weights that make up for rare classes are what they should be.
    shares = [w * n for w, n in zip(weights, data.class_counts, strict=False)]
    skewed = bool(shares) and max(shares) > 20 * max(min(shares), 1e-12) and view.weak
    # A network of one or two units collapses for want of units, which is another finding.
    if not skewed and (most < COLLAPSED * total or share > 0.8 or view.tiny):
        return
    because = f"; the class weights are {', '.join(f'{w:.3g}' for w in weights)}" if skewed else ""
    yield Finding(
        "class_collapse",
        f"In the end the network predicts class {data.targets.name(predicted)} for {most / total:.0%} of the training "
        f"examples, {share:.0%} of which are of it{because}",
        {"class": predicted, "predicted share": most / total, "true share": share, "skewed weights": int(skewed)},
        ("loss.class_weights=null",) if skewed else (),
        variant="skewed" if skewed else "",
    )


def imbalance(view: View) -> Iterator[Finding]:
    """A rare class is never predicted, and the accuracy looks good all the same."""
    facts, data = view.record.splits.get("validation"), view.record.data
    if facts is None or data is None or len(data.class_counts) < 2 or min(data.class_counts) == 0:
        return
    ratio = max(data.class_counts) / min(data.class_counts)
    large = data.class_counts.index(max(data.class_counts))
    missed = [
        (recall, c)
        for c, recall in enumerate(facts.recall)
        if data.class_counts[c] * IMBALANCED < max(data.class_counts) and recall < MISSED
    ]
    if ratio < IMBALANCED or not missed or facts.recall[large] < FOUND:
        return
    recall, rare = min(missed)
    # Where simple methods find no more of it, accuracy has no use for it, and nothing is wrong with the training.
    able = data.references.recall[rare] if data.references.recall else math.nan
    usual = able < MISSED or facts.ranking > WELL
    why = "" if not usual else ORDERED_WELL if facts.ranking > ORDERED else HARD_TO_TELL
    found = f", by simple methods {able:.0%}" if math.isfinite(able) else ""
    counts = (
        f"{counted(data.class_counts[rare], 'training example')} against {max(data.class_counts)} of class "
        f"{data.targets.name(large)}"
    )
    held_out = data.targets.counts["validation"][rare]
    yield Finding(
        "imbalance_ignored",
        f"Class {data.targets.name(rare)} has {counts}; in the end {recall:.0%} of its {held_out} in the validation "
        f"split {'is' if held_out == 1 else 'are'} found{found}",
        {"class": rare, "recall": recall, "ratio": ratio},
        (*(() if view.record.weighable else ("loss=softmax_cross_entropy",)), "loss.class_weights=balanced"),
        why=why,
        level="note" if usual else "fault",
    )


def mismatch(view: View) -> Iterator[Finding]:
    """The network in evaluation mode is not the one that was trained."""
    facts, data = view.record.splits.get("train"), view.record.data
    tail = view.tail_loss
    if facts is None or data is None or not math.isfinite(tail) or not math.isfinite(facts.loss):
        return
    excess = (facts.loss - tail) / data.levels.span
    clear = excess > MISMATCH and facts.loss > 1.5 * tail
    harmful = view.weak and excess > 0.02 and facts.loss > 3 * tail
    # The share of the running statistics that is still their initial value.
    momentum = view.record.norm_momentum
    stale = (1 - momentum) ** view.record.steps if math.isfinite(momentum) else 0.0
    behind = stale > STALE and view.record.steps >= SETTLED and (view.weak or view.shortfall > 0.05)
    if not (view.record.batch_norm or view.record.noise) or not (clear or harmful or behind):
        return
    part = "batch norm" if view.record.batch_norm else next(iter(view.record.noise))
    own = () if view.record.architecture in WITH_SWITCH else ("architecture=mlp",)
    remedy: tuple[str, ...] = (*own, "architecture.batch_norm=false")
    if not view.record.batch_norm:
        remedy = (f"regularizer.{part}.p=0.2",)
    elif view.record.batch_size < 8:
        remedy = ("trainer.batch_size=32",)
    elif view.record.norm_momentum < 0.01:
        remedy = (*own, "architecture.batch_norm=true")
    yield Finding(
        "train_evaluation_mismatch",
        f"The same training examples have a loss of {tail:.3g} in training mode but {facts.loss:.3g} in evaluation "
        f"mode: {part} behaves differently there",
        {"training mode": tail, "evaluation mode": facts.loss, "stale share": stale},
        remedy,
        why="Running statistics come from too few or too small batches."
        if view.record.batch_norm and stale <= STALE
        else "",
        variant="stale" if stale > STALE else "",
    )
