"""Learning-rate decay: step, cosine, linear, inverse square root and none, each at its best rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, band, panels, shown, smoothed
from experiments.running import train
from nnlab.config import compose

SHARED = ["optimizer=heavy_ball", "trainer.batch_size=16", "data.label_noise=0.1", "loss=softmax_cross_entropy"]
QUICK: dict[str, Any] = {"data": "digits", "limit": 600, "widths": [32], "epochs": 12, "seeds": 4,
                         "rates": [0.03, 0.1]}  # fmt: skip
DEFAULT: dict[str, Any] = {"data": "digits", "limit": None, "widths": [64], "epochs": 30, "seeds": 10,
                           "rates": [0.01, 0.03, 0.1]}  # fmt: skip
FULL: dict[str, Any] = {"data": "mnist", "limit": None, "widths": [800, 800], "epochs": 100, "seeds": 10,
                        "rates": [0.001, 0.003, 0.01, 0.03, 0.1]}  # fmt: skip


def run(data: str, limit: int | None, widths: list[int], epochs: int, seeds: int, rates: list[float]) -> Evidence:
    """Every schedule with every rate and seed in one population."""
    thirds = [round(epochs * share) for share in (0.3, 0.6, 0.9)]
    options = {
        "none": compose("scheduler=constant"),
        "step": compose("scheduler=step", f"scheduler.milestones={thirds}"),
        "cosine": compose("scheduler=cosine"),
        "linear": compose("scheduler=linear"),
        "inverse square root": compose("scheduler=inverse_sqrt"),
    }
    vary = [{"scheduler": c["scheduler"], "optimizer.learning_rate": r} for c in options.values() for r in rates]
    grid = train(*SHARED, f"data={data}", f"data.limit={limit or 'null'}", f"architecture.widths={widths}",
                 f"trainer.epochs={epochs}", "trainer.validate_every=1", vary=vary, seeds=range(seeds))  # fmt: skip
    shape = (len(options), len(rates), seeds)
    steps = grid.losses.shape[2] // epochs
    curves = np.nan_to_num(smoothed(grid.losses, steps)[:, :, steps - 1 :: steps], nan=9.0).reshape(*shape, epochs)
    validation = np.nan_to_num(grid.last("validation", "loss"), nan=9.0).reshape(shape)
    test = grid.last("test", "accuracy").reshape(shape)
    train_best = {name: curves[i, curves[i, :, :, -1].mean(1).argmin()] for i, name in enumerate(options)}
    chosen = {name: int(validation[i].mean(1).argmin()) for i, name in enumerate(options)}
    errors = {name: 1 - test[i, chosen[name]] for i, name in enumerate(options)}
    highest = {name: curves[i, -1, :, -1] for i, name in enumerate(options)}
    ahead = min((n for n in options if n != "none"), key=lambda n: train_best[n][:, -1].mean())
    gain = highest["none"] - highest["cosine"]
    claims = {
        f"at rate {rates[-1]} step, cosine and linear decay end below the constant rate, with every seed": all(
            bool((highest[name] < highest["none"]).all()) for name in ("step", "cosine", "linear")
        ),
        "decay to zero ends at less than 70 % of the loss of the constant rate there": bool(
            gain.mean() > 0.3 * highest["none"].mean()
        ),
    }
    if limit != QUICK["limit"]:
        claims["with each one's best rate, the decays to zero (cosine, linear) end below the constant rate"] = all(
            train_best[name][:, -1].mean() < train_best["none"][:, -1].mean() for name in ("cosine", "linear")
        )
    table = [["schedule", f"training loss at rate {rates[-1]}", "at its best rate", "test error %, rate by validation"]]
    for name in options:
        best, error = shown(train_best[name][:, -1], 4), shown(errors[name], 2, percent=True)
        table.append([name, shown(highest[name], 4), best, f"{error} (rate {rates[chosen[name]]})"])
    pairs = {n: float(((errors["none"] > errors[n]) + 0.5 * (errors["none"] == errors[n])).mean()) for n in options}
    table.append(["lowest training loss: " + ahead, "", "", ""])
    figure, axes = panels(3, width=4.2)
    for i, name in enumerate(options):
        rate = grid.trainer.history.rates[:, i * len(rates) * seeds + (len(rates) - 1) * seeds]
        axes[0].plot(np.arange(len(rate)) / steps, rate, label=name)
        band(axes[1], np.arange(1, epochs + 1), curves[i, -1], name)
        axes[2].errorbar([i], [100 * errors[name].mean()], yerr=[100 * errors[name].std(ddof=1)], fmt="o", capsize=3)
    axes[0].set(xlabel="epoch", ylabel="learning rate", title="Schedules")
    axes[1].set(xlabel="epoch", ylabel="training loss", yscale="log", title=f"Rate {rates[-1]}")
    axes[2].set(ylabel="test error %", title="Test error, mean and std", xticks=range(len(options)))
    axes[2].set_xticklabels([*options], rotation=20)
    for ax in axes[:2]:
        ax.legend()
    results = {n: {"train": train_best[n][:, -1].tolist(), "test_error": errors[n].tolist()} for n in options}
    at_highest = {name: values.tolist() for name, values in highest.items()}
    return Evidence({**results, "highest_rate": at_highest, "beats_none": pairs}, claims, table, figure)
