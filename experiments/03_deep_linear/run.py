"""Linear layers in a row are one linear layer: their product predicts the same, and fits no better."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, band, panels, shown
from experiments.running import Grid, train

QUICK: dict[str, Any] = {"seeds": 3, "steps": 1000}
DEFAULT: dict[str, Any] = {"seeds": 20, "steps": 5000}
FULL: dict[str, Any] = {"seeds": 100, "steps": 20000}

SHARED = ["data=diabetes", "loss=squared_error", "trainer.batch_size=full", "trainer.epochs=null"]
SHARED += ["trainer.precision=float64", "optimizer.learning_rate=0.01", "scheduler=cosine"]
DEPTHS = {1: [], 2: [32], 3: [32, 32], 5: [32] * 4}


def collapse_gap(grid: Grid, row: int) -> float:
    """Largest difference between a network's outputs and those of the single layer W = W_L ... W_1."""
    network = grid.trainer.stack.member(row)
    inputs = grid.trainer.members[row].dataset.test.inputs
    weight, bias = torch.eye(inputs.shape[1], dtype=inputs.dtype), torch.zeros(inputs.shape[1], dtype=inputs.dtype)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear):
            weight, bias = layer.weight @ weight, layer.weight @ bias + layer.bias
    with torch.no_grad():
        return float((network(inputs) - (inputs @ weight.T + bias)).abs().max())


def least_squares(grid: Grid) -> float:
    """The smallest loss that a linear function can have on the training data."""
    split = grid.trainer.members[0].dataset.train
    inputs = torch.cat([split.inputs, torch.ones(len(split), 1, dtype=split.inputs.dtype)], 1)
    residual = inputs @ torch.linalg.lstsq(inputs, split.targets).solution - split.targets
    return float(residual.square().sum(1).mean() / 2)


def run(seeds: int, steps: int) -> Evidence:
    """Train linear networks of four depths, and one with ReLU."""
    results: dict[str, Any] = {}
    table = [["layers", "activation", "training loss", "collapsed layer predicts within"]]
    figure, (axes,) = panels(width=7.0)
    for depth, activation in [(1, "identity"), (2, "identity"), (3, "identity"), (5, "identity"), (3, "relu")]:
        widths = f"architecture.widths={DEPTHS[depth]}".replace(" ", "")
        grid = train(*SHARED, f"activation={activation}", widths, f"trainer.steps={steps}", seeds=range(seeds))
        losses = grid.last("train", "loss")[0]
        gap = max(collapse_gap(grid, row) for row in range(seeds)) if activation == "identity" else float("nan")
        results[f"{activation} {depth}"] = {"losses": losses.tolist(), "collapse_gap": gap}
        table.append([depth, activation, shown(losses, 4), f"{gap:.0e}" if np.isfinite(gap) else "-"])
        label = f"{depth} layer{'s' * (depth > 1)}, {'linear' if activation == 'identity' else activation}"
        band(axes, np.arange(1, steps + 1), grid.losses[0], label)
    floor = least_squares(grid)
    table.insert(1, ["linear regression", "-", f"{floor:.4f}", "-"])
    axes.axhline(floor, color="black", linestyle=":", label="linear regression")
    axes.set(
        xlabel="step",
        ylabel="training loss (mean, and range of seeds)",
        title="Depth without non-linearity",
        xscale="log",
        ylim=(0, 1),
    )
    axes.legend()
    linear = [r for name, r in results.items() if name.startswith("identity")]
    claims = {
        "the product of the matrices predicts the same as the deep linear network": all(
            r["collapse_gap"] < 1e-10 for r in linear
        ),
        "no deep linear network fits better than linear regression": all(
            min(r["losses"]) >= floor - 1e-9 for r in linear
        ),
        "all reach linear regression within 2 %": all(max(r["losses"]) < 1.02 * floor for r in linear),
        "the same network with ReLU fits far better": max(results["relu 3"]["losses"]) < 0.5 * floor,
    }
    return Evidence({"least_squares": floor, **results}, claims, table, figure)
