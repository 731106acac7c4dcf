"""One neuron with a sigmoid is logistic regression; C of them with softmax are multinomial logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, panels
from experiments.running import Grid, train

QUICK: dict[str, Any] = {"seeds": 3, "steps": 300, "descent_steps": 1000}
DEFAULT: dict[str, Any] = {"seeds": 20, "steps": 1000, "descent_steps": 5000}
FULL = DEFAULT

STRENGTH = 0.01  # scikit-learn's C is 1 / (strength * n): it weighs the sum of the losses, we the penalty on their mean
SHARED = ["architecture=perceptron", "initialization=gaussian", f"regularizer.weight_decay.strength={STRENGTH}"]
SHARED += ["trainer.batch_size=full", "trainer.epochs=null", "trainer.precision=float64"]
TASKS = {
    "breast cancer, sigmoid": ["data=breast_cancer", "loss=binary_cross_entropy"],
    "digits, softmax": ["data=digits", "loss=softmax_cross_entropy"],
}


def scikit_learn(grid: Grid) -> np.ndarray:
    """Weights and biases (C, D + 1) of scikit-learn on the same inputs with the same penalty."""
    from sklearn.linear_model import LogisticRegression

    split = grid.trainer.members[0].dataset.train
    inputs, labels = split.inputs.flatten(1).numpy(), split.targets.numpy()
    model = LogisticRegression(C=1 / (STRENGTH * len(labels)), tol=1e-12, max_iter=100000).fit(inputs, labels)
    return centred(np.hstack([model.coef_, model.intercept_[:, None]]))


def centred(solution: np.ndarray) -> np.ndarray:
    """Softmax does not change when a constant is added to all its inputs: take the biases with mean zero."""
    if len(solution) > 1:
        solution[:, -1] -= solution[:, -1].mean()
    return solution


def solution(grid: Grid, row: int) -> np.ndarray:
    """Weights and biases (C, D + 1) of one network."""
    views = grid.trainer.stack.views
    weights, biases = views["output.weight"][row].numpy(), views["output.bias"][row].numpy()
    return centred(np.hstack([weights, biases[:, None]]))


def run(seeds: int, steps: int, descent_steps: int) -> Evidence:
    """Solve by L-BFGS, by gradient descent from several starts, and by scikit-learn."""
    results: dict[str, Any] = {}
    table = [["task", "solved by", "parameters", "largest difference from scikit-learn", "largest parameter"]]
    figure, axes = panels(2)
    for (name, task), ax in zip(TASKS.items(), axes, strict=True):
        quasi_newton = train(*SHARED, *task, "optimizer=lbfgs", f"trainer.steps={steps}")
        expected, found = scikit_learn(quasi_newton), solution(quasi_newton, 0)
        gap, largest = float(np.abs(found - expected).max()), float(np.abs(expected).max())
        results[name] = {"lbfgs_gap": gap, "largest": largest}
        table.append([name, "L-BFGS", str(expected.size), f"{gap:.1e}", f"{largest:.2f}"])
        ax.plot(expected.ravel(), found.ravel(), ".", alpha=0.6)
        ax.axline((0, 0), slope=1, color="grey", linewidth=0.8)
        ax.set(xlabel="parameter, scikit-learn", ylabel="parameter, nnlab (L-BFGS)", title=f"{name}: gap {gap:.0e}")
    name, task = next(iter(TASKS.items()))
    rule = ["optimizer=heavy_ball", "optimizer.learning_rate=0.05", "optimizer.momentum=0.95"]
    descent = train(*SHARED, *task, *rule, f"trainer.steps={descent_steps}", seeds=range(seeds))
    expected = scikit_learn(descent)
    gaps = [float(np.abs(solution(descent, seed) - expected).max()) for seed in range(seeds)]
    results[name]["descent_gaps"] = gaps
    largest = results[name]["largest"]
    table.append([name, f"momentum, worst of {seeds} starts", str(expected.size), f"{max(gaps):.1e}", f"{largest:.2f}"])
    claims = {
        "L-BFGS finds scikit-learn's parameters to 4 digits": all(
            r["lbfgs_gap"] < 5e-5 * r["largest"] for r in results.values()
        ),
        "gradient descent finds them from every start": max(gaps) < 5e-5 * largest,
    }
    return Evidence(results, claims, table, figure)
