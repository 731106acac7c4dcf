"""Sound runs to plant faults in: data sets with the score from which a run is healthy, and random configurations."""

from __future__ import annotations

import random

TUNING = (
    "digits",
    "moons",
    "blobs",
    "heteroscedastic",
    "shells",
    "board",
    "clusters",
    "waves",
    "linear",
    "stripes",
    "flips",
)
HELD_OUT = ("breast_cancer", "spirals", "diabetes", "mnist", "wine", "curve", "hastie", "iris", "swiss")
REGRESSION = (
    "heteroscedastic",
    "diabetes",
    "friedman",
    "waves",
    "linear",
    "curve",
    "swiss",
    "engine",
    "harvest",
    "reactor",
)
BINARY = ("moons", "breast_cancer", "circles", "board", "hastie", "stripes", "flips", "loans")
NOISY = ("diabetes", "linear", "flips")  # where small networks with some weight decay are sound

# Overrides of each data set, its steps, and the last validation score (accuracy or r2) from which a run is healthy:
# what nearly all of the healthy backgrounds reach.
DATA: dict[str, tuple[list[str], int, float]] = {
    "digits": (["data=digits"], 400, 0.93),
    "moons": (["data=moons", "data.noise=0.15"], 1000, 0.94),
    "blobs": (["data=blobs", "data.noise=0.1", "data.features=5", "data.classes=4"], 400, 0.94),
    "heteroscedastic": (["data=heteroscedastic", "data.noise=0.3"], 500, 0.85),
    "shells": (["data=generated", "data.kind=shells"], 800, 0.87),
    "board": (["data=generated", "data.kind=board"], 1500, 0.90),
    "clusters": (["data=generated", "data.kind=clusters"], 600, 0.88),
    "waves": (["data=generated", "data.kind=waves"], 800, 0.80),
    "linear": (["data=generated", "data.kind=linear", "data.examples=440"], 300, 0.50),
    "breast_cancer": (["data=breast_cancer"], 400, 0.92),
    "spirals": (["data=spirals", "data.noise=0.02"], 1500, 0.94),
    "diabetes": (["data=diabetes"], 300, 0.30),
    "circles": (["data=generated", "data.kind=circles"], 600, 0.95),
    "friedman": (["data=generated", "data.kind=friedman"], 600, 0.80),
    "mnist": (["data=mnist", "data.limit=2000", "trainer.validate_every=2"], 500, 0.87),
    "wine": (["data=generated", "data.kind=wine", "data.examples=178"], 300, 0.90),
    "curve": (["data=generated", "data.kind=curve"], 600, 0.80),
    "stripes": (["data=generated", "data.kind=stripes", "data.examples=3000"], 1200, 0.84),
    "flips": (["data=generated", "data.kind=flips", "data.examples=450"], 300, 0.82),
    "iris": (["data=generated", "data.kind=iris", "data.examples=150"], 300, 0.86),
    "swiss": (["data=generated", "data.kind=swiss"], 800, 0.85),
    "mixed": (["data=generated", "data.kind=mixed"], 800, 0.80),
    "engine": (["data=generated", "data.kind=engine"], 600, 0.80),
    "letters": (["data=generated", "data.kind=letters", "data.examples=1500"], 800, 0.85),
    "loans": (["data=generated", "data.kind=loans"], 600, 0.80),
    "rooms": (["data=generated", "data.kind=rooms"], 600, 0.80),
    "harvest": (["data=generated", "data.kind=harvest"], 800, 0.75),
    "reactor": (["data=generated", "data.kind=reactor"], 800, 0.85),
    "hastie": (["data=generated", "data.kind=hastie", "data.examples=3000"], 800, 0.85),
}
CLASSES = {
    "digits": 10,
    "mnist": 10,
    "blobs": 4,
    "spirals": 3,
    "shells": 3,
    "clusters": 4,
    "wine": 3,
    "iris": 3,
    "mixed": 3,
    "letters": 6,
    "rooms": 4,
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

Values = dict[str, str]


def background(draw: random.Random, data: str, healthy: bool = False) -> Values:
    """Overrides of a sound run on a data set: architecture, activation, loss, optimizer and schedule at random."""
    overrides, steps, _ = DATA[data]
    values = dict(o.split("=", 1) for o in overrides)
    small = data in NOISY
    optimizer = draw.choice(list(RATES) if not small else ["adam", "sgd", "momentum", "rmsprop"])
    activation = draw.choice(["relu", "tanh", "elu", "leaky_relu", "prelu", "silu"])
    widths = draw.choice(["[32]", "[32,32]", "[64]", "[32,32,32]"])
    fixed = {"spirals": "[64,64]", "board": "[64,64]", "moons": draw.choice(["[32]", "[32,32]"])}
    widths = "[8]" if small else fixed.get(data, widths)
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
    elif healthy and extra < 0.45 and data in ("blobs", "breast_cancer", "wine"):
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
    if data in BINARY:
        return draw.choice(["softmax_cross_entropy", "binary_cross_entropy", "hinge"])
    return draw.choice(["softmax_cross_entropy", "softmax_cross_entropy", "multiclass_svm", "squared_error"])
