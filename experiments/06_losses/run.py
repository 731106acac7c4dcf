"""Six output layers with their losses: each on its task; hinge margins; a Gaussian that learns its own variance."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import PALETTE, Evidence, panels, shown
from experiments.running import Grid, train

QUICK: dict[str, Any] = {"seeds": 3, "epochs": 10}
DEFAULT: dict[str, Any] = {"seeds": 20, "epochs": 30}
FULL: dict[str, Any] = {"seeds": 100, "epochs": 100}

# Head: its task, the metric, and the value that says "this works" (accuracy above, R^2 above).
HEADS = {
    "squared_error": ("diabetes", "r2", 0.2),
    "gaussian_nll": ("heteroscedastic", "r2", 0.6),
    "hinge": ("breast_cancer", "accuracy", 0.93),
    "binary_cross_entropy": ("breast_cancer", "accuracy", 0.93),
    "multiclass_svm": ("digits", "accuracy", 0.92),
    "softmax_cross_entropy": ("digits", "accuracy", 0.92),
}
SHARED = ["architecture.widths=[32]", "optimizer.learning_rate=0.003"]


def margins(grid: Grid) -> np.ndarray:
    """y f(x), y = -1 or 1, of all training examples and seeds, from outputs (M, N, 1)."""
    split = grid.trainer.members[0].dataset.train
    outputs = grid.trainer.stack.outputs(split.inputs.expand(len(grid.seeds), *split.inputs.shape))
    return ((2 * split.targets - 1) * outputs.squeeze(2)).numpy().ravel()


def deviations(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, the true standard deviation of the noise, and the predicted one (seeds, N), in the target's own units."""
    data = grid.trainer.members[0].dataset
    from nnlab.data import Heteroscedastic  # the inputs as they were, for the truth: noise * x

    raw = Heteroscedastic(examples=4000, preprocessing=None).load(0, None).test.inputs.squeeze(1).numpy()  # type: ignore[arg-type]
    variance = grid.trainer.evaluate("test").prediction[..., 1].numpy() * float(data.units.std) ** 2
    order = raw.argsort()
    return raw[order], 0.5 * raw[order], np.sqrt(variance)[:, order]


def run(seeds: int, epochs: int) -> Evidence:
    """Train every head on its task, and compare what they learn."""
    grids, claims, results = {}, {}, {}
    table = [["output and loss", "data", "metric", "test"]]
    for loss, (data, metric, least) in HEADS.items():
        more = ["data.examples=4000"] if data == "heteroscedastic" else []
        options = [*SHARED, f"data={data}", f"loss={loss}", f"trainer.epochs={epochs}", *more]
        grids[loss] = train(*options, seeds=range(seeds))
        values = grids[loss].last("test", metric)[0]
        results[loss] = {"data": data, metric: values.tolist()}
        table.append([loss, data, metric, shown(values)])
        claims[f"{loss} solves {data} ({metric} above {least})"] = bool(values.mean() > least)
    longer = [*SHARED, "data=breast_cancer", f"trainer.epochs={5 * epochs}"]
    found = {
        name: margins(train(*longer, f"loss={name}", seeds=range(seeds))) for name in ("hinge", "binary_cross_entropy")
    }
    top = {name: float(np.median(values)) for name, values in found.items()}
    curve = [*SHARED, "data=heteroscedastic", "data.examples=4000", f"trainer.epochs={epochs}"]
    fixed = train(*curve, "loss=squared_error", seeds=range(seeds))
    rmse = fixed.last("test", "rmse")[0]
    constant = 0.5 * np.log(2 * np.pi * rmse**2) + 0.5  # the best that one variance for all x can do
    nll = grids["gaussian_nll"].last("test", "nll")[0]
    x, truth, sigma = deviations(grids["gaussian_nll"])
    low, high = x < 0.25, x > 0.75
    error = float(np.abs(sigma.mean(0) - truth).mean())
    table += [["gaussian_nll", "heteroscedastic", "nll", shown(nll)]]
    table += [["squared_error with one variance, fitted on the test set", "heteroscedastic", "nll", shown(constant)]]
    table += [[name, "breast_cancer", "median margin, five times as long", f"{top[name]:.2f}"] for name in top]
    claims["cross-entropy goes on widening margins (median above 1.5 times) where hinge has stopped"] = (
        top["binary_cross_entropy"] > 1.5 * top["hinge"]
    )
    claims["the Gaussian learns where the noise is: sigma at x > 0.75 above 2.5 times that at x < 0.25"] = bool(
        sigma[:, high].mean() > 2.5 * sigma[:, low].mean()
    )
    claims["so its likelihood beats squared error's with the best single variance, for every seed"] = bool(
        (nll < constant - 0.1).all()
    )
    results |= {"nll": {"gaussian": nll.tolist(), "one variance": constant.tolist()}, "median_margin": top}
    results["mean_error_of_sigma"] = error
    figure, (left, right) = panels(2)
    bins = np.linspace(-2, 14, 65)
    for name, values in found.items():
        left.hist(values.clip(-2, 14), bins, alpha=0.55, density=True, label=name)
    left.axvline(1, color="grey", linestyle=":")
    left.set(xlabel="margin y f(x), at most 14", ylabel="density", title="Margins on the training data", yscale="log")
    right.plot(x, truth, "k:", label="true")
    right.plot(x, sigma.T[:, :1], color=PALETTE[0], linestyle="-", alpha=0.3, label="predicted, each seed")
    right.plot(x, sigma.T[:, 1:], color=PALETTE[0], linestyle="-", alpha=0.3)
    right.axhline(rmse.mean(), color=PALETTE[1], label="squared error: one for all")
    right.set(xlabel="x", ylabel="standard deviation of the noise", title="Noise that grows with x")
    for ax in (left, right):
        ax.legend()
    return Evidence(results, claims, table, figure)
