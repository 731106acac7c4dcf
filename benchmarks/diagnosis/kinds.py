"""Kinds of faults in two halves: what is developed on one is measured on the other.

Each kind is planted in a sound run (`backgrounds`), on data sets that are halved as well. A finding names the cause if
its name is among the kind's names, or if it was found by experiment and its override touches the planted key.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

from benchmarks.diagnosis.backgrounds import CLASSES, RATES, REGRESSION, Values
from benchmarks.diagnosis.faults import source_of

HALVES = {
    "A": ("digits", "moons", "breast_cancer", "clusters", "friedman", "waves", "wine"),
    "B": ("blobs", "diabetes", "hastie", "spirals", "swiss", "iris", "mnist"),
    "C": ("shells", "circles", "curve", "linear"),
    "D": ("board", "flips", "heteroscedastic", "mixed", "engine"),
    "E": ("letters", "loans", "rooms", "harvest", "reactor"),
}
Planter = Callable[[Values, random.Random, str], Values | None]
TRIED = ("setting_at_fault", "component_at_fault")
UNREGULARIZED = ("regularizer", "regularizer.dropout.p")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        name, half: the half is `A` or `B`, `C` for those of `later_kinds`, `D` for those of `student_kinds`, or
            `E` for those of `everyday_kinds`.
        plant: from the overrides of a sound run to those of a broken one; None where the data set cannot have it.
        names: of findings that name the cause.
        keys: beginnings of keys, for findings by experiment.
        repairable: whether an override can mend it.
        spoils: whether it must spoil the score to count; leaks make it better.
    """

    name: str
    half: str
    plant: Planter
    names: tuple[str, ...]
    keys: tuple[str, ...] = ()
    repairable: bool = True
    spoils: bool = True


def put(**changes: str) -> Planter:
    """Keys with `__` for a dot."""
    return lambda values, draw, data: values | {key.replace("__", "."): value for key, value in changes.items()}


def on(optimizer: str, **changes: str) -> Planter:
    """With an optimizer on which the fault has an effect."""

    def plant(values: Values, draw: random.Random, data: str) -> Values:
        rate = {"optimizer": optimizer, "optimizer.learning_rate": str(RATES.get(optimizer, 0.01))}
        return put(**changes)(values | rate, draw, data)

    return plant


def regularized(name: str, **changes: str) -> Planter:
    def plant(values: Values, draw: random.Random, data: str) -> Values:
        values = {k: v for k, v in values.items() if k not in UNREGULARIZED} | {"regularizer": f"[weight_decay,{name}]"}
        return put(**{f"regularizer__{name}__{key}": value for key, value in changes.items()})(values, draw, data)

    return plant


def if_classes(plant: Planter, least: int = 2) -> Planter:
    """Only for classes, of which there are so many at least."""
    return lambda v, d, data: None if data in REGRESSION or CLASSES.get(data, 2) < least else plant(v, d, data)


def if_numbers(plant: Planter) -> Planter:
    return lambda v, d, data: plant(v, d, data) if data in REGRESSION else None


def rebuilt(values: Values, **keys: str) -> Values:
    """With another network: an MLP unless said otherwise, with the keys of `architecture` that are given."""
    kept = {k: v for k, v in values.items() if not k.startswith("architecture")}
    option = keys.pop("option", "mlp")
    return kept | {"architecture": option} | {f"architecture.{key}": value for key, value in keys.items()}


def network(fault: str) -> Planter:
    return lambda values, draw, data: rebuilt(values, option="planted", fault=fault)


def spoil(change: str) -> Planter:
    def plant(values: Values, draw: random.Random, data: str) -> Values | None:
        if data == "mnist":
            return None  # its own test split would be lost
        own = {k: v for k, v in values.items() if k.startswith("data.") and k != "data.validation"}
        rest = {k: v for k, v in values.items() if k not in own}
        moved = {f"+data.source.{k.removeprefix('data.')}": v for k, v in own.items()}
        return rest | {"data": "planted", "data.plant": change, "data.source._target_": source_of(values)} | moved

    return plant


def own(group: str, name: str, **more: str) -> Planter:
    target = {f"{group}._target_": f"benchmarks.diagnosis.planted.{name}"}

    def plant(values: Values, draw: random.Random, data: str) -> Values:
        if group in ("loss", "optimizer"):
            options = {"UpsideDown": "softmax_cross_entropy", "NextLabel": "softmax_cross_entropy"}
            options |= {"AbsoluteOutput": "squared_error", "Uncleared": "adam", "HeadOnly": "adam", "Forgetful": "adam"}
            options |= {"FirstClassForgotten": "softmax_cross_entropy", "Divided": "softmax_cross_entropy"}
            options |= {"SoftmaxTwice": "softmax_cross_entropy", "OtherIndex": "softmax_cross_entropy"}
            options |= {"Summed": "squared_error", "Inflating": "adam", "FirstGradient": "momentum"}
            option = options.get(name, "sgd")
            values = {k: v for k, v in values.items() if not k.startswith(f"{group}.")} | {group: option}
            if group == "optimizer":
                values |= {"optimizer.learning_rate": str(RATES[option])}
        elif group == "initialization":
            values = values | {"initialization": "orthogonal"}
        elif group == "scheduler":
            values = values | {"scheduler": "constant"}
        return values | target | more

    return plant


def _short(values: Values, draw: random.Random, data: str) -> Values:
    return values | {"trainer.steps": "12", "trainer.validate_unit": "step", "trainer.validate_every": "2"}


def _deep(values: Values, draw: random.Random, data: str) -> Values:
    deep = rebuilt(values, widths="[16,16,16,16,16,16,16,16,16,16]")
    return deep | {"activation": "sigmoid", "initialization": "xavier"}


def _single(values: Values, draw: random.Random, data: str) -> Values:
    return rebuilt(values, batch_norm="true") | {"trainer.batch_size": "1"}


MISMATCH, RATE = "train_evaluation_mismatch", "optimizer.learning_rate"
PENALTY, UPDATES = ("penalty_too_strong",), ("learning_rate_too_high", "learning_rate_too_low")
LEAK = ("target_among_inputs", "leakage_between_splits")
NET, MECHANICS = ("architecture",), ("component_at_fault",)
SHIFT = ("splits_differ",)

KINDS = (
    # Settings.
    Kind("clipping_tiny", "A", on("sgd", trainer__clip_norm="1e-6"), (), ("trainer.clip_norm",)),
    Kind("dropout_95", "A", regularized("dropout", p="0.95"), PENALTY, ("regularizer",)),
    Kind("eps_of_one", "B", on("adam", optimizer__eps="1"), (), ("optimizer.eps",)),
    Kind("endless_warmup", "B", put(scheduler__warmup="5000"), (), ("scheduler",)),
    Kind(
        "half_precision",
        "A",
        on("sgd", trainer__precision="bf16", optimizer__learning_rate="0.0005"),
        (),
        ("trainer.precision", RATE),
    ),
    Kind(
        "schedule_per_step",
        "B",
        put(scheduler="step", scheduler__unit="step", scheduler__milestones="[10,20,30]"),
        ("learning_rate_decayed_too_early",),
        ("scheduler",),
    ),
    Kind("momentum_999", "A", on("heavy_ball", optimizer__momentum="0.999"), (), ("optimizer.momentum",)),
    Kind("betas_swapped", "B", on("adam", optimizer__betas="[0.9999,0.5]"), (), ("optimizer.betas",)),
    Kind("identity", "A", put(activation="identity"), (), ("activation",)),
    Kind("threshold", "B", put(activation="hard_threshold"), (), ("activation",)),
    Kind("decay_huge", "B", regularized("l1", strength="0.3"), PENALTY, ("regularizer",)),
    Kind("max_norm_tiny", "A", regularized("max_norm", max_norm="0.005"), PENALTY, ("regularizer",)),
    Kind("average_too_slow", "B", regularized("ema", decay="0.99999"), (MISMATCH,), ("regularizer",)),
    Kind("sam_too_wide", "A", regularized("sam", rho="30"), PENALTY, ("regularizer",)),
    Kind(
        "weights_faint",
        "B",
        on("sgd", initialization="gaussian", initialization__std="0.0001"),
        ("vanishing_gradients",),
        ("initialization",),
    ),
    Kind(
        "bias_huge",
        "A",
        put(initialization__bias="60"),
        ("saturated_units", "dead_units", "hockey_stick_start", "exploding_gradients"),
        ("initialization",),
    ),
    Kind(
        "single_examples",
        "B",
        _single,
        (MISMATCH, "dead_units_of_batch"),
        ("trainer.batch_size", "architecture.batch_norm"),
    ),
    Kind("accumulated", "A", put(trainer__accumulate="60"), ("still_improving",), ("trainer.accumulate",)),
    Kind(
        "smoothing_99",
        "B",
        if_classes(put(loss="softmax_cross_entropy", loss__label_smoothing="0.995")),
        (),
        ("loss.label_smoothing",),
    ),
    Kind(
        "stopped_at_once",
        "A",
        regularized("early_stopping", patience="1", minimum_change="1.0"),
        ("still_improving",),
        ("regularizer",),
    ),
    Kind(
        "noise_on_inputs",
        "B",
        put(**{"data/augmentation": "[gaussian_noise]", "data__augmentation__gaussian_noise__std": "15"}),
        (),
        ("data/augmentation", "data.augmentation"),
    ),
    Kind(
        "one_component",
        "A",
        put(**{"data/preprocessing": "pca", "data__preprocessing__components": "1"}),
        (),
        ("data/preprocessing", "data.preprocessing"),
    ),
    Kind(
        "bottleneck", "A", put(architecture="mlp", architecture__widths="[32,1]"), ("underfitting",), ("architecture",)
    ),
    Kind("clip_value_tiny", "B", on("momentum", trainer__clip_value="1e-8"), (), ("trainer.clip_value",)),
    Kind("twelve_steps", "B", _short, ("still_improving",), ("trainer.epochs", "trainer.steps")),
    Kind("deep_sigmoid", "A", _deep, ("vanishing_gradients", "saturated_units"), ("activation", "architecture")),
    Kind("dropconnect_95", "B", regularized("dropconnect", p="0.95"), PENALTY, ("regularizer",)),
    Kind("rate_huge", "A", on("adam", optimizer__learning_rate="3"), ("learning_rate_too_high",), (RATE,)),
    Kind("rate_tiny", "B", on("sgd", optimizer__learning_rate="1e-6"), ("learning_rate_too_low",), (RATE,)),
    Kind("label_noise_60", "A", if_classes(put(data__label_noise="0.8")), ("labels_wrong",), ("data.label_noise",)),
    Kind("few_examples", "B", put(data__limit="14"), ("overfitting",), ("data.limit",)),
    # The data.
    Kind("class_absent", "A", if_classes(spoil("class_absent"), 3), ("class_missing",), repairable=False),
    Kind("shifted_validation", "B", spoil("shifted_validation"), SHIFT, repairable=False),
    Kind("unscaled_validation", "A", spoil("unscaled_validation"), SHIFT, repairable=False),
    Kind("column_differs", "B", spoil("column_differs"), SHIFT, repairable=False),
    Kind("columns_permuted", "A", spoil("columns_permuted"), SHIFT, repairable=False),
    Kind("sorted_split", "B", spoil("sorted_split"), (*SHIFT, "class_missing"), repairable=False),
    Kind("near_duplicates", "A", spoil("near_duplicates"), LEAK, repairable=False, spoils=False),
    Kind("pair_leak", "B", spoil("pair_leak"), LEAK, repairable=False, spoils=False),
    Kind(
        "xor_leak",
        "A",
        lambda v, d, data: spoil("xor_leak")(v, d, data) if data not in REGRESSION and data not in CLASSES else None,
        LEAK,
        repairable=False,
        spoils=False,
    ),
    Kind("copied_target", "B", spoil("copied_target"), LEAK, repairable=False, spoils=False),
    Kind("target_outliers", "A", if_numbers(spoil("target_outliers")), ("target_outliers",), repairable=False),
    Kind(
        "placeholder_targets",
        "B",
        if_numbers(spoil("placeholder_targets")),
        ("target_outliers", "placeholders"),
        repairable=False,
    ),
    Kind("placeholder_inputs", "A", spoil("placeholder_inputs"), ("placeholders",), repairable=False),
    Kind("wrong_labels", "B", if_classes(spoil("wrong_labels")), ("labels_wrong",), repairable=False),
    Kind("wrong_training_labels", "A", if_classes(spoil("wrong_training_labels")), ("labels_wrong",), repairable=False),
    Kind(
        "swapped_classes",
        "B",
        if_classes(spoil("swapped_classes"), 3),
        ("classes_mixed_up", "labels_wrong"),
        repairable=False,
    ),
    Kind("off_by_one", "A", spoil("off_by_one"), ("targets_unrelated", "targets_shifted"), repairable=False),
    Kind("labels_renamed", "B", if_classes(spoil("labels_renamed")), (*SHIFT, "classes_renamed"), repairable=False),
    Kind("inputs_lost", "A", spoil("inputs_lost"), ("inputs_lost", "placeholders"), repairable=False),
    # Components.
    Kind("relu_at_the_end", "A", network("relu_at_the_end"), ("output_layer_not_linear", *MECHANICS), NET),
    Kind(
        "softmax_at_the_end",
        "B",
        if_classes(network("softmax_at_the_end")),
        ("output_layer_not_linear", "doubled_output_layer", *MECHANICS),
        NET,
    ),
    Kind("tanh_at_the_end", "A", network("tanh_at_the_end"), ("output_layer_not_linear", *MECHANICS), NET),
    Kind("first_frozen", "B", network("first_frozen"), ("frozen_layers", *MECHANICS), NET),
    Kind("last_frozen", "A", network("last_frozen"), ("frozen_layers", *MECHANICS), NET),
    Kind("detached", "B", network("detached"), ("frozen_layers", *MECHANICS), NET),
    Kind("noisy", "A", network("noisy"), ("noise_in_evaluation", *MECHANICS), NET),
    Kind("mixing", "B", network("mixing"), ("examples_mixed", *MECHANICS), NET),
    Kind("scaled_down", "A", network("scaled_down"), ("vanishing_gradients", *MECHANICS), NET),
    Kind("rounded_inputs", "B", network("rounded"), MECHANICS, NET),
    Kind("inputs_cut_off", "A", network("half_of_the_inputs"), ("frozen_layers", "cut_off", *MECHANICS), NET),
    Kind("outputs_alike", "B", network("shared_output"), MECHANICS, NET),
    Kind("inputs_forgotten", "A", network("inputs_forgotten"), ("cut_off", *MECHANICS), NET),
    Kind("zeros", "B", own("initialization", "Zeros"), ("symmetric_units", *MECHANICS), ("initialization",)),
    Kind("faint", "A", own("initialization", "Faint"), ("vanishing_gradients", *MECHANICS), ("initialization",)),
    Kind("upside_down", "B", if_classes(own("loss", "UpsideDown")), ("loss_of_wrong_sign", *MECHANICS), ("loss",)),
    Kind(
        "next_label",
        "A",
        if_classes(own("loss", "NextLabel")),
        ("gradient_off", "loss_of_wrong_sign", *MECHANICS),
        ("loss",),
    ),
    Kind("absolute_output", "B", if_numbers(own("loss", "AbsoluteOutput")), ("gradient_off", *MECHANICS), ("loss",)),
    Kind("uphill", "A", own("optimizer", "Uphill"), ("loss_of_wrong_sign", *MECHANICS), ("optimizer",)),
    Kind("uncleared", "B", own("optimizer", "Uncleared"), ("gradients_not_cleared", *MECHANICS), ("optimizer",)),
    Kind("one_sign", "A", own("optimizer", "SignOfTen"), MECHANICS, ("optimizer",)),
    Kind(
        "sudden_end",
        "B",
        own("scheduler", "SuddenEnd"),
        ("learning_rate_decayed_too_early", *MECHANICS),
        ("scheduler",),
    ),
    Kind("clipped_activation", "A", own("activation", "Clipped"), ("vanishing_gradients", *MECHANICS), ("activation",)),
)
