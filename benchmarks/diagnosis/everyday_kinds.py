"""A fifth set of kinds, E: wrongly exported tables, settings and parts of one's own, on data of no other set."""

from __future__ import annotations

import random

from benchmarks.diagnosis.backgrounds import Values
from benchmarks.diagnosis.kinds import (
    LEAK,
    MECHANICS,
    NET,
    RATE,
    SHIFT,
    Kind,
    Planter,
    if_classes,
    if_numbers,
    network,
    put,
    rebuilt,
    regularized,
    spoil,
)
from benchmarks.diagnosis.kinds import own as own_of
from benchmarks.diagnosis.later_kinds import HIGH, LOW

PARTS = "benchmarks.diagnosis.everyday_parts"
AUGMENTATION = ("data/augmentation", "data.augmentation")


def own(group: str, name: str) -> Planter:
    """A part of `everyday_parts`."""
    return own_of(group, name, **{f"{group}._target_": f"{PARTS}.{name}"})


def _augmented(name: str, **options: str) -> Planter:
    """Only of pictures."""
    keys = {f"data.augmentation.{name}.{key}": value for key, value in options.items()}
    change = {"data/augmentation": f"[{name}]", **keys}
    return lambda values, draw, data: values | change if data == "letters" else None


def _dropped(values: Values, draw: random.Random, data: str) -> Values:
    return regularized("dropout", p="0.6")(rebuilt(values, widths="[4,4]"), draw, data) or {}


def _pictures(values: Values, draw: random.Random, data: str) -> Values | None:
    return spoil("class_brighter")(values, draw, data) if data == "letters" else None


def _doubled(values: Values, draw: random.Random, data: str) -> Values | None:
    """Two spellings are more classes than losses of two take."""
    planted = spoil("names_doubled")(values, draw, data)
    return None if planted is None else planted | {"loss": "softmax_cross_entropy"}


EVERYDAY = (
    # Settings.
    Kind("letters_flipped", "E", _augmented("flip"), (), AUGMENTATION),
    Kind("moved_too_far", "E", _augmented("shift", pixels="8"), (), AUGMENTATION),
    Kind(
        "rate_gone",
        "E",
        put(scheduler="step", scheduler__milestones="[1]", scheduler__decay="0.0001"),
        ("learning_rate_decayed_too_early",),
        ("scheduler",),
    ),
    Kind("fractions_swapped", "E", put(data__validation="0.97"), ("overfitting",), ("data.validation",)),
    Kind("small_and_dropped", "E", _dropped, ("underfitting", "penalty_too_strong"), ("regularizer", *NET)),
    # The data.
    Kind(
        "shifted_after_sort",
        "E",
        spoil("shifted_after_sort"),
        ("targets_shifted", "targets_unrelated", "labels_wrong"),
        repairable=False,
    ),
    Kind(
        "names_doubled",
        "E",
        if_classes(_doubled),
        ("classes_mixed_up", "labels_wrong", "classes_spelled_alike"),
        repairable=False,
    ),
    Kind("numbered_by_class", "E", spoil("numbered_by_class"), LEAK, repairable=False, spoils=False),
    Kind("same_patients", "E", spoil("same_patients"), LEAK, repairable=False, spoils=False),
    Kind("rows_standardized", "E", spoil("rows_standardized"), ("rows_standardized", "inputs_lost"), repairable=False),
    Kind("class_brighter", "E", _pictures, SHIFT, repairable=False),
    Kind("filled_by_class", "E", spoil("filled_by_class"), (*LEAK, "placeholders"), repairable=False, spoils=False),
    Kind("held_out_in_other_units", "E", if_numbers(spoil("held_out_in_other_units")), SHIFT, repairable=False),
    Kind(
        "forgotten_positives",
        "E",
        if_classes(spoil("forgotten_positives")),
        ("labels_wrong", "classes_mixed_up"),
        repairable=False,
    ),
    Kind("column_sorted_alone", "E", spoil("column_sorted_alone"), ("columns_sorted", *SHIFT), repairable=False),
    # Components.
    Kind("rows_normalized", "E", network("rows_normalized"), MECHANICS, NET),
    Kind("hard_choice", "E", network("hard_choice"), ("frozen_layers", "gradient_off", *MECHANICS), NET),
    Kind(
        "softmax_twice",
        "E",
        if_classes(own("loss", "SoftmaxTwice")),
        ("doubled_output_layer", *MECHANICS),
        ("loss",),
    ),
    Kind(
        "other_index",
        "E",
        if_classes(own("loss", "OtherIndex")),
        ("loss_of_wrong_sign", "loss_not_as_in_theory", *MECHANICS),
        ("loss",),
    ),
    Kind("summed", "E", if_numbers(own("loss", "Summed")), ("gradient_off", *HIGH, *MECHANICS), ("loss",)),
    Kind("inflating", "E", own("optimizer", "Inflating"), (*HIGH, *MECHANICS), ("optimizer",)),
    Kind("first_gradient", "E", own("optimizer", "FirstGradient"), MECHANICS, ("optimizer",)),
    Kind("rate_as_factor", "E", own("scheduler", "RateAsFactor"), (*LOW, *MECHANICS), ("scheduler", RATE)),
    Kind(
        "exponential",
        "E",
        own("activation", "Exponential"),
        ("exploding_gradients", "hockey_stick_start", *MECHANICS),
        ("activation",),
    ),
    Kind(
        "copied_units", "E", own("initialization", "CopiedUnits"), ("symmetric_units", *MECHANICS), ("initialization",)
    ),
)
