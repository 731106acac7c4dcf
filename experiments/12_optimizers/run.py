"""Optimizers on MNIST: running averages, gradient normalisation, Adam; the figures of two papers at a small size."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, panels, shown, smoothed
from experiments.running import train

ADAM: dict[str, Any] = {"limit": 3000, "widths": [256, 256], "epochs": 20}  # Kingma and Ba's two figures
QUICK: dict[str, Any] = {"data": "digits", "limit": None, "widths": [32], "epochs": 4, "seeds": 2, "batch": 32,
                         "adam": {"limit": None, "widths": [32], "epochs": 4}}  # fmt: skip
DEFAULT: dict[str, Any] = {"data": "mnist", "limit": 3000, "widths": [64, 64], "epochs": 6, "seeds": 2, "batch": 100,
                           "adam": ADAM}  # fmt: skip
FULL: dict[str, Any] = {**DEFAULT, "limit": None, "widths": [500, 300], "seeds": 5,
                        "adam": {"limit": None, "widths": [1000, 1000], "epochs": 45}}  # fmt: skip

POWERS = [1.0, 0.1, 0.01, 0.001, 0.0001]
RULES = {name: [f"optimizer={name}"] for name in ("sgd", "heavy_ball", "nesterov", "adagrad", "rmsprop")}
RULES |= {f"momentum, {a}": ["optimizer=momentum", f"optimizer.average={a}"] for a in ("geometric", "arithmetic")}
RULES["adam"] = ["optimizer=adam"]
ADADELTA = [(rho, eps) for rho in (0.9, 0.95, 0.99) for eps in (1e-8, 1e-6, 1e-4)]
LOGISTIC = {"adam": [0.03, 0.1, 0.3, 1.0], "nesterov": [0.3, 1.0, 3.0, 10.0], "adagrad": [0.03, 0.1, 0.3, 1.0]}
DROPOUT = {"adam": [0.0003, 0.001, 0.003], "nesterov": [0.01, 0.03, 0.1], "adagrad": [0.01, 0.03, 0.1],
           "rmsprop": [0.0003, 0.001, 0.003], "adadelta": [0.3, 1.0, 3.0]}  # fmt: skip


def race(shared: list[str], rates: dict[str, list[float]], epochs: int, seeds: int) -> dict[str, dict[str, Any]]:
    """Of each rule the best rate, its losses in the last epoch (seeds,), and the curve, a mean over an epoch."""
    found = {}
    for name, choices in rates.items():
        rule = [f"optimizer={name}", f"trainer.epochs={epochs}"]
        losses = train(*shared, *rule, vary={"optimizer.learning_rate": choices}, seeds=range(seeds)).losses
        epoch = losses.shape[2] // epochs
        last = np.nan_to_num(losses[:, :, -epoch:].mean(2), nan=np.inf)
        best = int(last.mean(1).argmin())
        curve = smoothed(losses[best].mean(0), epoch)
        found[name] = {"rate": choices[best], "loss": last[best], "curve": curve}
    return found


def run(data: str, limit: int | None, widths: list[int], epochs: int, seeds: int, batch: int,
        adam: dict[str, Any]) -> Evidence:  # fmt: skip
    """Zeiler's table over rates and constants, then Kingma and Ba's logistic regression and net with dropout."""
    tanh = [f"data={data}", f"data.limit={limit or 'null'}", f"trainer.batch_size={batch}", "activation=tanh"]
    tanh += [f"trainer.epochs={epochs}", f"architecture.widths={widths}", "initialization=xavier"]
    error: dict[str, np.ndarray] = {}
    for name, rule in RULES.items():
        grid = train(*tanh, *rule, vary={"optimizer.learning_rate": POWERS}, seeds=range(seeds))
        error[name] = 1 - np.nan_to_num(grid.last("test", "accuracy"))
    vary = [{"optimizer.rho": rho, "optimizer.eps": eps} for rho, eps in ADADELTA]
    error["adadelta"] = 1 - train(*tanh, "optimizer=adadelta", vary=vary, seeds=range(seeds)).last("test", "accuracy")
    range_of = {name: float(np.ptp(100 * values.mean(1))) for name, values in error.items()}
    best = {name: values[values.mean(1).argmin()] for name, values in error.items()}
    raw = [f"data={data}", f"data.limit={adam['limit'] or 'null'}", "data/preprocessing=none"]
    raw.append(f"trainer.batch_size={batch}")
    convex = [*raw, "architecture=perceptron", "scheduler=inverse_sqrt", "scheduler.unit=step"]
    net = [*raw, f"architecture.widths={adam['widths']}", "regularizer=[dropout]"]
    logistic, dropout = (race(s, r, adam["epochs"], seeds) for s, r in ((convex, LOGISTIC), (net, DROPOUT)))
    favourite = {name: POWERS[int(values.mean(1).argmin())] for name, values in error.items() if name in RULES}
    mean = {name: float(found["loss"].mean()) for name, found in dropout.items()}
    wide = range_of["sgd"] > 3 * range_of["adadelta"]
    claims = {
        "errors of plain descent range over rates 3 times as far as those of Adadelta over its constants": wide,
        "heavy ball needs a rate ten times lower than its running average": favourite["heavy_ball"]
        < 0.2 * favourite["momentum, geometric"],
        "Adam is within 2 points of the best rule": best["adam"].mean() < min(b.mean() for b in best.values()) + 0.02,
    }
    if data != "digits":
        ahead = all((dropout["adam"]["loss"] < dropout[name]["loss"]).all() for name in ("nesterov", "adagrad"))
        claims["net with dropout: Adam is ahead of Nesterov and Adagrad, with every seed"] = ahead
        claims["net with dropout: Adam's training loss is the lowest of all five"] = mean["adam"] == min(mean.values())
        a, n, g = (float(logistic[name]["loss"].mean()) for name in ("adam", "nesterov", "adagrad"))
        claims["logistic regression: Adam and Nesterov end within a quarter of each other"] = 0.8 < a / n < 1.25
        claims["and both well below Adagrad, by a quarter or more"] = max(a, n) < 0.8 * g
    table: list[list[Any]] = [["test error %", *(f"rate {rate:g}" for rate in POWERS), "best"]]
    for name in RULES:
        table.append([name, *(shown(row, 1, True) for row in error[name]), shown(best[name], 2, True)])
    ends_of = [100 * float(pick(error["adadelta"].mean(1))) for pick in (np.min, np.max)]
    row = ["adadelta, 9 pairs of constants", "{:.1f} to {:.1f}".format(*ends_of), *[""] * 4]
    table.append([*row, shown(best["adadelta"], 2, True)])
    figure, axes = panels(3, width=6.0, height=4.6)
    for name in RULES:
        axes[0].semilogx(POWERS, 100 * error[name].mean(1), marker="o", markersize=3, label=name)
    axes[0].axhspan(*ends_of, color="grey", alpha=0.4, label="adadelta, all constants")
    axes[0].set(xlabel="learning rate", ylabel="test error %", title="Sensitivity to the rate")
    axes[0].legend(fontsize=9)
    results: dict[str, Any] = {"test_error": {n: v.tolist() for n, v in error.items()}, "range": range_of}
    for ax, (kind, found) in zip(axes[1:], (("logistic regression", logistic), ("dropout", dropout)), strict=True):
        values = [f"{name} {shown(one['loss'])}" for name, one in found.items()]
        table.append([f"training loss, {kind}", *values, *[""] * (6 - len(values))])
        for name, one in found.items():
            ax.semilogy(np.arange(1, len(one["curve"]) + 1), one["curve"], label=f"{name}, rate {one['rate']:g}")
        ax.set(xlabel="step", ylabel="training loss, mean over an epoch", title=kind.capitalize())
        ax.legend()
        results[kind] = {n: {"rate": one["rate"], "loss": one["loss"].tolist()} for n, one in found.items()}
    return Evidence(results, claims, table, figure)
