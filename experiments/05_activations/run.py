"""Activations compared, each at its best learning rate: convergence, depth, and units that die."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from experiments.reporting import Evidence, panels, shown, smoothed
from experiments.running import Grid, UntilTrained, train
from nnlab.build import load_dataset
from nnlab.config import compose
from nnlab.statistics import activations

CONVNET: dict[str, Any] = {"limits": [1000, 4000], "channels": [8, 16], "epochs": 40, "seeds": 2, "rates": [0.01, 0.03]}
QUICK: dict[str, Any] = {"data": "digits", "seeds": 3, "steps": 400, "rates": [0.1, 0.5], "depth": 6, "width": 32,
                         "convnet": None}  # fmt: skip
RATES = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
DEFAULT: dict[str, Any] = {"data": "mnist", "seeds": 3, "steps": 800, "rates": RATES, "depth": 8, "width": 64,
                           "convnet": CONVNET}  # fmt: skip
FULL: dict[str, Any] = {**DEFAULT, "seeds": 10, "steps": 20000, "width": 128,
                        "convnet": {**CONVNET, "limits": [4000, None], "channels": [32, 64], "seeds": 5}}  # fmt: skip
TARGET = 0.25  # training loss at which the MLPs' convergence is read
NAMES = ["sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu"]


def krizhevsky(name: str, limit: int | None, convnet: dict[str, Any]) -> dict[str, Any]:
    """Epochs (seeds,) of a four-layer convnet on CIFAR-10 to 25 % training error, at the rate with the fewest."""
    setting = ["data=cifar10", f"data.limit={limit or 'null'}", "optimizer=heavy_ball"]
    setting += ["architecture=convnet", f"architecture.channels={convnet['channels']}", "architecture.hidden=64"]
    setting.append(f"trainer.epochs={convnet['epochs']}")
    data = load_dataset(compose(*setting))
    data = dataclasses.replace(data, validation=data.train, test=data.train)  # this is about training alone
    tried = []
    for rate in convnet["rates"]:
        seen, rule = UntilTrained(0.25), [f"activation={name}", f"optimizer.learning_rate={rate}"]
        train(*setting, *rule, seeds=range(convnet["seeds"]), data=data, callbacks=[seen])
        took = np.array([seen.epochs.get(row, np.inf) for row in range(convnet["seeds"])])
        tried.append({"rate": rate, "epochs": took, "curve": 100 * np.array(seen.errors[0])})
    return min(tried, key=lambda one: float(one["epochs"].mean()))


def dead_units(grid: Grid) -> np.ndarray:
    """Fraction of the hidden units that give 0 for all of 1,000 examples, of each network left."""
    stack, data = grid.trainer.stack, grid.trainer.members[0].dataset.train
    names = [name for name, _ in stack.network.named_children() if name.startswith("activation")]
    inputs = data.inputs[:1000]
    seen = stack.capture(inputs.expand(len(stack), *inputs.shape), names)
    return np.mean([activations.dead_fraction(seen[name]).numpy() for name in names], axis=0)


def run(data: str, seeds: int, steps: int, rates: list[float], depth: int, width: int,
        convnet: dict[str, Any] | None) -> Evidence:  # fmt: skip
    """Train a shallow and a deep network with every activation at every rate; then ReLU and tanh in a convnet."""
    shared = [f"data={data}", "optimizer=sgd", "trainer.epochs=null", f"trainer.steps={steps}", "initialization=he"]
    shared += ["data.limit=10000"] if data == "mnist" else []
    table = [["net", "activation", "best rate", "final training loss", f"steps to {TARGET}", "dead units %"]]
    loss: dict[tuple[int, str], np.ndarray] = {}
    results: dict[str, Any] = {}
    figure, axes = panels(3 if convnet else 2, width=5.5)
    for ax, layers in zip(axes, (2, depth), strict=False):
        for name in NAMES:
            net = [f"architecture.widths={[width] * layers}", f"activation={name}"]
            grid = train(*shared, *net, vary={"optimizer.learning_rate": rates}, seeds=range(seeds))
            curves = smoothed(np.nan_to_num(grid.losses, nan=1e3).clip(max=1e3), 50)
            best = int(curves[:, :, -1].mean(1).argmin())
            loss[layers, name], below = curves[best, :, -1], curves[best] < TARGET
            took = shown(below.argmax(1), 0) if below.any(1).all() else f"not all in {steps}"
            dead = f"up to {100 * dead_units(grid).max():.0f}, over rates and seeds" if name == "relu" else "-"
            table.append([f"{layers} layers", name, rates[best], shown(loss[layers, name], 4), took, dead])
            ax.semilogy(np.arange(1, steps + 1), curves[best].mean(0), label=f"{name} ({rates[best]:g})")
            results[f"{layers} {name}"] = {"rate": rates[best], "loss": loss[layers, name].tolist(), "steps": took}
        ax.set(xlabel="step", ylabel="training loss, mean of 50", title=f"MLP, {layers} hidden layers, best rates")
        ax.legend(ncol=2, fontsize=9)
    worst = max(loss[depth, name].max() for name in NAMES if name != "sigmoid")
    claims = {
        f"sigmoid is worst in depth: {depth} layers stay at guessing while all others learn": worst
        < 1.0
        < 1.5
        < loss[depth, "sigmoid"].min(),
        "with two layers every activation learns": all(loss[2, name].max() < 1.0 for name in NAMES),
    }
    for limit in convnet["limits"] if convnet else ():
        found = {name: krizhevsky(name, limit, convnet) for name in ("relu", "tanh")}  # type: ignore[arg-type]
        relu, tanh = (found[name]["epochs"] for name in found)
        ratio, net = float(tanh.mean() / relu.mean()), f"convnet, {limit or 'all'} images"
        axes[2].clear()  # the largest comes last
        for name, one in found.items():
            table.append([net, name, one["rate"], "", f"{shown(one['epochs'], 1)} epochs to 25 % error", "-"])
            axes[2].plot(range(1, len(one["curve"]) + 1), one["curve"], marker="o", label=f"{name} ({one['rate']:g})")
            results[f"{net}, {name}"] = {"rate": one["rate"], "epochs": one["epochs"].tolist()}
        table.append([net, "tanh / relu", "", "", f"{ratio:.2f} times the epochs", "-"])
        axes[2].axhline(25, color="grey", linestyle=":")
        axes[2].set(xlabel="epoch", ylabel="training error %", title=f"CIFAR-10: {net}, best rates")
        axes[2].legend()
        claims[f"{net}: tanh takes three times the epochs of ReLU or more (Krizhevsky: six times)"] = ratio >= 3
    return Evidence(results, claims, table, figure)
