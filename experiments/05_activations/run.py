"""Activations compared, each at its best learning rate: convergence, depth, and units that die."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, panels, shown, smoothed
from experiments.running import Grid, train
from nnlab.statistics import activations

QUICK: dict[str, Any] = {"data": "digits", "seeds": 3, "steps": 400, "rates": [0.1, 0.5], "depth": 6, "width": 32}
RATES = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
DEFAULT: dict[str, Any] = {"data": "mnist", "seeds": 3, "steps": 800, "rates": RATES, "depth": 8, "width": 64}
FULL: dict[str, Any] = {**DEFAULT, "seeds": 10, "steps": 20000, "width": 128}

NAMES = ["sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu"]
TARGET = 0.25  # training loss at which convergence speed is read


def dead_units(grid: Grid) -> np.ndarray:
    """Fraction of the hidden units that give 0 for all of 1,000 examples, of each network left."""
    stack, data = grid.trainer.stack, grid.trainer.members[0].dataset.train
    names = [name for name, _ in stack.network.named_children() if name.startswith("activation")]
    inputs = data.inputs[:1000]
    seen = stack.capture(inputs.expand(len(stack), *inputs.shape), names)
    return np.mean([activations.dead_fraction(seen[name]).numpy() for name in names], axis=0)


def run(data: str, seeds: int, steps: int, rates: list[float], depth: int, width: int) -> Evidence:
    """Train a shallow and a deep network with every activation at every rate."""
    limit = "data.limit=10000" if data == "mnist" else "data.limit=null"
    shared = [
        f"data={data}",
        limit,
        "optimizer=sgd",
        "trainer.epochs=null",
        f"trainer.steps={steps}",
        "initialization=he",
    ]
    table = [["hidden layers", "activation", "best rate", "final training loss", f"steps to {TARGET}", "dead units %"]]
    loss: dict[tuple[int, str], np.ndarray] = {}
    speed: dict[tuple[int, str], np.ndarray] = {}
    results: dict[str, Any] = {}
    figure, axes = panels(2, width=5)
    for ax, layers in zip(axes, (2, depth), strict=True):
        widths = f"architecture.widths={[width] * layers}".replace(" ", "")
        for name in NAMES:
            grid = train(
                *shared, widths, f"activation={name}", vary={"optimizer.learning_rate": rates}, seeds=range(seeds)
            )
            curves = smoothed(np.nan_to_num(grid.losses, nan=1e3).clip(max=1e3), 50)
            best = int(curves[:, :, -1].mean(1).argmin())
            loss[layers, name] = curves[best, :, -1]
            below = curves[best] < TARGET
            speed[layers, name] = np.where(below.any(1), below.argmax(1), steps).astype(float)
            dead = dead_units(grid) if name == "relu" else None
            row = [layers, name, rates[best], shown(loss[layers, name], 4)]
            reached = shown(speed[layers, name], 0) if below.any(1).all() else f"not all in {steps}"
            table.append(
                [*row, reached, "-" if dead is None else f"{100 * dead.max():.0f} at most, over rates and seeds"]
            )
            ax.semilogy(np.arange(1, steps + 1), curves[best].mean(0), label=f"{name} ({rates[best]:g})")
            results[f"{layers} {name}"] = {"rate": rates[best], "loss": loss[layers, name].tolist(),
                                           "steps": speed[layers, name].tolist(),
                                           "dead": None if dead is None else dead.tolist()}  # fmt: skip
        ax.set(xlabel="step", ylabel="training loss, mean of 50", title=f"{layers} hidden layers, best rates")
        ax.legend(ncol=2)
    ratio = {layers: float(speed[layers, "tanh"].mean() / speed[layers, "relu"].mean()) for layers in (2, depth)}
    table += [[layers, "tanh / relu, steps", "", "", f"{value:.2f}", ""] for layers, value in ratio.items()]
    others = [name for name in NAMES if name != "sigmoid"]
    claims = {
        f"sigmoid is worst in depth: {depth} layers stay at guessing while all others learn": bool(
            loss[depth, "sigmoid"].min() > 1.5 > 1.5 * max(loss[depth, name].max() for name in others)
        ),
        "with two layers every activation learns": all(loss[2, name].max() < 1.0 for name in NAMES),
        "with two layers sigmoid is the slowest": all(
            loss[2, "sigmoid"].mean() > 1.5 * loss[2, name].mean() for name in others
        ),
    }
    if data == "mnist":
        claims["ReLU needs a third of tanh's steps or fewer (Krizhevsky's 6 times was a convnet on CIFAR-10)"] = (
            max(ratio.values()) >= 3
        )
    return Evidence({**results, "tanh_over_relu": ratio}, claims, table, figure)
