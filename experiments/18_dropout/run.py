"""Dropout: error with and without, weight scaling against Monte-Carlo averaging, sparsity, uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, panels, shown
from experiments.running import Grid, train
from nnlab.statistics.uncertainty import mutual_information, predictive_entropy

QUICK: dict[str, Any] = {"data": "digits", "limit": None, "width": 64, "epochs": 12, "seeds": 2, "masks": 30}
DEFAULT: dict[str, Any] = {"data": "mnist", "limit": 1000, "width": 256, "epochs": 60, "seeds": 3, "masks": 50}
FULL: dict[str, Any] = {"data": "mnist", "limit": None, "width": 1024, "epochs": 400, "seeds": 5, "masks": 200}
TEST = 1000  # examples for the averages over masks
DROPOUT = ["regularizer.dropout.p=0.5", "regularizer.dropout.input_p=0.2"]
NETS = {
    "none": ["regularizer=[weight_decay]"],
    "dropout": ["regularizer=[dropout]", *DROPOUT],
    "dropout and max-norm": ["regularizer=[dropout,max_norm]", "regularizer.max_norm.max_norm=2", *DROPOUT],
    "DropConnect": ["regularizer=[dropconnect]"],
}


def averaged(grid: Grid, inputs: torch.Tensor, targets: torch.Tensor, masks: int) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of weight scaling (seeds,), and of averages over 1, ..., `masks` masks (seeds, masks)."""
    rows = range(len(grid.seeds))
    running = torch.stack([grid.masked(row, inputs, masks).cumsum(0).argmax(-1) for row in rows])
    with torch.no_grad():
        scaled = grid.trainer.stack.outputs(inputs.expand(len(rows), *inputs.shape)).argmax(-1)
    return (scaled == targets).double().mean(-1).numpy(), (running == targets).double().mean(-1).numpy()


def rotated(inputs: torch.Tensor, degrees: float) -> torch.Tensor:
    """Images (N, K, H, W), turned; what comes in from outside is background."""
    angle = torch.tensor(np.deg2rad(degrees), dtype=inputs.dtype)
    turn = torch.stack([angle.cos(), -angle.sin(), angle * 0, angle.sin(), angle.cos(), angle * 0]).reshape(1, 2, 3)
    places = torch.nn.functional.affine_grid(turn.expand(len(inputs), -1, -1), list(inputs.shape), align_corners=False)
    return torch.nn.functional.grid_sample(inputs - inputs.min(), places, align_corners=False) + inputs.min()


def run(data: str, limit: int | None, width: int, epochs: int, seeds: int, masks: int) -> Evidence:
    """Train the nets, then average over masks and turn the digits."""
    shared = [f"data={data}", f"data.limit={limit or 'null'}", f"architecture.widths=[{width},{width}]"]
    shared += [f"trainer.epochs={epochs}", "scheduler=cosine", "trainer.batch_size=50", "optimizer.learning_rate=0.002"]
    grids = {name: train(*shared, *setting, seeds=range(seeds)) for name, setting in NETS.items()}
    error = {name: 1 - grid.last("test", "accuracy")[0] for name, grid in grids.items()}
    split = grids["dropout"].trainer.members[0].dataset.test
    inputs, targets = split.inputs[:TEST], split.targets[:TEST]
    scaled, sampled = averaged(grids["dropout"], inputs, targets, masks)
    angles = np.arange(0, 181, 30)
    turned = [grids["dropout"].masked(0, rotated(inputs[:300], float(angle)), masks) for angle in angles]
    entropy = [float(predictive_entropy(each).mean()) for each in turned]
    disagreement = [float(mutual_information(each).mean()) for each in turned]
    active = {}
    for name in ("none", "dropout"):
        layers = [grids[name].trainer.stack.member(row).linear1 for row in range(seeds)]
        active[name] = float(np.mean([float((layer(inputs.flatten(1)) > 0).double().mean()) for layer in layers]))
    doubt = entropy[3] / entropy[0], disagreement[3] / disagreement[0]
    gap = abs(sampled[:, -1] - scaled).max()
    points, close = ("2 points", 0.02) if data == "digits" else ("1 point", 0.01)
    claims = {
        "one mask is worse than weight scaling, with every seed": bool((sampled[:, 0] < scaled).all()),
        f"the average over {masks} masks is within {points} of weight scaling": gap < close,
    }
    if data != "digits":
        claims["dropout has a lower test error than none"] = error["dropout"].mean() < error["none"].mean()
        claims["DropConnect has a lower test error than none"] = error["DropConnect"].mean() < error["none"].mean()
        claims["digits turned by 90 degrees are more uncertain, and masks disagree more"] = min(doubt) > 1.5
        claims["dropout makes activations sparser"] = active["dropout"] < active["none"]
    table = [["net", "test error %"], *([name, shown(value, 2, percent=True)] for name, value in error.items())]
    table += [[f"dropout, average over {k} masks", shown(1 - sampled[:, k - 1], 2, True)] for k in (1, 5, masks)]
    table.append([f"dropout, weight scaling (same {len(inputs)} digits)", shown(1 - scaled, 2, percent=True)])
    table.append(["active units, none / dropout", f"{active['none']:.1%} / {active['dropout']:.1%}"])
    figure, axes = panels(3)
    axes[0].barh([*error], [100 * e.mean() for e in error.values()], xerr=[100 * e.std() for e in error.values()])
    axes[0].invert_yaxis()
    axes[0].set(xlabel="test error %", title=f"{data}, {limit or 'all'} examples")
    axes[1].plot(range(1, masks + 1), 100 - 100 * sampled.mean(0), label="average over k masks")
    axes[1].axhline(100 - 100 * scaled.mean(), color="grey", linestyle=":", label="weight scaling")
    axes[1].set(xlabel="masks k", ylabel="test error %", title="Monte-Carlo averaging", xscale="log")
    axes[2].plot(angles, entropy, "o-", label="entropy of the mean")
    axes[2].plot(angles, disagreement, "o-", label="mutual information")
    axes[2].set(xlabel="degrees turned", ylabel="nats", title="Uncertainty of turned digits")
    axes[1].legend()
    axes[2].legend()
    results = {"scaled": scaled.tolist(), "sampled": sampled.tolist(), "entropy": entropy, "active": active}
    errors = {"error": {name: e.tolist() for name, e in error.items()}, "mutual_information": disagreement}
    return Evidence({**results, **errors}, claims, table, figure)
