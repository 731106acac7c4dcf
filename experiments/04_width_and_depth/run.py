"""One hidden layer approximates better with width; depth reaches the same error with fewer units (sawtooth)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, panels, plain, shown
from experiments.running import train
from nnlab.activation import ReLU
from nnlab.architecture import MLP
from nnlab.types import Dataset, Split, Task

QUICK: dict[str, Any] = {"seeds": 4, "steps": 1500, "widths": [2, 32], "folds": 4}
DEFAULT: dict[str, Any] = {"seeds": 10, "steps": 6000, "widths": [2, 4, 8, 16, 32, 64], "folds": 4}
FULL: dict[str, Any] = {"seeds": 100, "steps": 100000, "widths": [2, 4, 8, 16, 32, 64, 128, 256, 512], "folds": 4}

SHARED = ["loss=squared_error", "trainer.batch_size=full", "trainer.epochs=null", "optimizer.learning_rate=0.01"]
SHARED += ["initialization=pytorch"]  # its biases spread the kinks over the interval; zero biases put all at one point


def sawtooth(x: torch.Tensor, folds: int) -> torch.Tensor:
    """The tent map 1 - |2 x - 1| applied `folds` times: 2^folds linear pieces on [0, 1]."""
    for _ in range(folds):
        x = 1 - (2 * x - 1).abs()
    return x


def curve(values: torch.Tensor, x: torch.Tensor) -> Dataset:
    """One input in [-1, 1]; every split is the whole curve, for this is about approximation."""
    split = Split(2 * x - 1, (values - values.mean()) / values.std(correction=0))
    return Dataset(split, split, split, Task.REGRESSION, ("y",))


def set_by_hand(folds: int) -> MLP:
    """The sawtooth exactly, with 2 ReLU units for each fold: tent(x) = 2 relu(x) - 4 relu(x - 1/2) on [0, 1]."""
    network = MLP((1,), lambda features: torch.nn.Linear(features, 1), ReLU, [2] * folds)
    tent, offset = torch.tensor([[2.0, -4.0]]), torch.tensor([0.0, -0.5])
    linears = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    for position, layer in enumerate(linears):
        inner = torch.ones(1, 1) if position == 0 else tent
        last = position == folds
        layer.weight.data = inner if last else torch.cat([inner, inner])
        layer.bias.data = torch.zeros(1) if last else offset.clone()
    return network


def fit(data: Dataset, steps: int, seeds: int, widths: list[int]) -> np.ndarray:
    """Root mean squared errors (seeds,) in units of the target's standard deviation."""
    layers = f"architecture.widths={widths}".replace(" ", "")
    trained = train(*SHARED, "data=diabetes", layers, f"trainer.steps={steps}", "scheduler=cosine",
                    seeds=range(seeds), data=data)  # fmt: skip
    return trained.last("train", "rmse")[0]


def run(seeds: int, steps: int, widths: list[int], folds: int) -> Evidence:
    """Widths of one layer on a smooth curve; shallow and deep networks on a sawtooth."""
    x = torch.linspace(0, 1, 257).unsqueeze(1)
    smooth = curve(torch.sin(2 * torch.pi * x) + 0.5 * torch.sin(6 * torch.pi * x), x)
    by_width = {width: fit(smooth, steps, seeds, [width]) for width in widths}
    with torch.no_grad():
        exact = {k: float((set_by_hand(k)(x) - sawtooth(x, k)).abs().max()) for k in (folds, 8)}
    saw = curve(sawtooth(x, folds), x)
    shallow = {units: fit(saw, steps, seeds, [units]) for units in (24, 96)}
    deep = {24: fit(saw, steps, seeds, [8, 8, 8]), 96: fit(saw, steps, seeds, [32, 32, 32])}
    table = [["target", "network", "units", "RMSE / std, mean ± std", "best seed"]]
    rows = [("two sines", "one layer", w, v) for w, v in by_width.items()]
    rows += [(f"sawtooth, {2**folds} pieces", "one layer", w, v) for w, v in shallow.items()]
    rows += [(f"sawtooth, {2**folds} pieces", "three layers", w, v) for w, v in deep.items()]
    table += [[*row, shown(v, 4), f"{v.min():.4f}"] for *row, v in rows]
    table += [[f"sawtooth, {2**k} pieces", "set by hand", 2 * k, f"{gap:.0e}", ""] for k, gap in exact.items()]
    claims = {
        "one layer approximates better with width: below 0.6 of the error at the widest": bool(
            by_width[widths[-1]].mean() < 0.6 * by_width[widths[0]].mean()
        ),
        "set by hand, 16 units in 8 layers are the sawtooth of 256 pieces, which takes 255 units in one": exact[8]
        < 1e-5,
        "trained, three layers of 32 fit the sawtooth better than one of 96: half the error in the best seed": bool(
            deep[96].min() < 0.5 * shallow[96].min()
        ),
        "and in the mean": bool(deep[96].mean() < shallow[96].mean()),
    }
    figure, (left, right) = panels(2)
    left.set_xscale("log", base=2)
    left.semilogy(widths, [v.mean() for v in by_width.values()], "o-")
    left.fill_between(widths, *zip(*[(v.min(), v.max()) for v in by_width.values()], strict=True), alpha=0.15)
    plain(left.yaxis, [0.1, 0.2, 0.3, 0.5, 1.0])
    left.set(xlabel="units of the one hidden layer", ylabel="RMSE / std", title="Width: two sines")
    for label, values in (("one layer", shallow), ("three layers", deep)):
        line = right.errorbar(list(values), [v.mean() for v in values.values()], [v.std() for v in values.values()],
                              fmt="o-", capsize=3, label=label)  # fmt: skip
        right.plot(list(values), [v.min() for v in values.values()], "x", color=line[0].get_color())
    right.set(xlabel="units", ylabel="RMSE / std (x: best seed)", title=f"Depth: sawtooth of {2**folds} pieces")
    right.legend()
    groups = {"by_width": by_width, "shallow": shallow, "deep": deep}
    results = {name: {units: v.tolist() for units, v in group.items()} for name, group in groups.items()}
    return Evidence({**results, "hand_error": exact}, claims, table, figure)
