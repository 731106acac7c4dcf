"""Optimizers on MNIST: running averages, gradient normalisation, Adam; the figures of two papers at a small size."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, panels, shown, smoothed
from experiments.running import Grid, train

QUICK: dict[str, Any] = {"data": "digits", "limit": None, "widths": [32], "epochs": 4, "seeds": 2, "batch": 32}
DEFAULT: dict[str, Any] = {"data": "mnist", "limit": 3000, "widths": [64, 64], "epochs": 6, "seeds": 2, "batch": 100}
FULL: dict[str, Any] = {"data": "mnist", "limit": None, "widths": [500, 300], "epochs": 6, "seeds": 5, "batch": 100}

POWERS = [1.0, 0.1, 0.01, 0.001, 0.0001]
RULES = {name: [f"optimizer={name}"] for name in ("sgd", "heavy_ball", "nesterov", "adagrad", "rmsprop")}
RULES |= {f"momentum, {a}": ["optimizer=momentum", f"optimizer.average={a}"] for a in ("geometric", "arithmetic")}
RULES["adam"] = ["optimizer=adam"]
ADADELTA = [(rho, eps) for rho in (0.9, 0.95, 0.99) for eps in (1e-8, 1e-6, 1e-4)]


def ends(grid: Grid, window: int) -> np.ndarray:
    """Mean training loss of the last epoch, (variants, seeds); 9 where a network diverged."""
    return np.nan_to_num(grid.losses[:, :, -window:].mean(2), nan=9.0).clip(max=9.0)


def run(data: str, limit: int | None, widths: list[int], epochs: int, seeds: int, batch: int) -> Evidence:
    """Zeiler's table over rates and constants, then Kingma and Ba's logistic regression and net with dropout."""
    shared = [f"data={data}", f"data.limit={limit or 'null'}"]
    shared += [f"trainer.batch_size={batch}", f"trainer.epochs={epochs}"]
    tanh = [*shared, f"architecture.widths={widths}", "activation=tanh", "initialization=xavier"]
    error: dict[str, np.ndarray] = {}
    curves: dict[str, np.ndarray] = {}
    for name, rule in RULES.items():
        grid = train(*tanh, *rule, vary={"optimizer.learning_rate": POWERS}, seeds=range(seeds))
        error[name] = 1 - np.nan_to_num(grid.last("test", "accuracy"))
        window = grid.losses.shape[2] // epochs
        curves[name] = smoothed(grid.losses[ends(grid, window).mean(1).argmin()].mean(0), window)
    vary = [{"optimizer.rho": rho, "optimizer.eps": eps} for rho, eps in ADADELTA]
    error["adadelta"] = 1 - train(*tanh, "optimizer=adadelta", vary=vary, seeds=range(seeds)).last("test", "accuracy")
    range_of = {name: float(np.ptp(100 * values.mean(1))) for name, values in error.items()}
    best = {name: values[values.mean(1).argmin()] for name, values in error.items()}
    paper: dict[str, dict[str, np.ndarray]] = {"logistic": {}, "dropout": {}}
    nets = {
        "logistic": ["architecture=perceptron", "scheduler=inverse_sqrt"],
        "dropout": [f"architecture.widths={widths}", "regularizer=[dropout]", "activation=relu"],
    }
    low, high = [0.003, 0.01, 0.03], [0.01, 0.03, 0.1, 0.3]
    choices = {"adam": [0.001, *low, 0.1], "nesterov": high, "adagrad": high, "rmsprop": low, "sgd": [*high, 1.0]}
    for kind, setting in nets.items():
        for name, rates in choices.items():
            vary_rate = {"optimizer.learning_rate": rates}
            grid = train(*shared, *setting, f"optimizer={name}", vary=vary_rate, seeds=range(seeds))
            values = ends(grid, grid.losses.shape[2] // epochs)
            paper[kind][name] = values[values.mean(1).argmin()]
    favourite = {name: POWERS[int(values.mean(1).argmin())] for name, values in error.items() if name in RULES}
    others = [paper["dropout"][name].mean() for name in ("nesterov", "adagrad", "sgd")]
    claims = {
        "errors of plain descent range over rates 3 times as far as those of Adadelta over its constants": bool(
            range_of["sgd"] > 3 * range_of["adadelta"]
        ),
        "heavy ball needs a rate ten times lower than its running average": bool(
            favourite["heavy_ball"] < 0.2 * favourite["momentum, geometric"]
        ),
        "Adam is within 2 points of the best rule": best["adam"].mean() < min(b.mean() for b in best.values()) + 0.02,
    }
    if data != "digits":
        ratio = paper["logistic"]["adam"].mean() / paper["logistic"]["nesterov"].mean()
        claims["net with dropout: Adam's training loss is the lowest"] = paper["dropout"]["adam"].mean() < min(others)
        claims["logistic regression: Adam and Nesterov end within 10 % of each other"] = bool(abs(ratio - 1) < 0.1)
        both = max(paper["logistic"][name].mean() for name in ("adam", "nesterov"))
        claims["and both below Adagrad"] = both < paper["logistic"]["adagrad"].mean()
    table: list[list[Any]] = [["test error %", *(f"rate {rate:g}" for rate in POWERS), "best"]]
    for name in RULES:
        table.append([name, *(shown(row, 1, True) for row in error[name]), shown(best[name], 2, True)])
    ends_of = [100 * float(pick(error["adadelta"].mean(1))) for pick in (np.min, np.max)]
    row = ["adadelta, 9 pairs of constants", "{:.1f} to {:.1f}".format(*ends_of), *[""] * 4]
    table.append([*row, shown(best["adadelta"], 2, True)])
    for kind, values in paper.items():
        table.append([f"training loss, {kind}", *(f"{name} {shown(v)}" for name, v in values.items()), ""])
    figure, axes = panels(3)
    for name in RULES:
        axes[0].semilogx(POWERS, 100 * error[name].mean(1), "o-", markersize=3, label=name)
        axes[1].semilogy(curves[name], label=name)
    axes[0].axhspan(*ends_of, color="grey", alpha=0.4, label="adadelta, all constants")
    axes[0].set(xlabel="learning rate", ylabel="test error %", title="Sensitivity to the rate")
    axes[1].set(xlabel="step", ylabel="training loss", title="At each one's best rate")
    x = np.arange(len(choices))
    for shift, (kind, values) in zip((-0.2, 0.2), paper.items(), strict=True):
        means, stds = ([pick(v) for v in values.values()] for pick in (np.mean, np.std))
        axes[2].bar(x + shift, means, 0.38, yerr=stds, label=kind)
    axes[2].set(xticks=x, ylabel="training loss, last epoch", title="Best rates")
    axes[2].set_xticklabels([*choices])
    for ax in axes:
        ax.legend(fontsize=6)
    results = {"test_error": {n: v.tolist() for n, v in error.items()}, "range": range_of}
    trained = {kind: {n: v.tolist() for n, v in values.items()} for kind, values in paper.items()}
    return Evidence({**results, "training_loss": trained}, claims, table, figure)
