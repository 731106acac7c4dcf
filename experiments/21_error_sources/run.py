"""Error sources: approximation, estimation and optimization error, on a task where each is known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, band, panels, shown
from experiments.running import train
from nnlab.training import Callback, Trainer
from nnlab.types import Dataset, Split, Task

QUICK: dict[str, Any] = {"draws": 200, "seeds": 2, "steps": 200}
DEFAULT: dict[str, Any] = {"draws": 1000, "seeds": 5, "steps": 1000}
FULL: dict[str, Any] = {"draws": 20000, "seeds": 50, "steps": 100000}

NOISE, DEGREES, EXAMPLES = 0.5, [1, 3, 5, 7, 9, 11, 13], [30, 100, 300, 1000]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)  # exact for polynomials up to degree 399
TRUTH = lambda x: np.sin(4.5 * x) + 0.3 * x  # noqa: E731


def basis(x: np.ndarray, degree: int) -> np.ndarray:
    """Legendre polynomials 0 ... degree, orthonormal under the uniform density on [-1, 1], (n, degree + 1)."""
    return np.polynomial.legendre.legvander(x, degree) * np.sqrt(2 * np.arange(degree + 1) + 1)  # type: ignore[no-any-return]


def best_in_class(degree: int) -> tuple[np.ndarray, float]:
    """Coefficients of the best polynomial, and its mean squared error, by quadrature."""
    best = (WEIGHTS / 2 * TRUTH(NODES)) @ basis(NODES, degree)
    return best, float((WEIGHTS / 2) @ (basis(NODES, degree) @ best - TRUTH(NODES)) ** 2)


def sample(degree: int, examples: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Polynomials of random inputs, noisy values, and the least squares of the two."""
    x, random = np.random.default_rng(seed + 10**6).uniform(-1, 1, examples), np.random.default_rng(seed)
    features, y = basis(x, degree), TRUTH(x) + NOISE * random.normal(size=examples)
    return features, y, np.linalg.lstsq(features, y, rcond=None)[0]


def estimation(degree: int, examples: int, draws: int) -> np.ndarray:
    """Squared distance of least squares from the best polynomial, for each sample: the basis is orthonormal."""
    fits = np.stack([sample(degree, examples, seed)[2] for seed in range(draws)])
    return ((fits - best_in_class(degree)[0]) ** 2).sum(1)  # type: ignore[no-any-return]


class Path(Callback, list[np.ndarray]):
    """Keeps the coefficients after every step; the constant's is the bias."""

    def step_end(self, trainer: Trainer) -> None:
        views = [trainer.stack.views[f"output.{name}"][0].detach().numpy().ravel() for name in ("bias", "weight")]
        self.append(np.concatenate(views))


def descend(degree: int, examples: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients after every step of the trainer (steps, degree + 1), and those of least squares."""
    (features, y, least), path = sample(degree, examples, seed), Path()
    split = Split(torch.tensor(features[:, 1:]), torch.tensor(y[:, None]))
    data = Dataset(split, split, split, Task.REGRESSION, ("y",))
    setting = ["loss=squared_error", "architecture=perceptron", "optimizer=sgd", "optimizer.learning_rate=0.2"]
    setting += ["trainer.batch_size=full", "trainer.epochs=null", "trainer.precision=float64"]
    train(*setting, f"trainer.steps={steps}", seeds=[seed], callbacks=[path], data=data)
    return np.stack(path), least


def run(draws: int, seeds: int, steps: int) -> Evidence:
    """Measure each error where the others are known."""
    approximation = {d: best_in_class(d)[1] for d in DEGREES}
    middles = {d: float(np.median(estimation(d, 100, draws))) for d in DEGREES}
    by_examples = {n: estimation(5, n, draws) for n in EXAMPLES}
    theory = {n: (NOISE**2 + approximation[5]) * 6 / n for n in EXAMPLES}
    best, paths = best_in_class(7)[0], [descend(7, 100, steps, seed) for seed in range(seeds)]
    optimization = np.abs([((w - best) ** 2).sum(1) - ((least - best) ** 2).sum() for w, least in paths])
    sums, ratio = {d: approximation[d] + middles[d] for d in DEGREES}, by_examples[1000].mean() / theory[1000]
    claims = {
        "approximation error falls with the degree": bool((np.diff(list(approximation.values())) < 0).all()),
        "estimation error rises with the degree": middles[13] > 1.5 * middles[3],
        "estimation error is variance x parameters / n at n = 1000, within 25 %": bool(abs(ratio - 1) < 0.25),
        "their sum is least at a degree in between": min(DEGREES, key=sums.__getitem__) not in (1, 13),
        "optimization error falls to a tenth": bool((optimization[:, -1] < 0.1 * optimization[:, 0]).all()),
    }
    table = [["degree (n = 100)", "approximation", "estimation, median", "sum"]]
    table += [[d, f"{approximation[d]:.4f}", f"{middles[d]:.4f}", f"{sums[d]:.4f}"] for d in DEGREES]
    table += [[f"degree 5, n = {n}", "", shown(v, 4), f"theory {theory[n]:.4f}"] for n, v in by_examples.items()]
    table += [[f"degree 7: optimization, {t} steps", "", "", shown(optimization[:, t - 1], 4)] for t in (1, 10, 100)]
    figure, axes = panels(3)
    for name, found in (("approximation", approximation), ("estimation", middles), ("sum", sums)):
        axes[0].semilogy(DEGREES, list(found.values()), "k:" if name == "sum" else "o-", label=name)
    axes[1].loglog(EXAMPLES, [v.mean() for v in by_examples.values()], "o-", label="estimation")
    axes[1].loglog(EXAMPLES, list(theory.values()), "k:", label="variance x parameters / n")
    band(axes[2], np.arange(1, steps + 1), optimization, "optimization")
    axes[2].set(xscale="log", yscale="log")
    for ax, x, title in zip(axes, ("degree", "examples", "step"), ("n = 100", "Degree 5", "Degree 7"), strict=True):
        ax.set(xlabel=x, ylabel="squared error", title=title)
        ax.legend()
    by = {n: {"measured": float(v.mean()), "theory": theory[n]} for n, v in by_examples.items()}
    results = {"approximation": approximation, "estimation": middles, "by_examples": by}
    return Evidence({**results, "optimization": optimization[:, -1].tolist()}, claims, table, figure)
