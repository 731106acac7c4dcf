"""One cycle: a convnet after 12 epochs of a rate that rises and falls once, and after 85 of one that falls slowly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.published import Evidence, Row, at_full_size, evidence, less, measure

NET = ["architecture=convnet", "architecture.channels=[6,16]", "architecture.kernel_size=5", "architecture.hidden=120"]
NET += ["optimizer=heavy_ball", "regularizer=[weight_decay]", "regularizer.weight_decay.strength=0.0005"]
CYCLE = ("scheduler=one_cycle", "optimizer.learning_rate=0.1")
INVERSE = ("scheduler=inverse_sqrt", "optimizer.learning_rate=0.03")
MNIST = ["data=mnist", "data/preprocessing=none", "trainer.batch_size=512", *NET]
QUICK: dict[str, Any] = {"setting": ["data=digits", "trainer.batch_size=64", *NET], "short": 6, "long": None,
                         "seeds": 2}  # fmt: skip
DEFAULT: dict[str, Any] = {"setting": [*MNIST, "data.limit=5000"], "short": 12, "long": 85, "seeds": 2}
FULL: dict[str, Any] = {"setting": MNIST, "short": 12, "long": 85, "seeds": 3}


def run(setting: Sequence[str], short: int, long: int | None, seeds: int) -> Evidence:
    """The cycle, and the falling rate for as many epochs and, where `long` is given, for many more."""
    rows = [
        Row(f"one cycle, {short} epochs", 0.75, *CYCLE, f"trainer.epochs={short}"),
        Row(f"falling rate, {short} epochs", None, *INVERSE, f"trainer.epochs={short}"),
    ]
    if long:
        rows.append(Row(f"falling rate, {long} epochs", 0.97, *INVERSE, f"trainer.epochs={long}"))
    found = measure("one_cycle", rows, setting, range(seeds))
    cycle, brief, *patient = (found[row.name] for row in rows)
    claims = {f"one cycle errs less than the falling rate, both after {short} epochs": less(cycle, brief)}
    if patient and "data=mnist" in setting:
        claims[f"and less than the falling rate after {long} epochs"] = less(cycle, patient[0])
    return evidence(rows, found, claims, "A convnet in batches of 512", at_full_size(setting))
