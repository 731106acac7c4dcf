"""XOR: no single unit computes it, the lecture's hand-set network does, and trained networks mostly do."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from scipy.optimize import linprog

from experiments.reporting import Evidence, panels
from experiments.running import train
from nnlab.activation import HardThreshold
from nnlab.architecture import MLP

QUICK: dict[str, Any] = {"seeds": 150, "steps": 700, "widths": [2, 8]}
DEFAULT: dict[str, Any] = {"seeds": 1000, "steps": 5000, "widths": [2, 3, 4, 8]}
FULL: dict[str, Any] = {"seeds": 10000, "steps": 5000, "widths": [2, 3, 4, 8]}

POINTS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = (0, 1, 1, 0)
PUBLISHED = {  # share of 1,000 seeds, by hidden units
    "sigmoid": {2: 0.875, 3: 0.992, 4: 1.0, 8: 1.0},
    "tanh": {2: 0.734, 3: 0.969, 4: 0.997, 8: 1.0},
    "relu": {2: 0.218, 3: 0.502, 4: 0.690, 8: 0.968},
}
TOLERANCE = 0.06
SETTING = [
    *("data=xor", "data/preprocessing=none", "initialization=pytorch", "loss=binary_cross_entropy"),
    *("optimizer=heavy_ball", "optimizer.learning_rate=0.5", "trainer.batch_size=full", "trainer.epochs=null"),
]


def separable(labels: tuple[int, ...]) -> bool:
    """Whether some w and b give s (w x + b) >= 1 at all four points: a linear program, exact and exhaustive."""
    signs = 2.0 * np.array(labels) - 1
    rows = -signs[:, None] * np.hstack([POINTS.numpy(), np.ones((4, 1))])
    return bool(linprog(np.zeros(3), A_ub=rows, b_ub=-np.ones(4), bounds=(None, None)).success)


def set_by_hand() -> list[int]:
    """Outputs of h1 = x1 OR x2, h2 = x1 AND x2, y = h1 AND NOT h2, with hard thresholds."""
    network = MLP((2,), lambda features: torch.nn.Linear(features, 1), HardThreshold, [2])
    values = {"linear1.weight": [[1.0, 1.0], [1.0, 1.0]], "linear1.bias": [-0.5, -1.5]}
    values |= {"output.weight": [[1.0, -1.0]], "output.bias": [-0.5]}
    network.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    return (network(POINTS).squeeze(1) > 0).int().tolist()  # type: ignore[no-any-return]


def solved(seeds: int, steps: int, *overrides: str) -> np.ndarray:
    """Which seeds end with all four points right, and the share of points that are."""
    population = train(*SETTING, f"trainer.steps={steps}", *overrides, seeds=range(seeds))
    return np.nan_to_num(population.last("train", "accuracy")[0])


def run(seeds: int, steps: int, widths: list[int]) -> Evidence:
    """Search, set and train."""
    linear = [labels for labels in itertools.product((0, 1), repeat=4) if separable(labels)]
    one = solved(seeds, steps, "architecture=perceptron")
    rates = {
        name: {
            width: float((solved(seeds, steps, f"activation={name}", f"architecture.widths=[{width}]") == 1).mean())
            for width in widths
        }
        for name in PUBLISHED
    }
    claims = {
        "of the 16 functions of two bits one unit separates all but XOR and its negation": len(linear) == 14
        and XOR not in linear
        and tuple(1 - bit for bit in XOR) not in linear,
        f"no single unit learns XOR in {seeds} seeds": bool((one < 1).all()),
        "the hand-set threshold network computes XOR": set_by_hand() == list(XOR),
        "more hidden units succeed more often": all(r[widths[-1]] > r[widths[0]] + 0.05 for r in rates.values()),
        "with two hidden units ReLU fails more often than tanh and sigmoid": rates["relu"][2] + 0.2
        < min(rates["tanh"][2], rates["sigmoid"][2]),
    }
    if steps == 5000:
        gap = max(abs(rates[name][width] - PUBLISHED[name][width]) for name in rates for width in widths)
        claims[f"success rates within {TOLERANCE} of the expected ones"] = gap <= TOLERANCE
    table = [["hidden units", *(f"{n} (expected)" for n in rates)]]
    table += [[str(w), *(f"{rates[n][w]:.3f} ({PUBLISHED[n][w]:.3f})" for n in rates)] for w in widths]
    figure, (axes,) = panels()
    for name, by_width in rates.items():
        (line,) = axes.plot(widths, list(by_width.values()), "o-", label=name)
        axes.plot(widths, [PUBLISHED[name][w] for w in widths], "x", color=line.get_color(), markersize=8)
    axes.set(
        xlabel="hidden units", ylabel=f"share of {seeds} seeds that learn XOR", title="Trained networks", ylim=(0, 1.03)
    )
    axes.set_xticks(widths)
    axes.plot([], [], "x", color="grey", label="expected")
    axes.legend()
    results = {"success": rates, "single_unit_best_accuracy": float(one.max()), "separable": linear, "seeds": seeds}
    return Evidence(results, claims, table, figure)
