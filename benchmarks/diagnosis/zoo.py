"""The zoo: training runs with one planted fault each, and healthy ones, as lists of ordinary overrides."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence

TUNING = ("digits", "moons", "blobs", "heteroscedastic")
HELD_OUT = ("breast_cancer", "spirals", "diabetes", "mnist", "circles", "friedman")
REGRESSION = ("heteroscedastic", "diabetes", "friedman")
GROUP = 3  # runs that differ in their seed only

# Overrides of each data set, its steps, and the last validation score (accuracy or r2) from which a run is healthy.
DATA: dict[str, tuple[list[str], int, float]] = {
    "digits": (["data=digits"], 400, 0.93),
    "moons": (["data=moons", "data.noise=0.15"], 1000, 0.94),
    "blobs": (["data=blobs", "data.noise=0.1", "data.features=5", "data.classes=4"], 400, 0.94),
    "heteroscedastic": (["data=heteroscedastic", "data.noise=0.3"], 500, 0.85),
    "breast_cancer": (["data=breast_cancer"], 400, 0.92),
    "spirals": (["data=spirals", "data.noise=0.02"], 1500, 0.94),
    "diabetes": (["data=diabetes"], 300, 0.30),
    "circles": (["data=generated", "data.kind=circles"], 600, 0.95),
    "friedman": (["data=generated", "data.kind=friedman"], 600, 0.80),
    "mnist": (["data=mnist", "data.limit=2000", "trainer.validate_every=2"], 500, 0.87),
}

# Learning rates that suit these small networks.
RATES = {
    "adam": 0.003,
    "adamw": 0.003,
    "sgd": 0.1,
    "momentum": 0.2,
    "nesterov": 0.02,
    "heavy_ball": 0.02,
    "rmsprop": 0.002,
    "adagrad": 0.03,
}
ADAPTIVE = ("adam", "adamw", "rmsprop", "adagrad")


@dataclasses.dataclass(frozen=True)
class Case:
    """One run of the zoo.

    Attributes:
        kind: the planted fault, or `healthy`.
        data: the data set, a key of `DATA`.
        overrides: the run's overrides by key.
        causes: names of findings that name the planted cause.
        detected: names that say that something of this kind is wrong (the cause, or its direct symptom).
        repairable: whether an override can mend it.
        harmful: whether the fault must spoil the result to count as planted.
    """

    kind: str
    data: str
    overrides: tuple[str, ...]
    causes: tuple[str, ...] = ()
    detected: tuple[str, ...] = ()
    repairable: bool = False
    harmful: bool = False


@dataclasses.dataclass(frozen=True)
class Fault:
    """How a kind of fault is planted: see `Case`; `plant` gives the overrides, None where it does not apply."""

    kind: str
    causes: tuple[str, ...]
    repairable: bool = True
    harmful: bool = True
    also: tuple[str, ...] = ()


def background(draw: random.Random, data: str, healthy: bool = False) -> dict[str, str]:
    """Overrides of a sound run on a data set: architecture, activation, loss, optimizer and schedule at random."""
    overrides, steps, _ = DATA[data]
    values = dict(o.split("=", 1) for o in overrides)
    small = data == "diabetes"
    optimizer = draw.choice(list(RATES) if not small else ["adam", "sgd", "momentum", "rmsprop"])
    activation = draw.choice(["relu", "tanh", "elu", "leaky_relu", "prelu", "silu"])
    widths = draw.choice(["[32]", "[32,32]", "[64]", "[32,32,32]"])
    widths = {"spirals": "[64,64]", "moons": draw.choice(["[32]", "[32,32]"]), "diabetes": "[8]"}.get(data, widths)
    rate = RATES[optimizer] * (0.3 if small else 1.0)
    values |= {
        "data.validation": "0.25" if data != "mnist" else "0.02",
        "architecture.widths": widths,
        "activation": activation,
        "initialization": "xavier" if activation == "tanh" else "he",
        "optimizer": optimizer,
        "optimizer.learning_rate": str(rate),
        "scheduler": draw.choice(["constant", "cosine"]),
        "loss": loss_of(draw, data),
        "trainer.epochs": "null",
        "trainer.steps": str(steps),
        "callbacks": "[statistics]",
        "seed": str(draw.randrange(10**6)),
    }
    extra = draw.random()
    if extra < 0.15:
        values["architecture.batch_norm"] = "true"
    elif extra < 0.3 and data in ("digits", "mnist", "breast_cancer"):
        values |= {"regularizer": "[weight_decay,dropout]", "regularizer.dropout.p": "0.2"}
    elif healthy and extra < 0.45 and data in ("blobs", "breast_cancer"):
        values |= {"architecture": "perceptron"}
    elif healthy and extra < 0.36 and data == "digits":
        values |= {"architecture": "convnet", "architecture.channels": "[4,8]", "architecture.hidden": "32"}
    if values.get("architecture") in ("perceptron", "convnet"):
        del values["architecture.widths"]
    if small:
        values["regularizer.weight_decay.strength"] = "0.03"
    return values


def loss_of(draw: random.Random, data: str) -> str:
    """A loss that fits the data set's task."""
    if data in REGRESSION:
        return draw.choice(["squared_error", "squared_error", "gaussian_nll"])
    if data in ("moons", "breast_cancer", "circles"):
        return draw.choice(["softmax_cross_entropy", "binary_cross_entropy", "hinge"])
    return draw.choice(["softmax_cross_entropy", "softmax_cross_entropy", "multiclass_svm", "squared_error"])


HIGH = ("learning_rate_too_high",)
FAULTS = (
    Fault("rate_oscillating", HIGH),
    Fault("rate_diverging", HIGH, also=("loss_exploded",)),
    Fault("rate_too_low", ("learning_rate_too_low",)),
    Fault("decayed_too_early", ("learning_rate_decayed_too_early", "plateau")),
    Fault("vanishing", ("vanishing_gradients",)),
    Fault("exploding", ("exploding_gradients",)),
    Fault("dead", ("dead_units",)),
    Fault("saturated", ("saturated_units",)),
    Fault("symmetric", ("symmetric_units",)),
    Fault("random_labels", ("no_learning",), repairable=False, harmful=False),
    Fault("frozen", ("frozen_layers",)),
    Fault("hockey_stick", ("hockey_stick_start",), harmful=False),
    Fault("overfitting", ("overfitting",), harmful=False),
    Fault("underfitting", ("underfitting",)),
    Fault("decay_too_strong", ("penalty_too_strong",), also=("class_collapse", "underfitting")),
    Fault("too_short", ("still_improving",), also=("learning_rate_too_low",)),
    Fault("few_validation", ("noisy_validation",), harmful=False),
    Fault("stale_norm", ("train_evaluation_mismatch",)),
    Fault("unscaled_inputs", ("inputs_not_normalised",), harmful=False),
    Fault("raw_targets", ("targets_not_standardised",), harmful=False),
    Fault("class_weights", ("class_collapse",)),
    Fault("imbalance", ("imbalance_ignored",), harmful=False),
    Fault("duplicates", ("leakage_suspected",), repairable=False, harmful=False),
    Fault("target_column", ("leakage_suspected",), repairable=False, harmful=False),
)


def plant(kind: str, draw: random.Random, data: str) -> dict[str, str] | None:
    """The overrides of a run with a fault of `kind`, or None where it cannot be had on this data set."""
    values = background(draw, data)
    rate = float(values["optimizer.learning_rate"])
    adaptive = values["optimizer"] in ADAPTIVE
    return PLANTERS[kind](values, draw, data, rate, adaptive)


def _set(**changes: str) -> dict[str, str]:
    return {key.replace("__", "."): value for key, value in changes.items()}


def _rate(values: dict[str, str], rate: float) -> dict[str, str]:
    return values | {"optimizer.learning_rate": f"{rate:.6g}"}


def _oscillating(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    optimizer = draw.choice(["adam", "rmsprop", "adamw"])
    values |= {"optimizer": optimizer, "scheduler": "constant"}
    return _rate(values, RATES[optimizer] * draw.choice([100, 200, 300]))


def _diverging(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    optimizer = draw.choice(["sgd", "heavy_ball", "nesterov"])
    values |= {"optimizer": optimizer, "activation": draw.choice(["relu", "leaky_relu", "elu"])}
    return _rate(values | {"initialization": "he"}, RATES[optimizer] * draw.choice([300, 1000]))


def _plain(values):  # type: ignore[no-untyped-def]
    """Without batch norm and dropout, which hide what is planted."""
    dropped = ("architecture.batch_norm", "regularizer", "regularizer.dropout.p")
    return {key: value for key, value in values.items() if key not in dropped}


def _deep(values, depth, width="32"):  # type: ignore[no-untyped-def]
    return _plain(values) | {"architecture.widths": "[" + ",".join([width] * depth) + "]"}


def _vanishing(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    values |= {"optimizer": draw.choice(["sgd", "momentum"]), "optimizer.learning_rate": "0.1"}
    if draw.random() < 0.5:
        return _deep(values, 8) | {"activation": "sigmoid", "initialization": "xavier"}
    return _deep(values, 6) | {"activation": draw.choice(["tanh", "relu"]), "initialization": "gaussian"}


def _exploding(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    scale = draw.choice(["4", "6", "8"])
    return _deep(values, draw.choice([5, 6])) | {
        "activation": draw.choice(["relu", "leaky_relu", "elu"]),
        "initialization": "he",
        "initialization.scale": scale,
    }


def _dead(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    return _plain(values) | {
        "activation": "relu",
        "initialization": "he",
        "initialization.bias": draw.choice(["-10", "-20"]),
    }


def _saturated(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    values |= {"optimizer": draw.choice(["sgd", "momentum"]), "optimizer.learning_rate": "0.1"}
    return _deep(values, 4) | {
        "activation": draw.choice(["tanh", "sigmoid"]),
        "initialization": "gaussian",
        "initialization.std": draw.choice(["3", "5"]),
    }


def _symmetric(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    return _plain(values) | {"initialization": "constant", "initialization.value": draw.choice(["0.01", "0.1"])}


def _altered(values, data, change, noise="0.0"):  # type: ignore[no-untyped-def]
    """Wrap the data set: its own options move under `data.source`."""
    names = {"breast_cancer": "BreastCancer", "mnist": "MNIST"}
    own = {k: v for k, v in values.items() if k.startswith("data.") and k not in ("data.validation", "data.limit")}
    rest = {k: v for k, v in values.items() if k not in own}
    moved = {f"+data.source.{k.removeprefix('data.')}": v for k, v in own.items()}
    source = "nnlab.data." + names.get(data, data.capitalize())
    if values["data"] == "generated":
        source = "benchmarks.diagnosis.components.Generated"
    target = {"data.source._target_": source}
    return rest | {"data": "altered", "data.change": change, "data.noise": noise} | target | moved


def _shuffled(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    return _altered(values, data, "shuffled")


def _frozen(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    return values | {"architecture": "frozen", "architecture.widths": "[32,32]"}


def _hockey(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    values = _plain(values) | {"architecture.widths": "[32]", "initialization.scale": draw.choice(["6", "8", "10"])}
    return values | {"activation": draw.choice(["relu", "leaky_relu", "elu"]), "initialization": "he"}


def _overfitting(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    limit = {"digits": "40", "mnist": "40"}.get(data, "30")
    values |= {"data.limit": limit, "trainer.batch_size": "16", "architecture.widths": "[64,64]"}
    values |= {"optimizer": "adam", "optimizer.learning_rate": "0.003", "trainer.steps": "1000"}
    values |= {"loss": "squared_error" if data in REGRESSION else "softmax_cross_entropy"}
    if data not in REGRESSION:
        values |= {"data.label_noise": "0.3"}
    return values | {"regularizer.weight_decay.strength": "0", "scheduler": "constant"}


def _underfitting(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    if data in ("blobs", "breast_cancer", "diabetes", "friedman"):
        return None
    if data in ("moons", "spirals", "heteroscedastic", "circles") and draw.random() < 0.5:
        return {k: v for k, v in _plain(values).items() if k != "architecture.widths"} | {"architecture": "perceptron"}
    return _plain(values) | {"architecture.widths": "[1]", "activation": "tanh", "initialization": "xavier"}


def _decay(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    values.pop("architecture.batch_norm", None)  # which undoes the scale of the weights, and so their decay
    values |= {"optimizer": draw.choice(["sgd", "adam"])}
    values |= {"optimizer.learning_rate": str(RATES[values["optimizer"]])}
    return values | {"regularizer.weight_decay.strength": draw.choice(["1", "3"])}


def _short(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    values |= {"optimizer": draw.choice(["adam", "sgd", "heavy_ball"])}
    steps = int(values["trainer.steps"]) // 20
    values |= {"trainer.validate_unit": "step", "trainer.validate_every": str(max(1, steps // 10))}
    factor = 0.3
    return _rate(values, RATES[values["optimizer"]] * factor) | {"trainer.steps": str(steps), "scheduler": "constant"}


def _low(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    return _rate(values, rate * draw.choice([1e-3, 3e-4, 1e-4]))


def _early(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    values |= {"scheduler": "step", "scheduler.unit": "step", "scheduler.milestones": "[10]", "scheduler.decay": "1e-3"}
    return values | {"optimizer": draw.choice(["adam", "sgd", "momentum"])} | {"optimizer.learning_rate": "0.01"}


def _few(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    count = {"digits": 1438, "breast_cancer": 455, "diabetes": 354, "mnist": 60000}.get(data, 800)
    return values | {"data.validation": f"{draw.choice([9, 12, 15]) / count:.7f}"}


def _stale(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    return values | {"architecture": "slow_norm", "initialization.scale": "3"}


def _unscaled(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    factor, offset = draw.choice([("50", "100"), ("1", "30"), ("200", "0"), ("100", "300")])
    return values | {
        "data/preprocessing": "unscaled",
        "data.preprocessing.factor": factor,
        "data.preprocessing.offset": offset,
    }


def _raw_targets(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    if data != "diabetes":
        return None
    return values | {"data.standardize_targets": "false", "loss": "squared_error"}


def _weights(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    if data in REGRESSION:
        return None
    classes = {"digits": 10, "mnist": 10, "blobs": 4, "spirals": 3}.get(data, 2)
    weights = "[1" + ",0" * (classes - 1) + "]"
    return values | {"loss": "softmax_cross_entropy", "loss.class_weights": weights}


def _imbalance(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    if data in REGRESSION or data in ("digits", "mnist"):
        return None
    values |= {"loss": "softmax_cross_entropy"}
    if data in ("moons", "spirals", "circles"):
        values |= {"data.examples": "3000"}
    elif data == "blobs":
        values |= {"data.examples": "3000", "data.classes": "2", "data.features": "2"}
    if data == "breast_cancer":
        return None
    return _altered(values, data, "imbalanced", "1.0")


def _duplicates(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    if data == "mnist":
        return None  # of whose duplicates `limit` leaves next to none in the training split
    return _altered(values, data, "duplicated")


def _target_column(values, draw, data, rate, adaptive):  # type: ignore[no-untyped-def]
    return _altered(values, data, "target_column")


PLANTERS = {
    "rate_oscillating": _oscillating,
    "rate_diverging": _diverging,
    "rate_too_low": _low,
    "decayed_too_early": _early,
    "vanishing": _vanishing,
    "exploding": _exploding,
    "dead": _dead,
    "saturated": _saturated,
    "symmetric": _symmetric,
    "random_labels": _shuffled,
    "frozen": _frozen,
    "hockey_stick": _hockey,
    "overfitting": _overfitting,
    "underfitting": _underfitting,
    "decay_too_strong": _decay,
    "too_short": _short,
    "few_validation": _few,
    "stale_norm": _stale,
    "unscaled_inputs": _unscaled,
    "raw_targets": _raw_targets,
    "class_weights": _weights,
    "imbalance": _imbalance,
    "duplicates": _duplicates,
    "target_column": _target_column,
}


def cases(datasets: Sequence[str], seed: int, each: int, healthy: int) -> Iterator[Case]:
    """`each` runs of every fault on every data set where it applies, and `healthy` healthy ones on each data set.

    Runs come in groups of `GROUP` that differ in nothing but their seed, so that they train as one population.
    """
    for data in datasets:
        for fault in FAULTS:
            for number in range(each):
                values = plant(fault.kind, _draw(seed, data, fault.kind, number), data)
                if values is not None:
                    names = (fault.causes, fault.causes + fault.also, fault.repairable, fault.harmful)
                    yield Case(fault.kind, data, _seeded(values, seed, number), *names)
        for number in range(healthy):
            values = background(_draw(seed, data, "healthy", number), data, healthy=True)
            yield Case("healthy", data, _seeded(values, seed, number))


def _draw(seed: int, data: str, kind: str, number: int) -> random.Random:
    return random.Random(f"{seed}/{data}/{kind}/{number // GROUP}")


def _seeded(values: dict[str, str], seed: int, number: int) -> tuple[str, ...]:
    return as_overrides(values | {"seed": str(1000 * seed + number)})


def clean(case: Case) -> tuple[str, ...]:
    """The same run without its fault, to know what it can reach: later overrides replace earlier ones."""
    values = dict(override.split("=", 1) for override in case.overrides)
    rate = f"optimizer.learning_rate={RATES.get(values['optimizer'], 0.01)}"
    steps = f"trainer.steps={DATA[case.data][1]}"
    fixes: dict[str, tuple[str, ...]] = {
        "rate_oscillating": (rate,),
        "rate_diverging": (rate,),
        "rate_too_low": (rate,),
        "decayed_too_early": ("scheduler=cosine",),
        "too_short": (steps, rate),
        "vanishing": ("activation=relu", "initialization=he"),
        "exploding": ("initialization.scale=1",),
        "hockey_stick": ("initialization.scale=1",),
        "dead": ("initialization.bias=0",),
        "saturated": ("initialization=xavier",),
        "symmetric": ("initialization=he",),
        "frozen": ("architecture=mlp",),
        "stale_norm": ("architecture=mlp", "architecture.batch_norm=true"),
        "decay_too_strong": ("regularizer.weight_decay.strength=0",),
        "unscaled_inputs": ("data/preprocessing=standardize",),
        "raw_targets": ("data.standardize_targets=true",),
        "class_weights": ("loss.class_weights=null",),
    }
    return (*case.overrides, *fixes.get(case.kind, ()))


def as_overrides(values: dict[str, str]) -> tuple[str, ...]:
    """Overrides by key as a list."""
    return tuple(f"{key}={value}" for key, value in values.items())
