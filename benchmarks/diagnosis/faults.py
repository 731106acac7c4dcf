"""The faults: how each kind is planted in a sound run, what names it, and what takes it out again."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

from benchmarks.diagnosis.backgrounds import CLASSES, DATA, RATES, REGRESSION, Values

Planter = Callable[[Values, random.Random, str], Values | None]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        kind: its name in the tables.
        plant: from the overrides of a sound run, a source of randomness and the data set's name to the overrides of a
            broken run; None where the fault cannot be had on this data set.
        causes: names of findings that name the planted cause.
        also: further names that say that something of this kind is wrong.
        undo: overrides of the same run without its fault, to know what it can reach.
        repairable: whether an override can mend it.
        harmful: whether the fault must spoil the score to count as planted.
    """

    kind: str
    plant: Planter
    causes: tuple[str, ...]
    also: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    repairable: bool = True
    harmful: bool = True


def _rate(values: Values, rate: float) -> Values:
    return values | {"optimizer.learning_rate": f"{rate:.6g}"}


def _oscillating(values: Values, draw: random.Random, data: str) -> Values:
    optimizer = draw.choice(["adam", "rmsprop", "adamw"])
    values |= {"optimizer": optimizer, "scheduler": "constant"}
    return _rate(values, RATES[optimizer] * draw.choice([100, 200, 300]))


def _diverging(values: Values, draw: random.Random, data: str) -> Values:
    optimizer = draw.choice(["sgd", "heavy_ball", "nesterov"])
    values |= {"optimizer": optimizer, "activation": draw.choice(["relu", "leaky_relu", "elu"])}
    return _rate(values | {"initialization": "he"}, RATES[optimizer] * draw.choice([300, 1000]))


def _low(values: Values, draw: random.Random, data: str) -> Values:
    return _rate(values, float(values["optimizer.learning_rate"]) * draw.choice([1e-3, 3e-4, 1e-4]))


def _early(values: Values, draw: random.Random, data: str) -> Values:
    values |= {"scheduler": "step", "scheduler.unit": "step", "scheduler.milestones": "[10]", "scheduler.decay": "1e-3"}
    return values | {"optimizer": draw.choice(["adam", "sgd", "momentum"])} | {"optimizer.learning_rate": "0.01"}


def _plain(values: Values) -> Values:
    """Without batch norm and dropout, which hide what is planted."""
    dropped = ("architecture.batch_norm", "regularizer", "regularizer.dropout.p")
    return {key: value for key, value in values.items() if key not in dropped}


def _deep(values: Values, depth: int) -> Values:
    return _plain(values) | {"architecture.widths": "[" + ",".join(["32"] * depth) + "]"}


def _vanishing(values: Values, draw: random.Random, data: str) -> Values:
    values |= {"optimizer": draw.choice(["sgd", "momentum"]), "optimizer.learning_rate": "0.1"}
    if draw.random() < 0.5:
        return _deep(values, 8) | {"activation": "sigmoid", "initialization": "xavier"}
    return _deep(values, 6) | {"activation": draw.choice(["tanh", "relu"]), "initialization": "gaussian"}


def _exploding(values: Values, draw: random.Random, data: str) -> Values:
    scale = draw.choice(["4", "6", "8"])
    return _deep(values, draw.choice([5, 6])) | {
        "activation": draw.choice(["relu", "leaky_relu", "elu"]),
        "initialization": "he",
        "initialization.scale": scale,
    }


def _dead(values: Values, draw: random.Random, data: str) -> Values:
    changes = {"activation": "relu", "initialization": "he", "initialization.bias": draw.choice(["-10", "-20"])}
    return _plain(values) | changes


def _saturated(values: Values, draw: random.Random, data: str) -> Values:
    values |= {"optimizer": draw.choice(["sgd", "momentum"]), "optimizer.learning_rate": "0.1"}
    return _deep(values, 4) | {
        "activation": draw.choice(["tanh", "sigmoid"]),
        "initialization": "gaussian",
        "initialization.std": draw.choice(["3", "5"]),
    }


def _symmetric(values: Values, draw: random.Random, data: str) -> Values:
    return _plain(values) | {"initialization": "constant", "initialization.value": draw.choice(["0.01", "0.1"])}


def source_of(values: Values) -> str:
    """The class of a run's data set."""
    if values["data"] == "generated":
        return "benchmarks.diagnosis.components.Generated"
    names = {"breast_cancer": "BreastCancer", "mnist": "MNIST"}
    return "nnlab.data." + names.get(values["data"], values["data"].capitalize())


def _altered(values: Values, data: str, change: str, noise: str = "0.0") -> Values:
    """Wrap the data set: its own options move under `data.source`."""
    own = {k: v for k, v in values.items() if k.startswith("data.") and k not in ("data.validation", "data.limit")}
    rest = {k: v for k, v in values.items() if k not in own}
    moved = {f"+data.source.{k.removeprefix('data.')}": v for k, v in own.items()}
    target = {"data.source._target_": source_of(values)}
    return rest | {"data": "altered", "data.change": change, "data.noise": noise} | target | moved


def _shuffled(values: Values, draw: random.Random, data: str) -> Values:
    return _altered(values, data, "shuffled")


def _frozen(values: Values, draw: random.Random, data: str) -> Values:
    return values | {"architecture": "frozen", "architecture.widths": "[32,32]"}


def _hockey(values: Values, draw: random.Random, data: str) -> Values:
    values = _plain(values) | {"architecture.widths": "[32]", "initialization.scale": draw.choice(["6", "8", "10"])}
    return values | {"activation": draw.choice(["relu", "leaky_relu", "elu"]), "initialization": "he"}


def _overfitting(values: Values, draw: random.Random, data: str) -> Values:
    limit = {"digits": "40", "mnist": "40"}.get(data, "30")
    values |= {"data.limit": limit, "trainer.batch_size": "16", "architecture.widths": "[64,64]"}
    values |= {"optimizer": "adam", "optimizer.learning_rate": "0.003", "trainer.steps": "1000"}
    values |= {"loss": "squared_error" if data in REGRESSION else "softmax_cross_entropy"}
    if data not in REGRESSION:
        values |= {"data.label_noise": "0.3"}
    return values | {"regularizer.weight_decay.strength": "0", "scheduler": "constant"}


def _underfitting(values: Values, draw: random.Random, data: str) -> Values | None:
    if data in (
        "blobs",
        "breast_cancer",
        "diabetes",
        "friedman",
        "linear",
        "clusters",
        "wine",
        "waves",
        "iris",
        "flips",
    ):
        return None  # where a linear fit is nearly as good as anything
    flat = ("moons", "spirals", "heteroscedastic", "circles", "shells", "board")
    if data in flat and draw.random() < 0.5:
        return {k: v for k, v in _plain(values).items() if k != "architecture.widths"} | {"architecture": "perceptron"}
    return _plain(values) | {"architecture.widths": "[1]", "activation": "tanh", "initialization": "xavier"}


def _decay(values: Values, draw: random.Random, data: str) -> Values:
    values.pop("architecture.batch_norm", None)  # which undoes the scale of the weights, and so their decay
    values |= {"optimizer": draw.choice(["sgd", "adam"])}
    values |= {"optimizer.learning_rate": str(RATES[values["optimizer"]])}
    return values | {"regularizer.weight_decay.strength": draw.choice(["1", "3"])}


def _short(values: Values, draw: random.Random, data: str) -> Values:
    values |= {"optimizer": draw.choice(["adam", "sgd", "heavy_ball"])}
    steps = int(values["trainer.steps"]) // 20
    values |= {"trainer.validate_unit": "step", "trainer.validate_every": str(max(1, steps // 10))}
    return _rate(values, RATES[values["optimizer"]] * 0.3) | {"trainer.steps": str(steps), "scheduler": "constant"}


def _few(values: Values, draw: random.Random, data: str) -> Values:
    counts = {
        "digits": 1438,
        "breast_cancer": 455,
        "diabetes": 354,
        "mnist": 60000,
        "wine": 142,
        "iris": 120,
        "linear": 352,
        "flips": 360,
    }
    count = counts.get(data, 2400 if data in ("hastie", "stripes") else 800)
    return values | {"data.validation": f"{draw.choice([9, 12, 15]) / count:.7f}"}


def _stale(values: Values, draw: random.Random, data: str) -> Values:
    return values | {"architecture": "slow_norm", "initialization.scale": "3"}


def _unscaled(values: Values, draw: random.Random, data: str) -> Values:
    factor, offset = draw.choice([("50", "100"), ("1", "30"), ("200", "0"), ("100", "300")])
    return values | {
        "data/preprocessing": "unscaled",
        "data.preprocessing.factor": factor,
        "data.preprocessing.offset": offset,
    }


def _raw_targets(values: Values, draw: random.Random, data: str) -> Values | None:
    if data not in ("diabetes", "linear"):
        return None
    return values | {"data.standardize_targets": "false", "loss": "squared_error"}


def _weights(values: Values, draw: random.Random, data: str) -> Values | None:
    if data in REGRESSION:
        return None
    weights = "[1" + ",0" * (CLASSES.get(data, 2) - 1) + "]"
    return values | {"loss": "softmax_cross_entropy", "loss.class_weights": weights}


def _imbalance(values: Values, draw: random.Random, data: str) -> Values | None:
    if data in REGRESSION or data in ("digits", "mnist", "breast_cancer", "wine", "iris", "board"):
        return None  # too few of some class, or (board) nothing left to find under the noise
    values |= {"loss": "softmax_cross_entropy", "data.examples": "3000"}
    if data == "blobs":
        values |= {"data.classes": "2", "data.features": "2"}
    return _altered(values, data, "imbalanced", "1.0")


def _duplicates(values: Values, draw: random.Random, data: str) -> Values | None:
    if data == "mnist":
        return None  # of whose duplicates `limit` leaves next to none in the training split
    return _altered(values, data, "duplicated")


def _target_column(values: Values, draw: random.Random, data: str) -> Values:
    return _altered(values, data, "target_column")


HIGH, LEAK = ("learning_rate_too_high",), ("leakage_between_splits", "target_among_inputs")
RATE, SCALE = ("optimizer.learning_rate={rate}",), ("initialization.scale=1",)
NORM = ("architecture=mlp", "architecture.batch_norm=true")

FAULTS = (
    Fault("rate_oscillating", _oscillating, HIGH, undo=RATE),
    Fault("rate_diverging", _diverging, HIGH, also=("loss_exploded",), undo=RATE),
    Fault("rate_too_low", _low, ("learning_rate_too_low",), undo=RATE),
    Fault("decayed_too_early", _early, ("learning_rate_decayed_too_early", "plateau"), undo=("scheduler=cosine",)),
    Fault("vanishing", _vanishing, ("vanishing_gradients",), undo=("activation=relu", "initialization=he")),
    Fault("exploding", _exploding, ("exploding_gradients",), undo=SCALE),
    Fault("dead", _dead, ("dead_units",), undo=("initialization.bias=0",)),
    Fault("saturated", _saturated, ("saturated_units",), undo=("initialization=xavier",)),
    Fault("symmetric", _symmetric, ("symmetric_units",), undo=("initialization=he",)),
    Fault("random_labels", _shuffled, ("targets_unrelated",), repairable=False, harmful=False),
    Fault("frozen", _frozen, ("frozen_layers",), undo=("architecture=mlp",)),
    Fault("hockey_stick", _hockey, ("hockey_stick_start",), undo=SCALE, harmful=False),
    Fault("overfitting", _overfitting, ("overfitting",), harmful=False),
    Fault("underfitting", _underfitting, ("underfitting",)),
    Fault(
        "decay_too_strong",
        _decay,
        ("penalty_too_strong",),
        also=("class_collapse", "underfitting"),
        undo=("regularizer.weight_decay.strength=0",),
    ),
    Fault(
        "too_short",
        _short,
        ("still_improving",),
        also=("learning_rate_too_low",),
        undo=("trainer.steps={steps}", *RATE),
    ),
    Fault("few_validation", _few, ("noisy_validation",), harmful=False),
    Fault("stale_norm", _stale, ("train_evaluation_mismatch",), undo=NORM),
    Fault(
        "unscaled_inputs",
        _unscaled,
        ("inputs_not_standardized",),
        undo=("data/preprocessing=standardize",),
        harmful=False,
    ),
    Fault(
        "raw_targets",
        _raw_targets,
        ("targets_not_standardized",),
        undo=("data.standardize_targets=true",),
        harmful=False,
    ),
    Fault("class_weights", _weights, ("class_collapse",), undo=("loss.class_weights=null",)),
    Fault("imbalance", _imbalance, ("imbalance_ignored",), harmful=False),
    Fault("duplicates", _duplicates, LEAK, repairable=False, harmful=False),
    Fault("target_column", _target_column, LEAK, repairable=False, harmful=False),
)


def undone(kind: str, data: str, optimizer: str) -> tuple[str, ...]:
    """The overrides that take a fault of this kind out again."""
    fault = next(fault for fault in FAULTS if fault.kind == kind)
    return tuple(line.format(rate=RATES.get(optimizer, 0.01), steps=DATA[data][1]) for line in fault.undo)
