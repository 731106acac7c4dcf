"""DropConnect's table on MNIST: two layers of 800 units with nothing, Dropout or DropConnect, alone and as five."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.published import Evidence, Found, Row, at_full_size, evidence, less, measure

NET = ["optimizer=heavy_ball", "optimizer.learning_rate=0.03", "scheduler=linear", "trainer.batch_size=128"]
MNIST = ["data=mnist", "data/preprocessing=none", "architecture.widths=[800,800]", *NET]
NETS = [
    Row("none", 1.62, "regularizer=[]"),
    Row("Dropout", 1.28, "regularizer=[dropout]", "regularizer.dropout.p=0.5"),
    Row("DropConnect", 1.20, "regularizer=[dropconnect]", "regularizer.dropconnect.p=0.5"),
]
OF_FIVE = {"none": 1.40, "Dropout": 1.20, "DropConnect": 1.12}
QUICK: dict[str, Any] = {"setting": ["data=digits", "architecture.widths=[64,64]", *NET], "epochs": 20, "seeds": 5}
DEFAULT: dict[str, Any] = {"setting": [*MNIST, "data.limit=10000"], "epochs": 20, "seeds": 5}
FULL: dict[str, Any] = {"setting": MNIST, "epochs": 20, "seeds": 5}


def run(setting: Sequence[str], epochs: int, seeds: int) -> Evidence:
    """The three nets with every seed, and the average of each one's networks."""
    found = measure("dropconnect_nets", NETS, [*setting, f"trainer.epochs={epochs}"], range(seeds))
    rows = list(NETS)
    for row in NETS:
        together = Row(f"{row.name}, average of {seeds}", OF_FIVE[row.name], *row.overrides)
        found[together.name] = Found([found[row.name].by_size["error"][-1]], {}, [], 0.0)
        rows.append(together)
    single, five = ([found[row.name].mean for row in part] for part in (rows[: len(NETS)], rows[len(NETS) :]))
    claims = {f"{seeds} networks together err less than one, over the three nets": np.mean(five) < np.mean(single)}
    if "data=mnist" in setting:
        claims |= {f"{row.name} errs less than none": less(found[row.name], found["none"]) for row in NETS[1:]}
    return evidence(rows, found, claims, "800 - 800 units on MNIST", at_full_size(setting))
