"""Activations compared, each at its fastest learning rate: convergence, depth, units that die, and a convnet."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from experiments.reporting import Evidence, panels, shown, smoothed
from experiments.running import Grid, train
from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.statistics import activations
from nnlab.types import Split

QUICK: dict[str, Any] = {"data": "digits", "seeds": 3, "steps": 400, "rates": [0.1, 0.5], "depth": 6, "width": 32,
                         "convnet": None}  # fmt: skip
RATES = [0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 2.0]
DEFAULT: dict[str, Any] = {"data": "mnist", "seeds": 3, "steps": 2000, "rates": RATES, "depth": 8, "width": 64,
                           "convnet": None}  # fmt: skip
CONVNET: dict[str, Any] = {"limit": 20000, "channels": [16, 16, 32], "epochs": 30, "rates": [0.003, 0.01, 0.03]}
FULL: dict[str, Any] = {**DEFAULT, "seeds": 10, "steps": 20000, "width": 128,
                        "convnet": {**CONVNET, "limit": None, "channels": [32, 32, 64], "seeds": 5}}  # fmt: skip

NAMES = ["sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu"]
TARGET = 0.1  # training loss at which convergence speed is read


def dead_units(grid: Grid) -> np.ndarray:
    """Fraction of the hidden units that give 0 for all of 1,000 examples, of each network left."""
    stack, data = grid.trainer.stack, grid.trainer.members[0].dataset.train
    names = [name for name, _ in stack.network.named_children() if name.startswith("activation")]
    inputs = data.inputs[:1000]
    seen = stack.capture(inputs.expand(len(stack), *inputs.shape), names)
    return np.mean([activations.dead_fraction(seen[name]).numpy() for name in names], axis=0)


def krizhevsky(name: str, limit: int | None, channels: list[int], epochs: int, rates: list[float],
               seeds: int = 1) -> np.ndarray:  # fmt: skip
    """Errors (rates, seeds, epochs) on 3,000 of its training images of a four-layer convnet for CIFAR-10."""
    setting = ["data=cifar10", f"data.limit={limit or 'null'}", "optimizer=heavy_ball", "architecture=convnet",
               f"architecture.channels={channels}", "architecture.kernel_size=5", "architecture.hidden=64",
               "trainer.batch_size=128", f"trainer.epochs={epochs}", "trainer.validate_every=1"]  # fmt: skip
    data, vary = load_dataset(compose(*setting)), {"optimizer.learning_rate": rates}
    data = dataclasses.replace(data, validation=Split(data.train.inputs[:3000], data.train.targets[:3000]))
    grid = train(*setting, f"activation={name}", vary=vary, seeds=range(seeds), data=data)
    return 1 - grid.curve("accuracy/validation")[1]


def first(reached: np.ndarray, otherwise: float) -> np.ndarray:
    """Where along the last axis something is first so."""
    return np.where(reached.any(-1), reached.argmax(-1), otherwise).astype(float)


def run(data: str, seeds: int, steps: int, rates: list[float], depth: int, width: int,
        convnet: dict[str, Any] | None) -> Evidence:  # fmt: skip
    """Train a shallow and a deep network with every activation at every rate."""
    shared = [f"data={data}", f"data.limit={10000 if data == 'mnist' else 'null'}", "optimizer=sgd",
              "trainer.epochs=null", f"trainer.steps={steps}", "initialization=he"]  # fmt: skip
    table = [["hidden layers", "activation", "fastest rate", "final loss", f"steps to {TARGET}", "dead units %"]]
    results: dict[str, Any] = {}
    loss, speed = dict[tuple[int, str], np.ndarray](), dict[tuple[int, str], np.ndarray]()
    figure, axes = panels(2, width=5)
    for ax, layers in zip(axes, (2, depth), strict=True):
        widths, vary = f"architecture.widths={[width] * layers}", {"optimizer.learning_rate": rates}
        for name in NAMES:
            grid = train(*shared, widths, f"activation={name}", vary=vary, seeds=range(seeds))
            curves = smoothed(np.nan_to_num(grid.losses, nan=1e3).clip(max=1e3), 50)
            took = first(curves < TARGET, steps)
            best = min(range(len(rates)), key=lambda row: (took[row].mean(), curves[row, :, -1].mean()))
            loss[layers, name], speed[layers, name] = curves[best, :, -1], took[best]
            dead = dead_units(grid) if name == "relu" else None
            reached = shown(took[best], 0) if took[best].max() < steps else f"not all in {steps}"
            died = "-" if dead is None else f"{100 * dead.max():.0f} at most, over rates and seeds"
            table.append([layers, name, rates[best], shown(loss[layers, name], 4), reached, died])
            ax.semilogy(np.arange(1, steps + 1), curves[best].mean(0), label=f"{name} ({rates[best]:g})")
            found = {"loss": loss[layers, name], "steps": took[best], "dead": np.array([]) if dead is None else dead}
            results[f"{layers} {name}"] = {"rate": rates[best], **{key: each.tolist() for key, each in found.items()}}
        ax.set(xlabel="step", ylabel="training loss, mean of 50", title=f"{layers} hidden layers", ylim=(None, 100))
        ax.legend(ncol=2, loc="upper center")
    ratio = {f"{n} layers": float(speed[n, "tanh"].mean() / speed[n, "relu"].mean()) for n in (2, depth)}
    if convnet:
        epochs = [first(krizhevsky(name, **convnet) < 0.25, convnet["epochs"]) + 1 for name in ("tanh", "relu")]
        results["convnet"] = dict(zip(("tanh", "relu"), (took.tolist() for took in epochs), strict=True))
        ratio["convnet"] = float(epochs[0].mean(1).min() / epochs[1].mean(1).min())
    table += [[net, "tanh / relu", "", "", f"{value:.2f}", ""] for net, value in ratio.items()]
    others, deep = [name for name in NAMES if name != "sigmoid"], loss[depth, "sigmoid"].min()
    learned = max(loss[depth, name].max() for name in others) < 1.0
    slowest = speed[2, "sigmoid"].mean() > max(speed[2, name].mean() for name in others)
    claims = {
        f"sigmoid is worst in depth: {depth} layers stay at guessing while all others learn": deep > 1.5 and learned,
        "with two layers every activation learns": max(loss[2, name].max() for name in NAMES) < 1.0,
        f"with two layers sigmoid takes the most steps to {TARGET}": slowest,
    }
    if data == "mnist":
        kept = max(ratio.values()) >= 3
        claims["ReLU needs a third of tanh's steps or fewer (Krizhevsky's 6 times was a convnet on CIFAR-10)"] = kept
    return Evidence({**results, "tanh_over_relu": ratio}, claims, table, figure)
