"""A fourth set of kinds, D: what a student does wrong, planted on data that no rule was tried on."""

from __future__ import annotations

import random

from benchmarks.diagnosis.backgrounds import CLASSES, Values
from benchmarks.diagnosis.kinds import (
    LEAK,
    MECHANICS,
    NET,
    PENALTY,
    RATE,
    SHIFT,
    Kind,
    if_classes,
    network,
    own,
    put,
    rebuilt,
    spoil,
)
from benchmarks.diagnosis.later_kinds import HIGH, INITIALIZATION, RAW


def _hundredfold(values: Values, draw: random.Random, data: str) -> Values:
    return values | {RATE: f"{100 * float(values[RATE]):g}"}


def _huge_weights(values: Values, draw: random.Random, data: str) -> Values:
    return values | {"initialization": "gaussian", "initialization.std": "5"}


def _never_active(values: Values, draw: random.Random, data: str) -> Values:
    return values | {"activation": "relu", "initialization.bias": "-10"}


def _two_units(values: Values, draw: random.Random, data: str) -> Values:
    return rebuilt(values, widths="[2,2]")


def _one_epoch(values: Values, draw: random.Random, data: str) -> Values:
    return values | {"trainer.steps": "null", "trainer.epochs": "1"}


def _weights_of_rates(values: Values, draw: random.Random, data: str) -> Values:
    """Class weights of the wrong way round: the more, the rarer it is made."""
    weights = ["0.01", *["1"] * (CLASSES.get(data, 2) - 1)]
    return values | {"loss": "softmax_cross_entropy", "loss.class_weights": f"[{','.join(weights)}]"}


def _shrunk(values: Values, draw: random.Random, data: str) -> Values:
    return (spoil("shrunk")(values, draw, data) or {}) | RAW


def _pictures(values: Values, draw: random.Random, data: str) -> Values | None:
    return spoil("pictures_transposed")(values, draw, data) if data == "digits" else None


def _joined(values: Values, draw: random.Random, data: str) -> Values | None:
    """A third of the columns must not be all of them."""
    return None if data in ("board", "heteroscedastic") else spoil("column_joined_wrongly")(values, draw, data)


STUDENTS = (
    # Settings.
    Kind("rate_hundredfold", "D", _hundredfold, HIGH, (RATE,)),
    Kind(
        "weights_huge",
        "D",
        _huge_weights,
        ("exploding_gradients", "saturated_units", "hockey_stick_start"),
        INITIALIZATION,
    ),
    Kind("never_active", "D", _never_active, ("dead_units", "saturated_units"), INITIALIZATION),
    Kind("two_units", "D", _two_units, ("underfitting",), NET),
    Kind("one_epoch", "D", _one_epoch, ("still_improving",), ("trainer.",)),
    Kind("decay_ten", "D", put(regularizer__weight_decay__strength="10"), PENALTY, ("regularizer",)),
    Kind("weights_of_rates", "D", if_classes(_weights_of_rates), ("class_collapse",), ("loss",)),
    # The data.
    Kind(
        "training_shuffled",
        "D",
        spoil("training_shuffled"),
        ("targets_unrelated", "labels_wrong", *SHIFT),
        repairable=False,
    ),
    Kind("noise_columns", "D", spoil("noise_columns"), ("overfitting", "columns_without_use"), repairable=False),
    Kind("noisy_target_column", "D", spoil("noisy_target_column"), LEAK, repairable=False, spoils=False),
    Kind("held_out_negated", "D", spoil("held_out_negated"), SHIFT, repairable=False),
    Kind("pictures_transposed", "D", _pictures, SHIFT, repairable=False),
    Kind("column_joined_wrongly", "D", _joined, SHIFT, repairable=False),
    Kind(
        "training_values_lost",
        "D",
        spoil("training_values_lost"),
        (*SHIFT, "inputs_lost", "placeholders"),
        repairable=False,
    ),
    Kind("oversampled", "D", spoil("oversampled"), LEAK, repairable=False, spoils=False),
    Kind(
        "mixed_units",
        "D",
        spoil("mixed_units"),
        ("uneven_scale", "lone_values", "placeholders", "inputs_not_standardized"),
        ("data/preprocessing",),
    ),
    Kind("shrunk", "D", _shrunk, ("inputs_not_standardized",), ("data/preprocessing",)),
    # Components.
    Kind("inputs_clamped", "D", network("inputs_clamped"), MECHANICS, NET),
    Kind("dropout_in_evaluation", "D", network("dropout_in_evaluation"), ("noise_in_evaluation", *MECHANICS), NET),
    Kind("logits_divided", "D", network("logits_divided"), ("vanishing_gradients", *MECHANICS), NET),
    Kind(
        "softmax_over_batch",
        "D",
        if_classes(network("softmax_over_batch")),
        ("output_layer_not_linear", "examples_mixed", "doubled_output_layer", *MECHANICS),
        NET,
    ),
    Kind(
        "first_class_forgotten",
        "D",
        if_classes(own("loss", "FirstClassForgotten")),
        ("gradient_off", *MECHANICS),
        ("loss",),
    ),
    Kind(
        "loss_divided",
        "D",
        if_classes(own("loss", "Divided")),
        ("gradient_off", "learning_rate_too_low", *MECHANICS),
        ("loss",),
    ),
    Kind("head_only", "D", own("optimizer", "HeadOnly"), ("frozen_layers", *MECHANICS), ("optimizer",)),
    Kind("forgetful", "D", own("optimizer", "Forgetful"), MECHANICS, ("optimizer",)),
    Kind("growing_rate", "D", own("scheduler", "Growing"), (*HIGH, "loss_exploded", *MECHANICS), ("scheduler",)),
)
