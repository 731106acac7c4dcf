"""Feature learning: what the first layer sees, and a linear classifier on learned features against one on pixels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, panels, shown
from experiments.running import Grid, train
from nnlab.report.style import DIVERGING
from nnlab.types import Dataset, Split

QUICK: dict[str, Any] = {"data": "digits", "seeds": 3, "epochs": 30, "width": 64, "limit": None}
DEFAULT: dict[str, Any] = {"data": "mnist", "seeds": 5, "epochs": 6, "width": 256, "limit": 20000}
FULL: dict[str, Any] = {"data": "mnist", "seeds": 10, "epochs": 20, "width": 1024, "limit": None}


def features(grid: Grid, row: int, trained: bool) -> Dataset:
    """The data as one network's hidden layer sees it, standardized; `trained` false: with its random first weights."""
    data, network = grid.trainer.members[row].dataset, grid.trainer.stack.member(row)
    if not trained:
        network.linear1.weight.data.normal_(0, (2 / network.linear1.in_features) ** 0.5)
        network.linear1.bias.data.zero_()
    hidden = torch.nn.Sequential(*list(network.children())[:-1])
    with torch.no_grad():
        seen = {name: hidden(getattr(data, name).inputs) for name in ("train", "validation", "test")}
    mean, std = seen["train"].mean(0), seen["train"].std(0) + 1e-3
    splits = {name: Split((value - mean) / std, getattr(data, name).targets) for name, value in seen.items()}
    return dataclasses.replace(data, **splits)


def smoothness(images: np.ndarray) -> float:
    """Correlation of neighbouring pixels of weight images (units, H, W): 0 for noise, near 1 for strokes."""
    centred = images - images.mean((1, 2), keepdims=True)
    neighbours = (centred[:, :, 1:] * centred[:, :, :-1]).mean((1, 2))
    return float((neighbours / centred.var((1, 2))).mean())


def run(data: str, seeds: int, epochs: int, width: int, limit: int | None) -> Evidence:
    """Train networks, then linear classifiers on what they learned, on random features and on pixels."""
    shared = [f"data={data}", f"trainer.epochs={epochs}", "trainer.batch_size=64", f"data.limit={limit or 'null'}"]
    decay = ["regularizer.weight_decay.strength=0.0003"]
    grid = train(*shared, *decay, f"architecture.widths=[{width}]", "optimizer.learning_rate=0.003",
                 "scheduler=cosine", seeds=range(seeds))  # fmt: skip
    linear = [*shared, "architecture=perceptron", "optimizer.learning_rate=0.003", "scheduler=cosine"]
    errors = {"the network itself": 1 - grid.last("test", "accuracy")[0]}
    errors["linear, on pixels"] = 1 - train(*linear, *decay, seeds=range(seeds)).last("test", "accuracy")[0]
    for name, trained in (("linear, on random features", False), ("linear, on learned features", True)):
        torch.manual_seed(0)
        sets = [features(grid, row, trained) for row in range(seeds)]
        errors[name] = np.array([1 - train(*linear, *decay, data=each).last("test", "accuracy")[0, 0] for each in sets])
    side = round(grid.trainer.members[0].dataset.input_size ** 0.5)
    images = grid.trainer.stack.views["linear1.weight"][0].numpy().reshape(-1, side, side)
    noise = np.random.default_rng(0).normal(size=images.shape)
    strokes, random = smoothness(images), smoothness(noise)
    pixels, learned = errors["linear, on pixels"], errors["linear, on learned features"]
    random_features = errors["linear, on random features"]
    claims = {
        "learned features take a quarter or more off the error of a linear classifier on pixels": bool(
            learned.mean() < 0.75 * pixels.mean()
        ),
        "they beat as many random features, for every seed": bool((learned < random_features).all()),
        "a linear classifier on them is about as good as the network (within 2 points)": bool(
            abs(learned.mean() - errors["the network itself"].mean()) < 0.02
        ),
    }  # fmt: skip
    if data == "mnist":
        claims["first-layer weights are smooth images, not noise (correlation above 0.2)"] = strokes > 0.2
    table = [["classifier", "test error %"], *([name, shown(value, 2, percent=True)] for name, value in errors.items())]
    table += [["correlation of neighbouring weights: learned / noise", f"{strokes:.2f} / {random:.2f}"]]
    figure, axes = panels(8, 4, width=1.0, height=1.0)
    order = np.abs(images).max((1, 2)).argsort()[::-1]
    for ax, unit in zip(axes, order, strict=False):
        bound = np.abs(images[unit]).max()
        ax.imshow(images[unit], cmap=DIVERGING, vmin=-bound, vmax=bound)
    for ax in axes:
        ax.set_axis_off()
    figure.suptitle(f"{data}: first-layer weights of 32 of {width} units\npurple positive, orange negative, white zero")
    results = {name: value.tolist() for name, value in errors.items()}
    return Evidence({**results, "neighbour_correlation": strokes}, claims, table, figure)
