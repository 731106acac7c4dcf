"""Kingma and Ba's net with dropout, 784-1000-1000-10: training losses of five rules, each at its better rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, band, panels, shown, smoothed
from experiments.running import train

# Around the best of three rates for 256-256 units, which `nnlab experiment optimizers` found.
RATES = {"adam": [0.0005, 0.001], "nesterov": [0.05, 0.1], "adagrad": [0.01, 0.02], "rmsprop": [0.0005, 0.001],
         "adadelta": [1.0, 2.0]}  # fmt: skip
NET = ["data/preprocessing=none", "regularizer=[dropout]"]  # half of the hidden units
MNIST = ["data=mnist", "trainer.batch_size=128", *NET]
DIGITS = ["data=digits", "trainer.batch_size=32", *NET]
QUICK: dict[str, Any] = {"setting": DIGITS, "width": 64, "epochs": 12, "seeds": 2}
DEFAULT: dict[str, Any] = {"setting": MNIST, "width": 1000, "epochs": 3, "seeds": 2}
FULL: dict[str, Any] = {"setting": MNIST, "width": 1000, "epochs": 200, "seeds": 3}


def run(setting: list[str], width: int, epochs: int, seeds: int) -> Evidence:
    """Train by every rule at both rates; the better one has the lower mean loss in the last epoch, dropout included."""
    shared = [*setting, f"architecture.widths={[width] * 2}", f"trainer.epochs={epochs}"]
    last, rate, error = dict[str, np.ndarray](), dict[str, float](), dict[str, np.ndarray]()
    figure, axes = panels(1, width=7.0)
    for name, rates in RATES.items():
        grid = train(*shared, f"optimizer={name}", vary={"optimizer.learning_rate": rates}, seeds=range(seeds))
        epoch = grid.losses.shape[2] // epochs
        losses = np.nan_to_num(grid.losses[:, :, -epoch:].mean(2), nan=np.inf)
        best = int(losses.mean(1).argmin())
        last[name], rate[name], error[name] = losses[best], rates[best], 1 - grid.last("test", "accuracy")[best]
        curve = smoothed(grid.losses[best], max(1, epoch // 4))
        band(axes[0], np.arange(1, curve.shape[1] + 1) / epoch, curve, f"{name}, rate {rates[best]:g}")
        print(f"{name}: training loss {shown(last[name], 4)} at the rate {rates[best]:g}", flush=True)
    others = [name for name in RATES if name != "adam"]
    claims = {"every rule learns: a training loss below 1": max(loss.max() for loss in last.values()) < 1}
    if "data=mnist" in setting:
        lowest = all((last["adam"] < last[name]).all() for name in others)
        claims["Adam's training loss is the lowest of all five, with every seed"] = lowest
        claims["Adam's is the lowest in the mean"] = min(last, key=lambda name: last[name].mean()) == "adam"
    table: list[list[Any]] = [["rule", "better rate", f"training loss, epoch {epochs}", "test error %"]]
    table += [[name, f"{rate[name]:g}", shown(last[name], 4), shown(error[name], 2, True)] for name in RATES]
    axes[0].set(yscale="log", xlabel="epoch", ylabel="training loss, with dropout", title=f"{width} - {width} ReLUs")
    axes[0].legend()
    results = {n: {"rate": rate[n], "loss": last[n].tolist(), "error": error[n].tolist()} for n in RATES}
    return Evidence(results, claims, table, figure)
