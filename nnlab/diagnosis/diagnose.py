"""All rules over one record; causes first, what they explain beneath them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from nnlab.diagnosis import fit, inputs, predictions, rates, signals
from nnlab.diagnosis.finding import Finding
from nnlab.diagnosis.record import RunRecord
from nnlab.diagnosis.view import View

Rule = Callable[[View], Iterator[Finding]]

# What a network that does not learn shows, whatever the cause.
OUTCOME = (
    "loss_exploded",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "learning_rate_decayed_too_early",
    "plateau",
    "vanishing_gradients",
    "exploding_gradients",
    "dead_units",
    "saturated_units",
    "hockey_stick_start",
    "underfitting",
    "still_improving",
    "class_collapse",
    "no_learning",
    "update_ratio_out_of_range",
    "overfitting",
    "train_evaluation_mismatch",
)
LATE = ("loss_exploded", "plateau", "underfitting", "still_improving", "class_collapse", "update_ratio_out_of_range")

# Every rule with the name of its finding and those that it explains, likeliest cause first.
RULES: tuple[tuple[str, Rule, tuple[str, ...]], ...] = (
    ("inputs_not_normalised", inputs.not_normalised, (*OUTCOME, "targets_not_standardised")),
    ("targets_not_standardised", inputs.targets_not_standardised, OUTCOME),
    ("leakage_suspected", inputs.leakage, ()),
    ("symmetric_units", signals.symmetric, OUTCOME),
    ("frozen_layers", signals.frozen, OUTCOME),
    ("exploding_gradients", signals.exploding, OUTCOME),
    ("saturated_units", signals.saturated, OUTCOME),
    ("dead_units", signals.dead, OUTCOME),
    ("vanishing_gradients", signals.vanishing, OUTCOME),
    ("hockey_stick_start", signals.hockey_stick, OUTCOME),
    ("penalty_too_strong", fit.too_strong, (*OUTCOME, "symmetric_units")),
    ("learning_rate_too_high", rates.too_high, OUTCOME),
    ("loss_exploded", rates.exploded, OUTCOME),
    ("imbalance_ignored", predictions.imbalance, OUTCOME),
    ("learning_rate_decayed_too_early", rates.decayed_too_early, OUTCOME),
    ("learning_rate_too_low", rates.too_low, OUTCOME),
    ("train_evaluation_mismatch", predictions.mismatch, OUTCOME),
    ("no_learning", fit.no_learning, OUTCOME),
    ("overfitting", fit.overfitting, LATE),
    ("class_collapse", predictions.collapse, OUTCOME),
    ("still_improving", fit.still_improving, LATE),
    ("underfitting", fit.underfitting, (*LATE, "learning_rate_too_high")),
    ("plateau", fit.plateau, LATE),
    ("noisy_validation", inputs.noisy_validation, ()),
    ("update_ratio_out_of_range", rates.unusual_updates, ()),
)

NAMES = tuple(sorted({name for name, _, _ in RULES}))


def diagnose(record: RunRecord) -> list[Finding]:
    """The findings about a run, likeliest cause first; an empty list says that nothing looks wrong."""
    view = View(record)
    found = {name: finding for name, rule, _ in RULES for finding in rule(view)}
    order = _ranked(found)
    explains = {name: explained for name, _, explained in RULES}
    result: list[Finding] = []
    taken: set[str] = set()
    for name in order:
        if name in taken:
            continue
        below = [other for other in order if other in explains[name] and other != name and other not in taken]
        taken.update(below, [name])
        result.append(dataclasses.replace(found[name], symptoms=tuple(found[other] for other in below)))
    return result


def _ranked(found: dict[str, Finding]) -> list[str]:
    """Names in the order of the table, but what is wrong at the start before what turned up later."""
    position = {name: i for i, (name, _, _) in enumerate(RULES)}

    def rank(name: str) -> float:
        if name in ("saturated_units", "dead_units") and found[name].step is None:
            return position["learning_rate_too_low"] + 0.5
        # A bottleneck keeps the loss up whatever the rate.
        if name == "underfitting" and found[name].evidence["bottleneck"] and "loss_exploded" not in found:
            return position["learning_rate_too_high"] - 0.5
        # What may be worth a try comes after all that is wrong or uncertain.
        if name in ("underfitting", "still_improving") and found[name].severity == "note":
            return position["noisy_validation"] + 0.5
        if name == "noisy_validation" and int(found[name].evidence["examples"]) < fit.CERTAIN:
            return position["no_learning"] + 0.5  # what follows is judged by these few
        if name == "penalty_too_strong" and "symmetric_units" in found:
            return position["symmetric_units"] - 0.5  # weights that were pulled to zero are all alike
        if name == "train_evaluation_mismatch" and float(found[name].evidence["stale share"]) > predictions.STALE:
            return position["leakage_suspected"] + 0.6
        if name == "class_collapse" and found[name].evidence["skewed weights"]:
            return position["leakage_suspected"] + 0.5
        return position[name]

    return sorted(found, key=rank)
