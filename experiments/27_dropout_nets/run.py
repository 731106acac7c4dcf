"""Dropout on MNIST at the papers' widths: with and without max-norm, beside label smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.published import Evidence, Row, at_full_size, evidence, less, measure

NET = ["optimizer=heavy_ball", "optimizer.momentum=0.95", "optimizer.learning_rate=0.03", "scheduler=linear"]
NET += ["trainer.batch_size=128"]
MNIST = ["data=mnist", "data/preprocessing=none", *NET]
DROPOUT = ("regularizer.dropout.p=0.5", "regularizer.dropout.input_p=0.2")
SMALL = ("initialization=gaussian", "initialization.std=0.01")
ROWS = {
    "2 x {}, Dropout": (1.28, 2, "regularizer=[dropout]", *DROPOUT, *SMALL),
    "2 x {}, label smoothing 0.1": (1.23, 2, "regularizer=[]", "loss.label_smoothing=0.1", *SMALL),
    "3 x {}, Dropout": (1.25, 3, "regularizer=[dropout]", *DROPOUT),
    "3 x {}, Dropout and max-norm": (1.06, 3, "regularizer=[dropout,max_norm]", "regularizer.max_norm.max_norm=1",
                                     *DROPOUT),
}  # fmt: skip
QUICK: dict[str, Any] = {"setting": ["data=digits", *NET], "width": 64, "epochs": 60, "seeds": 2}
DEFAULT: dict[str, Any] = {"setting": [*MNIST, "data.limit=10000"], "width": 256, "epochs": 30, "seeds": 3}
FULL: dict[str, Any] = {"setting": [*MNIST, "trainer.engine=native"], "width": 1024, "epochs": 50, "seeds": 2}


def run(setting: Sequence[str], width: int, epochs: int, seeds: int) -> Evidence:
    """Every net with every seed."""
    rows = []
    for name, (published, layers, *overrides) in ROWS.items():
        rows.append(Row(name.format(width), published, f"architecture.widths={[width] * layers}", *overrides))
    found = measure("dropout_nets", rows, [*setting, f"trainer.epochs={epochs}"], range(seeds))
    error = [found[row.name].mean for row in rows]
    claims = {"two layers err less than one in ten": max(error[:2]) < 10}
    if "data=mnist" in setting:
        claims["max-norm lowers the error of three layers with Dropout"] = less(
            found[rows[3].name], found[rows[2].name]
        )
        claims["Dropout errs no less than label smoothing, two layers"] = not less(
            *(found[row.name] for row in rows[:2])
        )
    return evidence(rows, found, claims, "Dropout on MNIST", at_full_size(setting))
