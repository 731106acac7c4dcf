"""Learning rate too low, right, too high, much too high: the four curves."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import PALETTE, Evidence, panels, shown, smoothed
from experiments.running import train

QUICK: dict[str, Any] = {"seeds": 5, "epochs": 3}
DEFAULT: dict[str, Any] = {"seeds": 20, "epochs": 15}
FULL: dict[str, Any] = {"seeds": 100, "epochs": 15}

RATES = {"too low": 0.0001, "right": 0.1, "too high": 0.35, "much too high": 3.0}
SHARED = [
    "optimizer=sgd",
    "architecture.widths=[64,64]",
    "activation=tanh",
    "initialization=xavier",
    "trainer.batch_size=4",
]


def run(seeds: int, epochs: int) -> Evidence:
    """Train the same networks at four rates by plain stochastic gradient descent."""
    grid = train(
        *SHARED, f"trainer.epochs={epochs}", vary={"optimizer.learning_rate": list(RATES.values())}, seeds=range(seeds)
    )
    steps = grid.losses.shape[2]
    window = steps // epochs
    ends = grid.losses[:, :, -window:]
    losses = dict(zip(RATES, ends.mean(2), strict=True))
    jitter = dict(zip(RATES, np.diff(ends, axis=2).std(2), strict=True))
    start = float(grid.losses[:, :, 0].mean())
    accuracy = dict(zip(RATES, grid.last("test", "accuracy"), strict=True))
    table = [["rate", "", "training loss in the last epoch", "jitter from step to step", "test accuracy %"]]
    figure, (axes,) = panels(width=8.0, height=4.5)
    for position, (name, rate) in enumerate(RATES.items()):
        table.append([rate, name, shown(losses[name]), shown(jitter[name]), shown(accuracy[name], 1, percent=True)])
        curve = grid.losses[position, 0]
        shared = {"color": PALETTE[position], "linestyle": "-"}
        axes.plot(curve, **shared, alpha=0.2, linewidth=0.6)
        axes.plot(smoothed(curve, window), **shared, label=f"{rate:g}: {name}")
    axes.axhline(np.log(10), color="grey", linestyle=":", label="log 10: guessing")
    axes.set(
        yscale="log",
        xlabel="step",
        ylabel="training loss, and mean over an epoch",
        title="Four learning rates",
        ylim=(1e-5, 1e3),
    )
    axes.legend(ncol=2, loc="lower left")
    claims = {
        "too low: the loss falls, but slowly": bool(
            (losses["too low"] < start - 0.05).all() and (losses["too low"] > 5 * losses["right"]).all()
        ),
        "right: the loss falls furthest": all(
            (losses["right"] < 0.5 * losses[name]).all() for name in RATES if name != "right"
        ),
        "too high: it oscillates and ends higher, though below guessing": bool(
            (jitter["too high"] > 3 * jitter["right"]).all() and (losses["too high"] < np.log(10)).all()
        ),
        "much too high: it ends ten times above where it began": bool((losses["much too high"] > 10 * start).all()),
    }
    results = {name: {"loss": losses[name].tolist(), "jitter": jitter[name].tolist()} for name in RATES}
    return Evidence({"start": start, **results}, claims, table, figure)
