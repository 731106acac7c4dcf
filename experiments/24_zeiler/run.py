"""Zeiler's table of rates: errors of four rules at five rates after six epochs of MNIST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.published import Evidence, Row, at_full_size, evidence, measure

NET = ["activation=tanh", "initialization=xavier", "trainer.batch_size=100"]
RATES = (1.0, 0.1, 0.01, 0.001, 0.0001)
PUBLISHED = {
    "sgd": (2.26, 2.51, 7.02, 17.01, 58.10),
    "heavy_ball": (89.68, 2.03, 2.68, 6.98, 16.98),
    "adagrad": (43.76, 2.82, 1.79, 5.21, 12.59),
}
CELLS = {name: [Row(f"{name}, rate {rate:g}", error, f"optimizer={name}", f"optimizer.learning_rate={rate}")
                for rate, error in zip(RATES, errors, strict=True)] for name, errors in PUBLISHED.items()}  # fmt: skip
ADADELTA = Row("adadelta, rho 0.95, eps 1e-6", 1.83, "optimizer=adadelta", "optimizer.rho=0.95", "optimizer.eps=1e-6")
MNIST = ["data=mnist", "data/preprocessing=none", "architecture.widths=[500,300]", *NET]
QUICK: dict[str, Any] = {"setting": ["data=digits", "architecture.widths=[32]", *NET], "epochs": 20, "seeds": 2}
DEFAULT: dict[str, Any] = {"setting": [*MNIST, "data.limit=10000"], "epochs": 6, "seeds": 2}
FULL: dict[str, Any] = {"setting": MNIST, "epochs": 6, "seeds": 3}


def run(setting: Sequence[str], epochs: int, seeds: int) -> Evidence:
    """Every rule at every rate, and Adadelta, which has none."""
    rows = [*(cell for cells in CELLS.values() for cell in cells), ADADELTA]
    found = measure("zeiler", rows, [*setting, f"trainer.epochs={epochs}"], range(seeds))
    error = {name: [found[cell.name].mean for cell in cells] for name, cells in CELLS.items()}
    claims = {
        "the lowest rate of plain descent errs ten times as often as its best": error["sgd"][-1]
        > 10 * min(error["sgd"])
    }
    if "data=mnist" in setting:
        for name, errors in error.items():
            best = [values.index(min(values)) for values in (errors, PUBLISHED[name])]
            claims[f"{name}: the best of the five rates is the paper's, {RATES[best[1]]:g}"] = best[0] == best[1]
        adadelta, best_error = found[ADADELTA.name].mean, min(map(min, error.values()))
        claims["Adadelta without a rate is within half a point of the best rule at its best rate"] = (
            adadelta < best_error + 0.5
        )
    return evidence(rows, found, claims, "MNIST after six epochs", at_full_size(setting))
