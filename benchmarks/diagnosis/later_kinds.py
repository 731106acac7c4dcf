"""A third set of kinds, C, most of them written down before the rules were read."""

from __future__ import annotations

import random

from benchmarks.diagnosis.backgrounds import Values
from benchmarks.diagnosis.kinds import (
    LEAK,
    NET,
    PENALTY,
    RATE,
    SHIFT,
    Kind,
    if_classes,
    if_numbers,
    on,
    put,
    rebuilt,
    regularized,
    spoil,
)

RAW, SOFTMAX = {"data/preprocessing": "none"}, "softmax_cross_entropy"
HIGH, LOW, OPTIMIZER = ("learning_rate_too_high",), ("learning_rate_too_low",), ("optimizer",)
INITIALIZATION, UNSCALED = ("initialization",), {"data.standardize_targets": "false"}


def _slow_and_short(values: Values, draw: random.Random, data: str) -> Values:
    """A hundredth of the rate for a quarter of the steps."""
    rate = float(values["optimizer.learning_rate"]) / 100
    return values | {RATE: f"{rate:g}", "trainer.steps": str(int(values["trainer.steps"]) // 4)}


def _few_whole_batches(values: Values, draw: random.Random, data: str) -> Values:
    """All examples in every batch, for as many epochs as the batches had taken."""
    return values | {"trainer.batch_size": "full", "trainer.steps": str(max(int(values["trainer.steps"]) // 20, 10))}


def _careless(values: Values, draw: random.Random, data: str) -> Values:
    """Weights that make the loss care for the first class alone."""
    classes = 3 if data == "shells" else 2
    weights = ",".join(["50", *["0.02"] * (classes - 1)])
    return values | {"loss": SOFTMAX, "loss.class_weights": f"[{weights}]"}


def _faint_and_deep(values: Values, draw: random.Random, data: str) -> Values:
    faint = {"activation": "tanh", "initialization": "gaussian", "initialization.std": "0.02"}
    return rebuilt(values, widths="[24,24,24,24,24,24]") | faint


def _pairs(values: Values, draw: random.Random, data: str) -> Values:
    return rebuilt(values, batch_norm="true") | {"trainer.batch_size": "2"}


def _alike(values: Values, draw: random.Random, data: str) -> Values:
    return values | {"initialization": "constant", "initialization.value": "0.3"}


def _linear(values: Values, draw: random.Random, data: str) -> Values:
    return rebuilt(values, option="perceptron")


LATER = (
    # Settings.
    Kind("slow_and_short", "C", _slow_and_short, ("learning_rate_too_low", "still_improving"), (RATE, "trainer.")),
    Kind("rate_of_ten", "C", on("momentum", optimizer__learning_rate="10"), HIGH, OPTIMIZER),
    Kind("lion_at_adams", "C", on("lion", optimizer__learning_rate="0.1"), HIGH, OPTIMIZER),
    Kind(
        "adadelta_at_adams",
        "C",
        on("adadelta", optimizer__learning_rate="0.001"),
        ("learning_rate_too_low",),
        ("optimizer",),
    ),
    Kind("decay_one", "C", put(regularizer__weight_decay__strength="1.0"), PENALTY, ("regularizer",)),
    Kind(
        "smoothing_90", "C", if_classes(put(loss="softmax_cross_entropy", loss__label_smoothing="0.9")), (), ("loss",)
    ),
    Kind("whole_batches", "C", _few_whole_batches, ("still_improving",), ("trainer.",)),
    Kind("inputs_dropped", "C", regularized("dropout", p="0.1", input_p="0.8"), PENALTY, ("regularizer",)),
    Kind(
        "clipping_small",
        "C",
        on("sgd", trainer__clip_norm="0.001"),
        ("learning_rate_too_low",),
        ("trainer.clip_norm",),
    ),
    Kind("careless_weights", "C", if_classes(_careless), ("class_collapse",), ("loss",)),
    Kind("faint_and_deep", "C", _faint_and_deep, ("vanishing_gradients",), ("initialization", "architecture")),
    Kind(
        "pairs_of_examples",
        "C",
        _pairs,
        ("train_evaluation_mismatch",),
        ("trainer.batch_size", "architecture.batch_norm"),
    ),
    Kind("linear_model", "C", _linear, ("underfitting",), NET),
    Kind(
        "alike_weights",
        "C",
        put(initialization="constant", initialization__value="0.3"),
        ("symmetric_units",),
        ("initialization",),
    ),
    # The data.
    Kind(
        "half_of_the_labels",
        "C",
        if_classes(spoil("half_of_the_labels"), 3),
        ("labels_wrong", "classes_mixed_up"),
        repairable=False,
    ),
    Kind(
        "huge_column",
        "C",
        lambda v, d, data: (spoil("huge_column")(v, d, data) or {}) | RAW,
        ("inputs_not_standardized",),
        ("data/preprocessing",),
    ),
    Kind(
        "raw_targets",
        "C",
        if_numbers(
            lambda v, d, data: (spoil("large_targets")(v, d, data) or {}) | {"data.standardize_targets": "false"}
        ),
        ("targets_not_standardized",),
        ("data.standardize_targets",),
    ),
    Kind("other_season", "C", spoil("other_season"), SHIFT, repairable=False),
    Kind(
        "classes_merged",
        "C",
        if_classes(spoil("classes_merged"), 3),
        ("class_missing", "labels_wrong", *SHIFT),
        repairable=False,
    ),
    Kind(
        "validation_shuffled",
        "C",
        spoil("validation_shuffled"),
        (*SHIFT, "classes_renamed", "labels_wrong"),
        repairable=False,
    ),
    Kind("five_times", "C", spoil("five_times"), LEAK, repairable=False, spoils=False),
    Kind("lone_input", "C", spoil("lone_input"), ("lone_values", "placeholders"), ("data/preprocessing",)),
    Kind("lone_target", "C", if_numbers(spoil("lone_target")), ("target_outliers", "lone_values"), repairable=False),
)
