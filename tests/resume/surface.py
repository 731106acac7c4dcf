"""Random sets of overrides: valid ones, which must train, and ones with one mistake, which must be refused."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.errors import UserError
from nnlab.training import Trainer
from nnlab.training.final import final_metrics

DATA = {
    "digits": "multiclass",
    "blobs": "multiclass",
    "spirals": "multiclass",
    "moons": "binary",
    "xor": "binary",
    "breast_cancer": "binary",
    "diabetes": "regression",
    "heteroscedastic": "regression",
}
LOSSES = {
    "multiclass": ("softmax_cross_entropy", "multiclass_svm", "squared_error"),
    "binary": ("binary_cross_entropy", "softmax_cross_entropy", "hinge", "multiclass_svm"),
    "regression": ("squared_error", "gaussian_nll"),
}
ACTIVATIONS = "elu gelu identity leaky_relu mish prelu relu selu sigmoid silu softplus tanh".split()
INITIALIZATIONS = "constant data_dependent gaussian he orthogonal pytorch xavier".split()
SECOND_ORDER = ("lbfgs", "bfgs", "newton")
FIRST_ORDER = "sgd momentum heavy_ball nesterov adagrad adadelta rmsprop adam adamw".split()
SCHEDULERS = "constant coslog cosine cyclic inverse_sqrt linear one_cycle step".split()
NOISE = ("dropout", "dropconnect")
MOVING = ("shift", "flip", "affine", "elastic")  # augmentation of images

rates = st.floats(1e-6, 1.0).map(lambda value: float(f"{value:.3g}"))
shares = st.floats(0.0, 0.95).map(lambda value: round(value, 3))

# Values by key of each option; each key is set now and then.
VALUES: dict[str, dict[str, SearchStrategy[object]]] = {
    "optimizer=momentum": {
        "optimizer.momentum": shares,
        "optimizer.average": st.sampled_from(["geometric", "arithmetic"]),
    },
    "optimizer=heavy_ball": {"optimizer.momentum": shares},
    "optimizer=nesterov": {"optimizer.momentum": shares},
    "optimizer=adadelta": {"optimizer.rho": shares},
    "optimizer=rmsprop": {"optimizer.gamma": shares, "optimizer.eps_inside": st.booleans()},
    "optimizer=adam": {"optimizer.betas": st.tuples(shares, shares).map(list)},
    "optimizer=adamw": {"optimizer.weight_decay": shares},
    "optimizer=lbfgs": {"optimizer.memory": st.integers(1, 5), "optimizer.iterations": st.integers(1, 3)},
    "optimizer=bfgs": {"optimizer.line_search": st.sampled_from(["none", "strong_wolfe"])},
    "optimizer=newton": {"optimizer.damping": shares},
    "scheduler=cosine": {"scheduler.minimum": shares},
    "scheduler=one_cycle": {
        "scheduler.rise": shares.filter(lambda rise: rise > 0),
        "scheduler.shape": st.sampled_from(["cosine", "linear"]),
    },
    "scheduler=step": {"scheduler.milestones": st.sampled_from(["[1]", "[1,2]", "[]"]), "scheduler.decay": rates},
    "dropout": {
        "regularizer.dropout.p": shares,
        "regularizer.dropout.input_p": shares,
        "regularizer.dropout.scaling": st.sampled_from(["train", "test"]),
        "regularizer.dropout.inference": st.sampled_from(["scale", "monte_carlo"]),
        "regularizer.dropout.samples": st.integers(1, 3),
    },
    "dropconnect": {
        "regularizer.dropconnect.p": shares,
        "regularizer.dropconnect.per": st.sampled_from(["batch", "example"]),
        "regularizer.dropconnect.inference": st.sampled_from(["mean", "gaussian"]),
        "regularizer.dropconnect.samples": st.integers(1, 3),
    },
    "max_norm": {"regularizer.max_norm.max_norm": rates},
    "l1": {"regularizer.l1.strength": shares},
    "weight_decay": {"regularizer.weight_decay.strength": shares, "regularizer.weight_decay.decoupled": st.booleans()},
    "early_stopping": {
        "regularizer.early_stopping.patience": st.integers(1, 3),
        "regularizer.early_stopping.monitor": st.sampled_from(["loss", "metric"]),
    },
    "ensemble": {
        "regularizer.ensemble.members": st.integers(1, 3),
        "regularizer.ensemble.share_batches": st.booleans(),
    },
    "any": {
        "seed": st.integers(0, 2**31),
        "initialization.scale": rates,
        "initialization.bias": shares,
        "trainer.batch_size": st.sampled_from([1, 2, 7, 16, "full"]),
        "trainer.precision": st.sampled_from(["float32", "float64"]),
        "trainer.clip_norm": rates,
        "trainer.clip_value": rates,
        "trainer.accumulate": st.integers(1, 3),
        "trainer.validate_every": st.integers(1, 3),
        "trainer.validate_unit": st.sampled_from(["epoch", "step"]),
        "trainer.on_nonfinite": st.sampled_from(["stop", "skip", "restore"]),
        "trainer.time_limit": st.floats(0.001, 1e6).map(lambda value: round(value, 3)),
        "data.label_noise": shares.map(lambda value: round(value / 2, 3)),
        "data.validation": st.floats(0.1, 0.3).map(lambda value: round(value, 2)),
        "data/preprocessing": st.sampled_from(
            ["none", "standardize", "whiten", "robust", "quantile", "piecewise_linear"]
        ),
        "callbacks.statistics.every": st.integers(1, 3),
    },
}


@st.composite
def valid(draw: DrawFn) -> list[str]:
    """Overrides that must train."""
    data = draw(st.sampled_from(sorted(DATA)))
    optimizer = draw(st.sampled_from([*FIRST_ORDER, *FIRST_ORDER, *SECOND_ORDER]))
    alone = optimizer in SECOND_ORDER
    scheduler = draw(st.sampled_from(SCHEDULERS))
    loss = draw(st.sampled_from(LOSSES[DATA[data]]))
    found = [f"data={data}", f"loss={loss}", f"optimizer={optimizer}", f"scheduler={scheduler}"]
    found += [f"activation={draw(st.sampled_from(ACTIVATIONS))}"]
    found += [f"initialization={draw(st.sampled_from(INITIALIZATIONS))}", *_architecture(draw, data)]
    options = ["weight_decay", "l1", "max_norm", "early_stopping", *NOISE[: None if not alone else 0]]
    options += ["ensemble"] * (not alone) + ["snapshot_ensemble"] * (scheduler == "cyclic")
    chosen = draw(st.lists(st.sampled_from(options), unique=True, max_size=3))
    found += [f"regularizer=[{','.join(chosen)}]", *_augmentation(draw, data, alone)]
    found += ["trainer.epochs=null", "trainer.steps=2", "trainer.device=cpu", "callbacks=[statistics]"]
    found += [] if data == "xor" else ["data.limit=60"]
    if "trainer.precision" not in found and draw(st.booleans()):
        found.append(f"optimizer.learning_rate={draw(rates)}")
    for key, strategy in _known(optimizer, scheduler, chosen).items():
        if draw(st.integers(0, 3)) == 0 and not (data == "xor" and key in ("data.validation", "data.label_noise")):
            found.append(f"{key}={_written(draw(strategy))}")
    return _compatible(found, data)


def _known(optimizer: str, scheduler: str, regularizers: list[str]) -> dict[str, SearchStrategy[object]]:
    sections = (f"optimizer={optimizer}", f"scheduler={scheduler}", *regularizers, "any")
    return {key: strategy for name in sections for key, strategy in VALUES.get(name, {}).items()}


def _architecture(draw: DrawFn, data: str) -> list[str]:
    kinds = ["mlp", "mlp", "perceptron", *(["convnet"] if data == "digits" else [])]
    kind = draw(st.sampled_from(kinds))
    if kind == "mlp":
        widths = draw(st.lists(st.integers(1, 9), max_size=3))
        return ["architecture=mlp", f"architecture.widths={widths}".replace(" ", "")]
    if kind == "convnet":
        return ["architecture=convnet", "architecture.channels=[2,3]", "architecture.hidden=4"]
    return [f"architecture={kind}"]


def _augmentation(draw: DrawFn, data: str, alone: bool) -> list[str]:
    if alone:
        return []
    options = ["gaussian_noise", *(MOVING if data == "digits" else ())]
    chosen = draw(st.lists(st.sampled_from(options), unique=True, max_size=2))
    return [f"data/augmentation=[{','.join(chosen)}]"] if chosen else []


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(" ", "")


def _compatible(found: list[str], data: str) -> list[str]:
    """Without what only makes sense together with something else."""
    if DATA[data] == "regression":
        found = [each for each in found if not each.startswith("data.label_noise")]
    augmentation = next((each for each in found if each.startswith("data/augmentation=")), "")
    if "architecture=convnet" in found or any(name in augmentation for name in MOVING):  # whitened images are vectors
        vectors = ("data/preprocessing=whiten", "data/preprocessing=piecewise_linear")
        found = [each for each in found if each not in vectors]
    if "data=xor" in found:  # four examples
        found = [each for each in found if each not in ("trainer.batch_size=7", "trainer.batch_size=16")]
        found += [] if any(each.startswith("trainer.batch_size") for each in found) else ["trainer.batch_size=full"]
    return found


@dataclass(frozen=True)
class Mistake:
    """A mistake, and a word that the sentence about it has to contain."""

    override: str
    word: str


KEYS = st.sampled_from(
    ["trainer.epoch", "trainer.batchsize", "sed", "optimizer.learning_rat", "data.limits", "optimiser", "name.x", "foo"]
)
OUTSIDE = {
    "optimizer.learning_rate": st.floats(-10, 0),
    "trainer.batch_size": st.integers(-5, 0),
    "trainer.steps": st.integers(-5, 0),
    "trainer.accumulate": st.integers(-5, 0),
    "trainer.validate_every": st.integers(-5, 0),
    "trainer.clip_norm": st.floats(-10, 0),
    "trainer.threads": st.integers(-5, 0),
    "trainer.time_limit": st.floats(-10, 0),
    "data.limit": st.integers(-5, 0),
    "data.label_noise": st.floats(1.01, 9),
    "data.validation": st.floats(1.01, 9),
    "initialization.scale": st.floats(-10, -0.01),
    "callbacks.statistics.every": st.integers(-5, 0),
    "callbacks.checkpoint.seconds": st.floats(-10, -0.01),
    "scheduler.warmup": st.floats(-10, -0.01),
}
TYPED = (
    *("seed", "trainer.batch_size", "trainer.steps", "trainer.accumulate", "trainer.clip_norm", "data.limit"),
    *("optimizer.learning_rate", "trainer.validate_every", "data.label_noise", "initialization.bias"),
    *("trainer.deterministic", "trainer.epochs", "trainer.time_limit", "callbacks.statistics.every"),
)
GROUPS = "data loss optimizer scheduler activation initialization architecture regularizer callbacks".split()
CHOICES = (
    *("trainer.precision", "trainer.on_nonfinite", "trainer.validate_unit", "scheduler.unit"),
    *("trainer.device", "initialization.distribution"),
)


@st.composite
def mistakes(draw: DrawFn) -> Mistake:
    """One mistake: an unknown key, a value out of range or of a wrong type, an unknown option."""
    kind = draw(st.sampled_from(["key", "added key", "range", "type", "option", "choice", "syntax"]))
    word = draw(st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=8)) + "q"
    if kind in ("key", "added key"):
        key = draw(KEYS)
        return Mistake(f"{'+' if kind == 'added key' else ''}{key}={draw(st.integers(0, 9))}", key.split(".")[0][:3])
    if kind == "range":
        key = draw(st.sampled_from(sorted(OUTSIDE)))
        value = draw(OUTSIDE[key])
        return Mistake(f"{key}={value}", key.split(".")[-1])
    if kind == "type":
        key = draw(st.sampled_from(TYPED))
        return Mistake(
            f"{key}={draw(st.sampled_from([word, f'[{word}]', f'{{{word}:1}}', '[1,2]']))}", key.split(".")[-1]
        )
    if kind == "option":
        group = draw(st.sampled_from(GROUPS))
        return Mistake(f"{group}={f'[{word}]' if group in ('regularizer', 'callbacks') else word}", group)
    if kind == "choice":
        key = draw(st.sampled_from(CHOICES))
        return Mistake(f"{key}={word}", key.split(".")[-1])
    return Mistake(draw(st.sampled_from([f"{word}", f"={word}", "trainer.steps=[1", "seed={", "trainer..steps=1"])), "")


def train(overrides: list[str]) -> Trainer:
    """Two steps with these overrides."""
    return build_trainer([compose(*overrides)]).fit()


def check_valid(overrides: list[str]) -> None:
    """Two steps end as they should.

    Raises:
        AssertionError: they do not.
    """
    trainer = train(overrides)
    assert set(trainer.statuses) <= {"completed", "diverged"}
    limited = any(each.startswith("trainer.time_limit") for each in overrides)
    for step, status, reason in ((each.ended_at, each.status, each.reason) for each in trainer.outcomes):
        assert status == "diverged" or step == 2 or limited or "early stopping" in reason
    for metrics in final_metrics(trainer, range(len(trainer.members)))[0].values():
        assert set(trainer.metric_names()) <= set(metrics)
        assert all(isinstance(value, float) and not math.isnan(value) for value in metrics.values()) or (
            "diverged" in trainer.statuses
        )


def check_refused(mistake: Mistake) -> None:
    """The mistake is answered with one sentence that names it.

    Raises:
        AssertionError: it is not.
    """
    base = ["trainer.epochs=null", "trainer.steps=2"] if "epochs" not in mistake.override else []
    try:
        build_trainer([compose(*base, mistake.override)])
    except UserError as error:
        lines = str(error).splitlines()
        assert len(lines) == 1, lines
        assert mistake.word in lines[0], lines
        return
    raise AssertionError(f"`{mistake.override}` was not refused")
