"""Initialization: constant, too small, too large, Xavier and He, in six layers and in thirty."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, band, panels, shown, smoothed
from experiments.running import grid, train
from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.training.stack import Stack
from nnlab.types import Split

QUICK: dict[str, Any] = {"units": 256, "seeds": 2, "data": "digits", "limit": None, "width": 32, "steps": 180}
DEFAULT: dict[str, Any] = {"units": 4096, "seeds": 5, "data": "mnist", "limit": 5000, "width": 48, "steps": 250}
FULL: dict[str, Any] = {"units": 4096, "seeds": 20, "data": "mnist", "limit": None, "width": 256, "steps": 20000}

EXPECTED = {  # standard deviation of the activations, layer by layer, with 4096 units
    "tanh, std 0.01": [0.492, 0.289, 0.179, 0.113, 0.072, 0.046],
    "tanh, std 0.05": [0.872, 0.854, 0.850, 0.850, 0.849, 0.849],
    "tanh, Xavier": [0.628, 0.487, 0.409, 0.358, 0.322, 0.295],
    "ReLU, Xavier": [0.583, 0.415, 0.294, 0.208, 0.146, 0.103],
    "ReLU, He": [0.825] * 6,
}
SPAN = {"t": (-1.0, 1.0), "R": (0.0, 2.0)}


def rule(name: str, units: int) -> list[str]:
    """Its overrides; fixed deviations grow in narrower layers such that units see the same variance."""
    activation, kind = name.lower().split(", ")
    fixed = ["initialization=gaussian", f"initialization.std={kind[4:]}", f"initialization.scale={64 / units**0.5}"]
    return [f"activation={activation}", *(fixed if kind.startswith("std") else [f"initialization={kind}"])]


def activations(units: int, draws: int) -> tuple[dict[str, list[Any]], float]:
    """Activations of 16 examples in six layers, last their deviations (draws, 6); compiled code's distance to torch."""
    seen, apart, data = dict[str, list[Any]](), 0.0, load_dataset(compose("data=digits"))
    for name in EXPECTED:
        deviations = []
        for seed in range(draws):
            inputs = torch.randn(16, units, generator=torch.Generator().manual_seed(seed))
            data = dataclasses.replace(data, **dict.fromkeys(("train", "test"), Split(inputs, torch.arange(16) % 10)))
            shape = [f"architecture.widths={[units] * 6}", "trainer.engine=native", "optimizer=sgd"]
            stack = grid(*shape, *rule(name, units), seeds=[seed], data=data).trainer.stack
            layers = [f"activation{layer}" for layer in range(1, 7)]
            seen[name] = [layer[0] for layer in stack.capture(inputs[None], layers).values()]
            deviations.append([float(layer.std()) for layer in seen[name]])
            reference = Stack.outputs(stack, inputs[None])
            apart = max(apart, float((stack.outputs(inputs[None]) - reference).abs().max() / reference.abs().max()))
        seen[name].append(torch.tensor(deviations))
    return seen, apart


def run(units: int, seeds: int, data: str, limit: int | None, width: int, steps: int) -> Evidence:
    """Propagate through six layers; train with equal weights; train thirty layers."""
    seen, apart = activations(units, min(seeds, 2))
    means = {name: layers[-1].mean(0).tolist() for name, layers in seen.items()}
    gaps = {name: max(abs(m - e) for m, e in zip(means[name], EXPECTED[name], strict=True)) for name in EXPECTED}
    shared = [f"data={data}", f"data.limit={limit or 'null'}", "trainer.epochs=null", f"trainer.steps={steps}"]
    equal = train(*shared, "initialization=constant", "architecture.widths=[64]", seeds=[0])
    differ = float(np.ptp(equal.trainer.stack.views["linear1.weight"][0].numpy(), axis=0).max())
    rates, sections = [0.001, 0.003, 0.01], [compose(f"initialization={n}")["initialization"] for n in ("he", "xavier")]
    vary = [{"initialization": section, "optimizer.learning_rate": rate} for section in sections for rate in rates]
    deep = train(*shared, "optimizer=heavy_ball", f"architecture.widths={[width] * 30}", vary=vary, seeds=range(seeds))
    curves = np.nan_to_num(smoothed(deep.losses, 25), nan=9.0).reshape(2, len(rates), seeds, -1)
    losses, best = curves[..., -1], curves[..., -1].mean(2).argmin(1)
    accuracy = deep.last("test", "accuracy").reshape(2, len(rates), seeds)
    near = all(gap <= (0.03 if name.endswith("He") else 0.01) * (4096 / units) ** 0.5 for name, gap in gaps.items())
    claims = {
        "the deviations of all six layers and five rules are the expected ones": near,
        "compiled code propagates as torch does, to 2e-5": apart < 2e-5,
        "constant weights: the hidden units are the same after training as before": differ < 1e-4,
        "30 layers: He learns with every seed (loss below 2.0)": bool((losses[0, best[0]] < 2.0).all()),
        "30 layers: Xavier stalls at log 10 with every seed, at every rate": bool((losses[1] > 2.25).all()),
    }
    table = [["std of activations", *(f"layer {i + 1}" for i in range(6)), "gap to the expected"]]
    table += [[name, *(f"{m:.3f}" for m in means[name]), f"{gaps[name]:.3f}"] for name in EXPECTED]
    same = f"accuracy {equal.last('test', 'accuracy')[0, 0]:.1%}"
    table.append(["constant weights, one layer", f"units differ by {differ:.1e}", same, *[""] * 5])
    figure, axes = panels(6, 6, width=2.4, height=1.6)
    for place, (name, i) in enumerate(itertools.product(seen, range(6))):
        axes[place].hist(seen[name][i].ravel().numpy(), bins=40, range=SPAN[name[0]], density=True)
        axes[place].set(yticks=[], title=f"{'' if i else name + ': '}{means[name][i]:.3f}")
    bottom = figure.add_subplot(axes[30].get_gridspec()[5, :])
    for ax in axes[30:]:
        ax.remove()
    for name, i, j in (("He", 0, best[0]), ("Xavier", 1, best[1])):
        row = [f"30 layers, {name}, best rate {rates[j]}", f"loss {shown(losses[i, j])}"]
        table.append([*row, f"test accuracy {shown(accuracy[i, j], 1, percent=True)} %", *[""] * 5])
        band(bottom, np.arange(curves.shape[-1]), curves[i, j], f"{name}, 30 layers, rate {rates[j]}")
    bottom.set(xlabel="step", ylabel="training loss")
    bottom.legend()
    results = {"rates": rates, "deviations": means, "gaps": gaps, "compiled_and_torch": apart, "constant": differ}
    return Evidence(results | {"loss": losses.tolist(), "accuracy": accuracy.tolist()}, claims, table, figure)
