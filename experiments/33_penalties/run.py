"""L2, L1, max-norm and Dropout in three layers on MNIST, each at the strength that validates best."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from experiments.published import Evidence, Found, Row, at_full_size, evidence, less, measure
from experiments.running import Grid, train

NET = ["optimizer=heavy_ball", "optimizer.momentum=0.95", "scheduler=linear", "trainer.batch_size=256"]
MNIST = ["data=mnist", "data/preprocessing=none", *NET]
L2, L1, BOUND = "regularizer.weight_decay.strength", "regularizer.l1.strength", "regularizer.max_norm.max_norm"
PLAIN = ("optimizer.learning_rate=0.1",)
DROPOUT = ("optimizer.learning_rate=0.03", "regularizer.dropout.p=0.5", "regularizer.dropout.input_p=0.2")
# By name, which takes the chosen strengths: published error, strengths to choose from, epochs of a network, the rest.
ROWS: dict[str, tuple[float, dict[str, list[float]], int, tuple[str, ...]]] = {
    "L2 {:g}": (1.62, {L2: [3e-5, 1e-4, 3e-4, 1e-3]}, 1, ("regularizer=[weight_decay]", *PLAIN)),
    "L2 {:g} and L1 {:g}": (1.60, {L2: [1e-4], L1: [3e-6, 1e-5]}, 1, ("regularizer=[weight_decay,l1]", *PLAIN)),
    "max-norm {:g}": (1.35, {BOUND: [0.7, 1, 1.5]}, 1, ("regularizer=[max_norm]", *PLAIN)),
    "Dropout, L2 {:g}": (1.25, {L2: [1e-5, 1e-4, 3e-4]}, 2, ("regularizer=[dropout,weight_decay]", *DROPOUT)),
    "Dropout, max-norm {:g}": (1.05, {BOUND: [0.7, 1]}, 2, ("regularizer=[dropout,max_norm]", *DROPOUT)),
}
QUICK: dict[str, Any] = {
    "setting": ["data=digits", *NET, "trainer.batch_size=128"], "width": 64, "epochs": 50,
    "trial": {"width": 32, "epochs": 5}, "seeds": 2,
}  # fmt: skip
DEFAULT: dict[str, Any] = {
    "setting": [*MNIST, "data.limit=10000"], "width": 256, "epochs": 15, "trial": {"width": 256, "epochs": 15},
    "seeds": 3,
}  # fmt: skip
FULL: dict[str, Any] = {
    "setting": MNIST, "width": 512, "epochs": 20, "trial": {"width": 256, "epochs": 8}, "seeds": 2,
}  # fmt: skip


def size(setting: Sequence[str], width: int, epochs: int) -> list[str]:
    """A setting with three hidden layers, the last of twice as many units."""
    return [*setting, f"architecture.widths={[width, width, 2 * width]}", f"trainer.epochs={epochs}"]


def tried(setting: Sequence[str], width: int, epochs: int) -> dict[str, list[tuple[tuple[float, ...], float]]]:
    """Of every row its strengths with their validation errors, percent; training examples do not include these."""
    found = {}
    for name, (_, strengths, times, overrides) in ROWS.items():
        grid = train(*size(setting, width, times * epochs), *overrides, vary=strengths)
        errors = np.nan_to_num(100 - 100 * grid.last("validation", "accuracy")[:, 0], nan=100)
        found[name] = list(zip(itertools.product(*strengths.values()), errors.tolist(), strict=True))
    return found


def weights(grid: Grid) -> dict[str, Any]:
    """Errors on training examples, percent, and the absolute hidden weights of the first network, in quantiles."""
    matrices = [p.detach().flatten() for p in grid.trainer.stack.member(0).parameters() if p.ndim == 2][:-1]
    absolute = torch.cat(matrices).abs().numpy()
    training = 100 - 100 * grid.last("train", "accuracy")[0]
    return {"training": training.tolist(), "quantiles": np.quantile(absolute, np.linspace(0, 1, 101)).tolist()}


def run(setting: Sequence[str], width: int, epochs: int, trial: Mapping[str, int], seeds: int) -> Evidence:
    """Choose the strengths on validation examples, then train every net with every seed."""
    start = time.process_time()
    choices, rows, found = tried(setting, **trial), list[Row](), dict[str, Found]()
    seconds = time.process_time() - start
    for name, (published, strengths, times, overrides) in ROWS.items():
        best, _ = min(choices[name], key=lambda choice: choice[1])
        chosen = [f"{key}={value:g}" for key, value in zip(strengths, best, strict=True)]
        rows.append(Row(name.format(*best), published, *overrides, *chosen))
        found |= measure("penalties", rows[-1:], size(setting, width, times * epochs), range(seeds), weights)
    l2, l1, bound, dropout, both = (found[row.name] for row in rows)
    small = {name: float(np.interp(1e-3, each.more["quantiles"], range(101))) for name, each in found.items()}
    claims = {
        "every net errs less than one in ten": max(each.mean for each in found.values()) < 10,
        "L1 beside L2 leaves more weights below 0.001 than L2 alone": small[rows[1].name] > small[rows[0].name],
    }
    if "data=mnist" in setting:
        claims["max-norm errs less than L2"] = less(bound, l2)
        claims["L2 and L1 err no more than L2"] = not less(l2, l1)
        claims["Dropout lowers the error of L2"] = less(dropout, l2)
        claims["Dropout lowers the error of max-norm"] = less(both, bound)
        claims["with Dropout, max-norm errs less than L2"] = less(both, dropout)
    result = evidence(rows, found, claims, "Penalties and bounds on MNIST", at_full_size(setting), beside=1)
    result.results |= {"trial": dict(zip(found, choices.values(), strict=True)), "below 0.001, percent": small}
    result.seconds = (result.seconds or 0.0) + seconds
    axes = result.figure.axes[1]
    for name, each in found.items():
        axes.plot(each.more["quantiles"], range(101), label=name)
    axes.set(xscale="log", xlim=(1e-4, 1), xlabel="absolute hidden weight", ylabel="% of weights below it")
    axes.legend()
    return result
