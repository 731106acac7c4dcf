"""Optimizers on MNIST: running averages, gradient normalisation, Adam; the figures of two papers at a small size."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, panels, shown, smoothed
from experiments.running import train

LOGISTIC: dict[str, Any] = {"limit": None, "epochs": 45, "seeds": 3}  # Kingma and Ba, Fig. 1
DROPOUT: dict[str, Any] = {"limit": 20000, "widths": [256, 256], "epochs": 20, "seeds": 3}  # and Fig. 2
QUICK: dict[str, Any] = {"data": "digits", "limit": None, "widths": [32], "epochs": 4, "seeds": 2, "batch": 32,
                         "logistic": {"limit": None, "epochs": 4, "seeds": 2},
                         "dropout": {"limit": None, "widths": [32], "epochs": 4, "seeds": 2}}  # fmt: skip
DEFAULT: dict[str, Any] = {"data": "mnist", "limit": 3000, "widths": [64, 64], "epochs": 6, "seeds": 2, "batch": 100,
                           "logistic": LOGISTIC, "dropout": DROPOUT}  # fmt: skip
FULL: dict[str, Any] = {**DEFAULT, "limit": None, "widths": [500, 300], "seeds": 5,
                        "dropout": {"limit": None, "widths": [1000, 1000], "epochs": 200, "seeds": 5}}  # fmt: skip

POWERS = [1.0, 0.1, 0.01, 0.001, 0.0001]
RULES = {name: [f"optimizer={name}"] for name in ("sgd", "heavy_ball", "nesterov", "adagrad", "rmsprop")}
RULES |= {f"momentum, {a}": ["optimizer=momentum", f"optimizer.average={a}"] for a in ("geometric", "arithmetic")}
RULES["adam"] = ["optimizer=adam"]
ADADELTA = [(rho, eps) for rho in (0.9, 0.95, 0.99) for eps in (1e-8, 1e-6, 1e-4)]
FIGURE_1 = {"adam": [0.05, 0.1, 0.2, 0.3, 0.5], "nesterov": [1, 2, 3, 5, 10], "adagrad": [0.05, 0.1, 0.2, 0.3, 0.5]}
FIGURE_2 = {"adam": [0.0005, 0.001, 0.002], "nesterov": [0.03, 0.05, 0.1], "adagrad": [0.01, 0.02, 0.03],
            "rmsprop": [0.0005, 0.001, 0.002], "adadelta": [0.5, 1.0, 2.0]}  # fmt: skip


def race(rates: dict[str, list[float]], size: dict[str, Any], *setting: str) -> dict[str, dict[str, Any]]:
    """Of each rule the best rate, its losses in the last epoch (seeds,), and the curve, a mean over an epoch."""
    found, seeds = {}, range(size["seeds"])
    shared = [*setting, f"data.limit={size['limit'] or 'null'}", f"trainer.epochs={size['epochs']}"]
    shared += ["data/preprocessing=none", "trainer.batch_size=128"]
    for name, choices in rates.items():
        losses = train(*shared, f"optimizer={name}", vary={"optimizer.learning_rate": choices}, seeds=seeds).losses
        epoch = losses.shape[2] // size["epochs"]
        last = np.nan_to_num(losses[:, :, -epoch:].mean(2), nan=np.inf)
        best = int(last.mean(1).argmin())
        curve = smoothed(losses[best].mean(0), epoch)
        found[name] = {"rate": choices[best], "loss": last[best], "curve": curve}
    return found


def run(data: str, limit: int | None, widths: list[int], epochs: int, seeds: int, batch: int,
        logistic: dict[str, Any], dropout: dict[str, Any]) -> Evidence:  # fmt: skip
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
    convex = [f"data={data}", "architecture=perceptron", "scheduler=inverse_sqrt", "scheduler.unit=step"]
    net = [f"data={data}", f"architecture.widths={dropout['widths']}", "regularizer=[dropout]"]
    first, second = race(FIGURE_1, logistic, *convex), race(FIGURE_2, dropout, *net)
    favourite = {name: POWERS[int(values.mean(1).argmin())] for name, values in error.items() if name in RULES}
    wide = range_of["sgd"] > 3 * range_of["adadelta"]
    claims = {
        "errors of plain descent range over rates 3 times as far as those of Adadelta over its constants": wide,
        "heavy ball needs a rate ten times lower than its running average": favourite["heavy_ball"]
        < 0.2 * favourite["momentum, geometric"],
        "Adam is within 2 points of the best rule": best["adam"].mean() < min(b.mean() for b in best.values()) + 0.02,
    }
    if data != "digits":
        adam, nesterov, adagrad = (first[name]["loss"] for name in FIGURE_1)
        ratio = float(adam.mean() / nesterov.mean())
        claims["logistic regression: Adam and Nesterov end within 10 % of each other"] = 0.9 < ratio < 1.1
        claims["and both below Adagrad, with every seed"] = bool((np.maximum(adam, nesterov) < adagrad).all())
        lowest = all((second["adam"]["loss"] < second[name]["loss"]).all() for name in FIGURE_2 if name != "adam")
        claims["net with dropout: Adam's training loss is the lowest of all five, with every seed"] = lowest
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
    axes[0].set(xlabel="learning rate", ylabel="test error %", title="Sensitivity to the rate", ylim=(0, 145))
    axes[0].legend(fontsize=9, ncol=2, loc="upper center")
    results: dict[str, Any] = {"test_error": {n: v.tolist() for n, v in error.items()}, "range": range_of}
    for ax, (kind, found) in zip(axes[1:], (("logistic regression", first), ("dropout", second)), strict=True):
        values = [f"{name} {shown(one['loss'])}" for name, one in found.items()]
        table.append([f"training loss, {kind}", *values, *[""] * (6 - len(values))])
        for name, one in found.items():
            ax.semilogy(np.arange(1, len(one["curve"]) + 1), one["curve"], label=f"{name}, rate {one['rate']:g}")
        ax.set(xlabel="step", ylabel="training loss, mean over an epoch", title=kind.capitalize(), ylim=(None, 2.4))
        ax.legend()
        results[kind] = {n: {"rate": one["rate"], "loss": one["loss"].tolist()} for n, one in found.items()}
    return Evidence(results, claims, table, figure)
