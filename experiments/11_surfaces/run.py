"""Ravines, saddle points, plateaus and noise: the paths of the optimizers over surfaces of two parameters."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, panels
from nnlab.optimizer import SGD, Adadelta, Adagrad, Adam, FirstOrder, HeavyBall, Momentum, Nesterov, RMSProp

QUICK: dict[str, Any] = {"steps": 300, "rates": 9, "seeds": 20}
DEFAULT: dict[str, Any] = {"steps": 2000, "rates": 23, "seeds": 200}
FULL: dict[str, Any] = {"steps": 20000, "rates": 45, "seeds": 1000}

RULES: dict[str, FirstOrder] = {
    "sgd": SGD(), "momentum": Momentum(), "momentum, arithmetic": Momentum(average="arithmetic"),
    "heavy ball": HeavyBall(), "nesterov": Nesterov(), "adagrad": Adagrad(), "rmsprop": RMSProp(),
    "adadelta": Adadelta(), "adam": Adam(),
}  # fmt: skip
# Surface, start, and the height below which it is solved once it stays there (the saddle point itself is at 0).
SURFACES: dict[str, tuple[Any, tuple[float, float], float]] = {
    "ravine": (lambda x, y: 0.5 * (x**2 + 100 * y**2), (-2.0, 0.3), 1e-4),
    "turned ravine": (lambda x, y: 0.25 * ((x + y) ** 2 + 100 * (y - x) ** 2), (-1.6, -1.2), 1e-4),
    "rosenbrock": (lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, (-1.2, 1.0), 1e-2),
    "saddle": (lambda x, y: 0.5 * (x**2 - y**2) + 0.05 * y**4, (-1.5, 1e-4), -1.0),
    "plateau": (lambda x, y: -torch.exp(-0.5 * (x**2 + y**2)), (-3.0, 1.5), -0.99),
    "noisy bowl": (lambda x, y: 0.5 * (x**2 + y**2), (-2.0, 1.0), 0.05),
}
VIEWS = [((-2.2, 0.6), (-1.0, 0.5)), ((-1.9, 0.5), (-2.6, 0.4)), ((-1.5, 1.3), (-1.3, 1.5))]  # x and y of the figures
VIEWS += [((-2.2, 1.6), (-2.4, 3.3)), ((-3.2, 2.0), (-2.6, 1.8)), ((-2.2, 0.8), (-1.7, 1.2))]


def descend(name: str, surface: str, steps: int, rates: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Paths (steps + 1, M, 2) and heights (steps + 1, M) of M descents with rates (M, 1)."""
    (value, start, _), rule = SURFACES[surface], RULES[name]
    theta = torch.tensor(start, dtype=torch.float64).repeat(len(rates), 1)
    noise, state, path = torch.Generator().manual_seed(0), rule.initial_state(theta), [theta.clone()]
    for k in range(1, steps + 1):
        point = theta.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(value(point[:, 0], point[:, 1]).sum(), point)
        if surface == "noisy bowl":
            gradient = gradient + torch.randn(theta.shape, generator=noise, dtype=theta.dtype)
        with torch.no_grad():
            rule.update(theta, gradient, state, rates, k)
        path.append(theta.clone())
    paths = torch.stack(path)
    return paths.numpy(), value(*paths.unbind(2)).numpy()


def solve(name: str, surface: str, steps: int, rates: int, seeds: int) -> dict[str, Any]:
    """Steps to the target at the best of the rates, steps + 1 where none gets there; over seeds, the mean height."""
    repeats = seeds if surface == "noisy bowl" else 1
    grid = torch.logspace(-4, 1.5, rates, dtype=torch.float64).repeat_interleave(repeats).unsqueeze(1)
    paths, heights = descend(name, surface, steps, grid)
    heights = np.nan_to_num(heights, nan=1e99).clip(max=1e99).reshape(steps + 1, rates, repeats).mean(2)
    reached = steps + 1 - (heights < SURFACES[surface][2])[::-1].cumprod(0).sum(0)  # from here on it stays below
    best = int(np.lexsort((heights[-1], reached))[0])
    return {"steps": int(reached[best]), "rate": float(grid[best * repeats]), "path": paths[:, best * repeats]}


def run(steps: int, rates: int, seeds: int) -> Evidence:
    """Every optimizer at its best rate on every surface."""
    found = {(s, n): solve(n, s, steps, rates, seeds) for s, n in itertools.product(SURFACES, RULES)}
    took = {key: each["steps"] for key, each in found.items()}
    table = [["steps to the target", *SURFACES]]
    table += [[n, *(took[s, n] if took[s, n] <= steps else f"> {steps}" for s in SURFACES)] for n in RULES]
    noise = {eta: descend("sgd", "noisy bowl", 400, torch.full((seeds, 1), eta).double())[1] for eta in (0.1, 0.3)}
    hover = {eta: float(heights[100:].mean()) for eta, heights in noise.items()}
    ravines = itertools.product(("ravine", "turned ravine"), ("momentum", "heavy ball", "nesterov"))
    claims = {
        "ravine: momentum in any form needs less than half the steps of plain descent": all(
            2 * took[s, n] < took[s, "sgd"] for s, n in ravines
        ),
        "ravine along the axes: Adagrad's normalisation needs less than a tenth of them": 10 * took["ravine", "adagrad"]
        < took["ravine", "sgd"],
        "turned ravine: that advantage is lost, for the rule is bound to the axes": took["turned ravine", "adagrad"]
        > 10 * took["ravine", "adagrad"],
        "saddle: gradient normalisation leaves in less than half the steps of plain descent": 2
        * took["saddle", "rmsprop"] < took["saddle", "sgd"],
        "noise: plain descent hovers at the height eta/(2 - eta) of theory, within 20 %": all(
            abs(height / (eta / (2 - eta)) - 1) < 0.2 for eta, height in hover.items()
        ),
    }  # fmt: skip
    figure, axes = panels(3, 2, width=5.0, height=4.4)
    for ax, view, (surface, (value, _, _)) in zip(axes, VIEWS, SURFACES.items(), strict=True):
        x, y = torch.meshgrid(*[torch.linspace(*limits, 160) for limits in view], indexing="xy")
        heights = value(x, y)
        ax.contour(x, y, (heights - heights.min()).sqrt(), 24, colors="lightgrey", linewidths=0.6)
        for name in ("sgd", "heavy ball", "rmsprop", "adam"):
            path = found[surface, name]["path"][:400]
            label = f"{name}, rate {found[surface, name]['rate']:.2g}"
            ax.plot(path[:, 0], path[:, 1], ".-", markersize=3, linewidth=1, label=label, alpha=0.8)
        ax.set(xlim=view[0], ylim=view[1], xlabel="parameter x", ylabel="y", title=surface)
        ax.legend(loc="lower left")
    results = {f"{s}, {n}": {k: v for k, v in each.items() if k != "path"} for (s, n), each in found.items()}
    return Evidence({"hover": hover, **results}, claims, table, figure)
