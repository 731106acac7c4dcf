"""Initialization: constant, too small, too large, Xavier and He, in six layers and in thirty."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, band, panels, shown, smoothed
from experiments.running import train
from nnlab.cli import compose
from nnlab.initialization import Gaussian, He, Initialization, Xavier

QUICK: dict[str, Any] = {"units": 512, "seeds": 2, "data": "digits", "limit": None, "width": 32, "steps": 250}
DEFAULT: dict[str, Any] = {"units": 4096, "seeds": 5, "data": "mnist", "limit": 5000, "width": 48, "steps": 250}
FULL: dict[str, Any] = {"units": 4096, "seeds": 20, "data": "mnist", "limit": None, "width": 256, "steps": 20000}

EXPECTED = {  # standard deviation of the activations, layer by layer, with 4096 units
    "tanh, std 0.01": [0.492, 0.289, 0.179, 0.113, 0.072, 0.046],
    "tanh, std 0.05": [0.872, 0.854, 0.850, 0.850, 0.849, 0.849],
    "tanh, Xavier": [0.628, 0.487, 0.409, 0.358, 0.322, 0.295],
    "ReLU, Xavier": [0.583, 0.415, 0.294, 0.208, 0.146, 0.103],
    "ReLU, He": [0.825] * 6,
}
TOLERANCE = {name: 0.03 if name.endswith("He") else 0.01 for name in EXPECTED}


def rule(name: str, units: int) -> Initialization:
    """The initialization; fixed deviations grow in narrower layers such that units see the same variance."""
    if "std" in name:
        return Gaussian(std=float(name.split()[-1]) * (4096 / units) ** 0.5)
    return Xavier() if name.endswith("Xavier") else He()


def activations(units: int, draws: int) -> dict[str, list[torch.Tensor]]:
    """Activations of 16 examples in six layers, and their deviations, (draws, 6) in the last place."""
    seen = {}
    for name in EXPECTED:
        squash, gain = (torch.tanh, 1.0) if name.startswith("tanh") else (torch.relu, 2**0.5)
        deviations, weight = [], torch.empty(units, units)
        for seed in range(draws):
            generator = torch.Generator().manual_seed(seed)
            x, layers = torch.randn(16, units, generator=generator), []
            for _ in range(6):
                rule(name, units).fill(weight, gain, generator)
                x = squash(x @ weight.T)
                layers.append(x)
            deviations.append([float(layer.std()) for layer in layers])
        seen[name] = [*layers, torch.tensor(deviations)]
    return seen


def run(units: int, seeds: int, data: str, limit: int | None, width: int, steps: int) -> Evidence:
    """Propagate through six layers; train with equal weights; train thirty layers."""
    seen = activations(units, min(seeds, 2))
    means = {name: layers[-1].mean(0).tolist() for name, layers in seen.items()}
    gaps = {name: max(abs(m - e) for m, e in zip(means[name], EXPECTED[name], strict=True)) for name in EXPECTED}
    shared = [f"data={data}", f"data.limit={limit or 'null'}", "trainer.epochs=null", "trainer.batch_size=32"]
    equal = train(*shared, f"trainer.steps={steps}", "initialization=constant", "architecture.widths=[64]", seeds=[0])
    weights = equal.trainer.stack.views["linear1.weight"][0]
    differ, same = float((weights - weights[0]).abs().max()), float(equal.last("test", "accuracy")[0, 0])
    rates, sections = [0.001, 0.003, 0.01], [compose(f"initialization={n}")["initialization"] for n in ("he", "xavier")]
    vary = [{"initialization": section, "optimizer.learning_rate": rate} for section in sections for rate in rates]
    net = [f"trainer.steps={steps}", f"architecture.widths={[width] * 30}", "optimizer=heavy_ball"]
    deep = train(*shared, *net, vary=vary, seeds=range(seeds))
    curves = np.nan_to_num(smoothed(deep.losses, 25), nan=9.0).reshape(2, len(rates), seeds, -1)
    losses, best = curves[..., -1], curves[..., -1].mean(2).argmin(1)
    accuracy = deep.last("test", "accuracy").reshape(2, len(rates), seeds)
    claims = {
        "the deviations of all six layers and five rules are the expected ones": all(
            gaps[name] <= TOLERANCE[name] * (4096 / units) ** 0.5 for name in EXPECTED
        ),
        "constant weights: the hidden units are the same after training as before": differ < 1e-4,
        "30 layers: He learns with every seed (loss below 2.0)": bool((losses[0, best[0]] < 2.0).all()),
        "30 layers: Xavier stalls at log 10 with every seed, at every rate": bool((losses[1] > 2.25).all()),
    }
    table = [["std of activations", *(f"layer {i + 1}" for i in range(6)), "gap to the expected"]]
    table += [[name, *(f"{m:.3f}" for m in means[name]), f"{gaps[name]:.3f}"] for name in EXPECTED]
    for i, name in enumerate(("He", "Xavier")):
        row = [f"30 layers, {name}, best rate {rates[best[i]]}", f"loss {shown(losses[i, best[i]])}"]
        table.append([*row, f"test accuracy {shown(accuracy[i, best[i]], 1, percent=True)} %", *[""] * 5])
    table.append(["constant weights, one layer", f"units differ by {differ:.1e}", f"accuracy {same:.1%}", *[""] * 5])
    figure, axes = panels(6, 6, width=2.4, height=1.6)
    for row, (name, layers) in enumerate(seen.items()):
        span = (-1.0, 1.0) if name.startswith("tanh") else (0.0, 2.0)
        for i, layer in enumerate(layers[:-1]):
            axes[6 * row + i].hist(layer.ravel().numpy(), bins=40, range=span, density=True)
            axes[6 * row + i].set(yticks=[], title=f"{'' if i else name + ': '}{means[name][i]:.3f}")
    bottom = figure.add_subplot(axes[30].get_gridspec()[5, :])
    for ax in axes[30:]:
        ax.remove()
    for i, name in enumerate(("He", "Xavier")):
        band(bottom, np.arange(curves.shape[-1]), curves[i, best[i]], f"{name}, 30 layers, rate {rates[best[i]]}")
    bottom.set(xlabel="step", ylabel="training loss")
    bottom.legend()
    results = {"deviations": means, "gaps": gaps, "rates": rates, "loss": losses.tolist()}
    constant = {"differ": differ, "accuracy": same}
    return Evidence({**results, "accuracy": accuracy.tolist(), "constant": constant}, claims, table, figure)
