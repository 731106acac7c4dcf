"""Preprocessing: raw, standardized and whitened inputs; steps, condition of the Hessian, sensitivity to weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, panels, shown
from experiments.running import train
from nnlab.cli import compose
from nnlab.config.build import load_dataset

QUICK: dict[str, Any] = {"steps": 400, "rates": 8, "seeds": 2, "draws": 200}
DEFAULT: dict[str, Any] = {"steps": 3000, "rates": 19, "seeds": 3, "draws": 2000}
FULL: dict[str, Any] = {"steps": 100000, "rates": 40, "seeds": 20, "draws": 20000}

WAYS = {"raw": "none", "standardized": "standardize", "whitened": "whiten"}
TARGET = 0.07  # cross-entropy, nats


def condition(inputs: torch.Tensor) -> float:
    """Largest over smallest eigenvalue of the Hessian at w = 0 of logistic regression: 1/4 of the mean x x^T."""
    rows = torch.cat([inputs.flatten(1).double(), torch.ones(len(inputs), 1, dtype=torch.float64)], 1)
    eigenvalues = torch.linalg.eigvalsh(rows.T @ rows / len(rows) / 4)
    return float(eigenvalues[-1] / eigenvalues[0].clamp(min=1e-300))


def sensitivity(draws: int) -> dict[str, float]:
    """Share of two separated clouds that flips when the weights of a line between them change by 5 %.

    The clouds lie at the origin, or 20 deviations away from it; the line is the same one.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    points = torch.randn(400, 2, generator=generator, dtype=torch.float64)
    points = points + torch.stack([6.0 * labels - 3.0, torch.zeros(400)], 1)
    weight = torch.tensor([1.0, 0.0], dtype=torch.float64)
    changed = weight + 0.05 * torch.randn(draws, 2, generator=generator, dtype=torch.float64)
    flips = {}
    for name, centre in (("centred", 0.0), ("20 away", 20.0)):
        moved = points + centre
        before = moved @ weight > weight[0] * centre
        after = moved @ changed.T > weight[0] * centre
        flips[name] = float((after != before[:, None]).double().mean())
    return flips


def run(steps: int, rates: int, seeds: int, draws: int) -> Evidence:
    """Logistic regression on 30 measurements of very different sizes, by plain descent at the best of many rates."""
    shared = ["data=breast_cancer", "architecture=perceptron", "loss=binary_cross_entropy", "optimizer=sgd"]
    shared += ["trainer.batch_size=full", "trainer.epochs=null", f"trainer.steps={steps}", "trainer.precision=float64"]
    grid_of_rates = np.logspace(-6, 1.5, rates).tolist()
    reached: dict[str, np.ndarray] = {}
    kappa: dict[str, list[float]] = {}
    curves, best_rates = {}, {}
    for name, option in WAYS.items():
        rows, kappa[name] = [], []
        for seed in range(seeds):
            setting = [*shared, f"data/preprocessing={option}", f"data_seed={seed}"]
            kappa[name].append(condition(load_dataset(compose(*setting)).train.inputs))
            vary = {"optimizer.learning_rate": grid_of_rates}
            losses = np.nan_to_num(train(*setting, vary=vary, seeds=[seed]).losses[:, 0], nan=1e9)
            below = losses < TARGET
            first = np.where(below.any(1), below.argmax(1) + 1, steps + 1)
            pick = int(np.lexsort((losses[:, -1], first))[0])
            rows.append(first[pick])
            curves[name], best_rates[name] = losses[pick], grid_of_rates[pick]
        reached[name] = np.array(rows)
    flips = sensitivity(draws)
    claims = {
        "condition number: raw over a million times that of standardized": min(kappa["raw"])
        > 1e6 * max(kappa["standardized"]),
        "whitened inputs have less than a hundredth of that of standardized ones": 100 * max(kappa["whitened"])
        < min(kappa["standardized"]),
        f"raw: no rate reaches a loss of {TARGET} in {steps} steps, or needs 20 times the steps of standardized": bool(
            (reached["raw"] > np.minimum(20 * reached["standardized"], steps)).all()
        ),
        "clouds far from the origin: the same change of the weights flips 3 times as many points": flips["20 away"]
        > 3 * flips["centred"],
    }
    table = [["inputs", "condition number of the Hessian", f"steps to a loss of {TARGET} at the best rate"]]
    for name in WAYS:
        missed = bool((reached[name] > steps).all())
        table.append([name, f"{np.median(kappa[name]):.3g}", f"> {steps}" if missed else shown(reached[name], 0)])
    table += [[f"points that flip, clouds {name}", f"{share:.1%}", ""] for name, share in flips.items()]
    figure, axes = panels(3)
    for name, curve in curves.items():
        axes[0].loglog(np.arange(1, steps + 1), curve, label=f"{name}, rate {best_rates[name]:.2g}")
    axes[0].axhline(TARGET, color="grey", linestyle=":")
    axes[0].legend()
    axes[0].set(xlabel="step", ylabel="training loss", title="Logistic regression")
    axes[1].bar([*WAYS], [float(np.median(kappa[name])) for name in WAYS])
    axes[1].set(yscale="log", ylabel="condition number", title="Hessian at zero weights")
    axes[2].bar([*flips], [100 * share for share in flips.values()])
    axes[2].set(xlabel="clouds", ylabel="points that flip, %", title="Weights changed by 5 %")
    results = {"steps": {n: v.tolist() for n, v in reached.items()}, "condition": kappa, "flips": flips}
    return Evidence({**results, "rates": best_rates}, claims, table, figure)
