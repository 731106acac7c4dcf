"""Plain networks on MNIST: LeCun's and Simard's, with squared error, cross-entropy, distortions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.published import Evidence, Row, at_full_size, evidence, less, measure

TANH = ["scheduler=linear", "trainer.batch_size=64", "optimizer=heavy_ball", "activation=tanh", "initialization=xavier"]
MNIST = ["data=mnist", "data/preprocessing=none", *TANH]
SQUARED = ("loss=squared_error", "optimizer.learning_rate=0.02")
STANDARDIZED = ("data/preprocessing=standardize", "optimizer.learning_rate=0.03")
ENTROPY = ("loss=softmax_cross_entropy", "optimizer.learning_rate=0.1")
NETS = {
    "300 units, squared error": (4.7, "architecture.widths=[300]", *SQUARED),
    "1000 units, squared error": (4.5, "architecture.widths=[1000]", *SQUARED),
    "500 and 150 units, squared error": (2.95, "architecture.widths=[500,150]", *SQUARED),
    "800 units, squared error": (None, "architecture.widths=[800]", *SQUARED),
    "800 units, cross-entropy": (1.6, "architecture.widths=[800]", *ENTROPY),
    "800 units, cross-entropy, inputs standardized": (1.6, "architecture.widths=[800]", *ENTROPY, *STANDARDIZED),
}
ELASTIC = Row("800 units, cross-entropy, elastic distortions", 0.7, "architecture.widths=[800]", *ENTROPY,
              "data/augmentation=[elastic]")  # fmt: skip
FIFTY, LONGER = (Row(f"the same, inputs standardized, {epochs} epochs", 0.7, *ELASTIC.overrides, *STANDARDIZED,
                     f"trainer.epochs={epochs}") for epochs in (50, 150))  # fmt: skip
QUICK: dict[str, Any] = {
    "setting": ["data=digits", "data/preprocessing=none", *TANH],
    "epochs": 6,
    "elastic": None,
    "seeds": 2,
}
DEFAULT: dict[str, Any] = {"setting": [*MNIST, "data.limit=10000"], "epochs": 20, "elastic": None, "seeds": 3}
FULL: dict[str, Any] = {"setting": MNIST, "epochs": 40, "elastic": {"epochs": 100, "seeds": 2}, "seeds": 3}


def run(setting: Sequence[str], epochs: int, elastic: Mapping[str, int] | None, seeds: int) -> Evidence:
    """Every net with every seed; with `elastic`, its epochs and seeds with distortions."""
    rows = [Row(name, *net) for name, net in NETS.items()]
    found = measure("references", rows, [*setting, f"trainer.epochs={epochs}"], range(seeds))
    if elastic:
        rows += [ELASTIC, FIFTY, LONGER]
        shared = [*setting, f"trainer.epochs={elastic['epochs']}"]
        found |= measure("references", [ELASTIC, FIFTY], shared, range(elastic["seeds"]))
        found |= measure("references", [LONGER], shared, range(seeds))
    mean = {name: each.mean for name, each in found.items()}
    claims = {"every net errs less than one in ten": max(mean.values()) < 10}
    if "data=mnist" in setting:
        entropy, squared = (found[f"800 units, {loss}"] for loss in ("cross-entropy", "squared error"))
        claims["cross-entropy errs less than squared error, 800 units"] = less(entropy, squared)
        narrow = found["300 units, squared error"]
        claims["1000 units err less than 300"] = less(found["1000 units, squared error"], narrow)
        claims["two hidden layers err less than one of 300"] = less(found["500 and 150 units, squared error"], narrow)
    if elastic:
        half = 0.5 * mean["800 units, cross-entropy"]
        claims["elastic distortions halve the error"] = mean[ELASTIC.name] < half
        claims["elastic distortions halve it if inputs are standardized"] = mean[FIFTY.name] < half
        half = 0.5 * mean["800 units, cross-entropy, inputs standardized"]
        claims["150 epochs of them halve the error with standardized inputs"] = mean[LONGER.name] < half
    return evidence(rows, found, claims, "Plain networks on MNIST", at_full_size(setting))
