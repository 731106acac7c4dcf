"""Glorot and Bengio's table on MNIST: five layers of sigmoid or tanh, by the old and the normalized initialization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.published import GUESSING, Evidence, Row, evidence, less, measure

NORMALIZED = ("initialization=xavier", "initialization.fan=average", "initialization.distribution=uniform")
NETS = {
    "sigmoid": (2.21, "activation=sigmoid", "initialization=pytorch"),
    "tanh": (1.76, "activation=tanh", "initialization=pytorch"),
    "tanh, normalized": (1.64, "activation=tanh", *NORMALIZED),
    "ReLU, He": (None, "activation=relu", "initialization=he"),
}
MNIST = ["data=mnist", "data/preprocessing=none", "trainer.batch_size=10"]
QUICK: dict[str, Any] = {"setting": ["data=digits", "trainer.batch_size=10"], "width": 64, "rate": 0.1, "epochs": 12,
                         "seeds": 2}  # fmt: skip
DEFAULT: dict[str, Any] = {"setting": MNIST, "width": 300, "rate": 0.1, "epochs": 5, "seeds": 3}
FULL: dict[str, Any] = {"setting": MNIST, "width": 1000, "rate": 0.1, "epochs": 20, "seeds": 3}


def run(setting: Sequence[str], width: int, rate: float, epochs: int, seeds: int) -> Evidence:
    """Every net with every seed, by plain descent at a rate that falls to zero."""
    shared = [*setting, f"architecture.widths={[width] * 5}", f"trainer.epochs={epochs}", "scheduler=linear"]
    shared += ["optimizer=sgd", f"optimizer.learning_rate={rate}"]
    rows = [Row(name, published, *overrides) for name, (published, *overrides) in NETS.items()]
    found = measure("glorot", rows, shared, range(seeds))
    sigmoid, old, normalized, _ = (found[row.name] for row in rows)
    claims = {"sigmoid is the worst": sigmoid.mean > max(old.mean, normalized.mean, found["ReLU, He"].mean)}
    if "data=mnist" in setting:
        claims["the normalized initialization lowers tanh's error"] = less(normalized, old)
        claims["sigmoid leaves guessing, with every seed"] = max(sigmoid.errors) < GUESSING - 5
    return evidence(rows, found, claims, f"Five layers of {width} units", width == 1000)
