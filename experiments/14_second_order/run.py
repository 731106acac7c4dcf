"""Second order: Newton in one step, BFGS and L-BFGS against first order on full batches, and on minibatches."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, panels, shown
from experiments.running import Grid, grid, train

QUICK: dict[str, Any] = {"seeds": 2, "passes": 250, "limit": 150, "width": 8}
DEFAULT: dict[str, Any] = {"seeds": 3, "passes": 600, "limit": 300, "width": 12}
FULL: dict[str, Any] = {"seeds": 20, "passes": 5000, "limit": None, "width": 32}

RATES = {"sgd": [0.1, 0.3, 1.0], "heavy_ball": [0.03, 0.1, 0.3], "adam": [0.003, 0.01, 0.03, 0.1]}
SMOOTH = ["activation=tanh", "initialization=xavier", "regularizer.weight_decay.strength=0.001"]


def newton() -> tuple[float, np.ndarray]:
    """Gap of the loss to least squares after one Newton step on a linear model, and plain descent's gaps."""
    shared = ["data=diabetes", "loss=squared_error", "architecture=perceptron", "trainer.batch_size=full"]
    shared += ["trainer.epochs=null", "trainer.precision=float64"]
    one = train(*shared, "trainer.steps=1", "optimizer=newton", seeds=[0])
    data = one.trainer.members[0].dataset.train
    x, y = np.hstack([data.inputs.numpy(), np.ones((len(data), 1))]), data.targets.numpy()
    least = 0.5 * float(((x @ np.linalg.lstsq(x, y, rcond=None)[0] - y) ** 2).mean())
    plain = train(*shared, "trainer.steps=1000", "optimizer=sgd", "optimizer.learning_rate=0.3", seeds=[0])
    return abs(float(one.last("train", "loss")[0, 0]) - least), plain.losses[0, 0] - least


def counted(population: Grid) -> np.ndarray:
    """Train; the lowest objective (with the penalty) so far at every gradient of the full batch, (gradients, M)."""
    stack, seen = population.trainer.stack, []
    backward = stack.backward

    def observed(*batch: Any) -> Any:
        losses = backward(*batch)
        seen.append((losses + population.trainer.engine.rules.penalty(stack)).detach().clone().numpy())
        return losses

    stack.backward = observed
    population.trainer.fit()
    return np.minimum.accumulate(np.array(seen), 0)


def run(seeds: int, passes: int, limit: int, width: int) -> Evidence:
    """Compare at equal numbers of gradients over the full batch, then over minibatches of 16."""
    gap, plain = newton()
    shared = [*SMOOTH, f"data.limit={limit}", f"architecture.widths=[{width}]", "trainer.epochs=null"]
    full = [*shared, "trainer.batch_size=full", "trainer.precision=float64", "trainer.engine=torch"]
    curves: dict[str, np.ndarray] = {}
    for name, rates in RATES.items():
        first_order, vary = [f"optimizer={name}", f"trainer.steps={passes}"], {"optimizer.learning_rate": rates}
        values = counted(grid(*full, *first_order, seeds=range(seeds), vary=vary))[:passes].reshape(passes, -1, seeds)
        curves[name] = values[:, values[-1].mean(1).argmin()].T
    for name in ("lbfgs", "bfgs"):
        rows = []
        for seed in range(seeds):
            steps = [f"trainer.steps={passes // 10}", "optimizer.iterations=10"]
            values = counted(grid(*full, f"optimizer={name}", *steps, seeds=[seed]))[:passes, 0]
            rows.append(np.pad(values, (0, passes - len(values)), mode="edge"))
        curves[name] = np.stack(rows)
    batches = [*shared, "trainer.batch_size=16", f"trainer.steps={passes}"]
    noisy = train(*batches, "optimizer=adam", "optimizer.learning_rate=0.01", seeds=range(seeds))
    small = {"adam": noisy.last("train", "loss")[0]}
    tests = [train(*batches, "optimizer=lbfgs", seeds=[seed]) for seed in range(seeds)]
    small["lbfgs"] = np.array([one.last("train", "loss")[0, 0] for one in tests])
    last = {name: values[:, -1] for name, values in curves.items()}
    first = np.min([last[name] for name in RATES], 0)
    floor = min(values.min() for values in curves.values())
    claims = {
        "Newton reaches the least-squares loss of a linear model in one step (gap below 1e-10)": gap < 1e-10,
        "where plain descent is still above it by more than 1e-6 after 100": float(plain[100]) > 1e-6,
        "full batch: L-BFGS ends below every first-order rule at its best rate, with every seed": bool(
            (last["lbfgs"] < first).all()
        ),
        "minibatches of 16: L-BFGS ends at more than twice Adam's training loss, or diverges": bool(
            np.nan_to_num(small["lbfgs"], nan=np.inf).mean() > 2 * small["adam"].mean()
        ),
    }
    table = [["rule", f"full batch: objective after {passes} gradients", "minibatches of 16: training loss"]]
    for name, values in last.items():
        table.append([name, shown(values, 5), shown(small[name], 4) if name in small else ""])
    table.append(["Newton on the linear model, one step", f"gap to least squares {gap:.1e}", ""])
    figure, axes = panels(3)
    axes[0].semilogy(np.maximum(plain, 1e-17), label="plain descent, rate 0.3")
    axes[0].semilogy([0, 1], [plain[0], max(gap, 1e-17)], "o-", label="Newton")
    axes[0].set(xlabel="step", ylabel="loss above least squares", title="Linear model", xlim=(-20, 600))
    for name, values in curves.items():
        axes[1].plot(np.arange(1, passes + 1), values.mean(0) - floor + 1e-6, label=name)
    axes[1].set(xscale="log", yscale="log", xlabel="gradients", ylabel="objective above the best", title="Full batch")
    axes[2].plot(noisy.losses[0].mean(0), label="adam", linewidth=0.7)
    axes[2].plot(np.nanmean(np.stack([one.losses[0, 0] for one in tests]), 0), label="lbfgs", linewidth=0.7)
    axes[2].set(yscale="log", xlabel="step", ylabel="minibatch loss", title="Minibatches of 16")
    for ax in axes:
        ax.legend()
    results = {"full_batch": {n: v.tolist() for n, v in last.items()}, "newton_gap": gap}
    return Evidence({**results, "minibatch": {n: v.tolist() for n, v in small.items()}}, claims, table, figure)
