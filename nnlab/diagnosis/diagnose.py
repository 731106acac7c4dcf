"""All rules over one record; causes first, what they explain beneath them."""

from __future__ import annotations

from nnlab.diagnosis.finding import Finding
from nnlab.diagnosis.record import RunRecord

NAMES = (
    "loss_exploded",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "learning_rate_decayed_too_early",
    "plateau",
    "vanishing_gradients",
    "exploding_gradients",
    "update_ratio_out_of_range",
    "dead_units",
    "saturated_units",
    "symmetric_units",
    "hockey_stick_start",
    "no_learning",
    "frozen_layers",
    "overfitting",
    "underfitting",
    "penalty_too_strong",
    "still_improving",
    "noisy_validation",
    "train_evaluation_mismatch",
    "inputs_not_normalised",
    "targets_not_standardised",
    "class_collapse",
    "imbalance_ignored",
    "leakage_suspected",
)


def diagnose(record: RunRecord) -> list[Finding]:
    """The findings about a run, likeliest cause first; an empty list says that nothing looks wrong."""
    return []
