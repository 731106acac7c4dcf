"""Learning-rate decay: step, cosine, linear, inverse square root and none, each at its best rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.reporting import Evidence, band, panels, plain, shown, smoothed
from experiments.running import train
from nnlab.cli import compose

RATES = [0.001, 0.003, 0.01, 0.03]
QUICK: dict[str, Any] = {"data": "digits", "limit": None, "nets": {"narrow": [16]}, "batch": 4, "epochs": 15,
                         "seeds": 4, "rates": [0.003, 0.01, 0.03]}  # fmt: skip
DEFAULT: dict[str, Any] = {"data": "digits", "limit": None, "nets": {"narrow": [16], "wide": [64]}, "batch": 4,
                           "epochs": 20, "seeds": 10, "rates": RATES}  # fmt: skip
FULL: dict[str, Any] = {"data": "mnist", "limit": None, "nets": {"narrow": [32], "wide": [800, 800]}, "batch": 16,
                        "epochs": 100, "seeds": 10, "rates": [0.0003, *RATES]}  # fmt: skip
SCHEDULES = ("constant", "step", "cosine", "linear", "inverse_sqrt")
TO_ZERO = ("cosine", "linear")


@dataclass
class Trained:
    """One net with every schedule and rate: arrays (schedules, rates, seeds) and the curves of the minibatches."""

    loss: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    curves: np.ndarray
    rates: list[float]

    def best(self, schedule: str) -> np.ndarray:
        """Training losses (seeds,) at the rate with the lowest mean."""
        losses = self.loss[SCHEDULES.index(schedule)]
        return losses[losses.mean(1).argmin()]  # type: ignore[no-any-return]

    def chosen(self, schedule: str) -> tuple[float, np.ndarray]:
        """The rate with the lowest validation loss, and its test errors (seeds,)."""
        row = SCHEDULES.index(schedule)
        place = int(self.validation[row].mean(1).argmin())
        return self.rates[place], self.test[row, place]


def fit(shared: list[str], epochs: int, seeds: int, rates: list[float]) -> Trained:
    """Every schedule with every rate and seed in one population, on data of which a tenth has a wrong label."""
    thirds = f"scheduler.milestones={[round(epochs * share) for share in (0.3, 0.6, 0.9)]}"
    sections = [compose(f"scheduler={n}", *([thirds] if n == "step" else []))["scheduler"] for n in SCHEDULES]
    vary = [{"scheduler": section, "optimizer.learning_rate": rate} for section in sections for rate in rates]
    setting = ["data.label_noise=0.1", "optimizer=heavy_ball", f"trainer.epochs={epochs}"]
    grid = train(*shared, *setting, vary=vary, seeds=range(seeds))
    shape, steps = (len(SCHEDULES), len(rates), seeds), grid.losses.shape[2] // epochs
    found = (np.nan_to_num(grid.last(split, "loss"), nan=9.0).reshape(shape) for split in ("train", "validation"))
    curves = np.nan_to_num(smoothed(grid.losses, steps)[:, :, steps - 1 :: steps], nan=9.0).reshape(*shape, epochs)
    return Trained(*found, 1 - np.nan_to_num(grid.last("test", "accuracy")).reshape(shape), curves, rates)


def run(data: str, limit: int | None, nets: dict[str, list[int]], batch: int, epochs: int, seeds: int,
        rates: list[float]) -> Evidence:  # fmt: skip
    """Compare the schedules in a net too small for the wrong labels, and in one that learns them."""
    shared = [f"data={data}", f"data.limit={limit or 'null'}", f"trainer.batch_size={batch}"]
    trained = {n: fit([*shared, f"architecture.widths={w}"], epochs, seeds, rates) for n, w in nets.items()}
    narrow = trained["narrow"]
    claims = {
        f"narrow net, rate {rates[-1]:g}: every decay ends below the constant rate, in the mean over the seeds": bool(
            (narrow.loss[1:, -1].mean(1) < narrow.loss[0, -1].mean()).all()
        ),
        "narrow net, each at its best rate: cosine and linear end below the constant rate, with every seed": all(
            bool((narrow.best(name) < narrow.best("constant")).all()) for name in TO_ZERO
        ),
    }
    if seeds >= 10:
        claims["narrow net, rate by validation: cosine and linear have the lower mean test error"] = all(
            narrow.chosen(name)[1].mean() < narrow.chosen("constant")[1].mean() for name in TO_ZERO
        )
    heading = ["net", "schedule", f"training loss at rate {rates[-1]:g}", "at its best rate"]
    table = [[*heading, "test error %, rate by validation"]]
    for net, found in trained.items():
        for row, name in enumerate(SCHEDULES):
            rate, error = found.chosen(name)
            table.append([f"{net}, {nets[net]}", name, shown(found.loss[row, -1], 4), shown(found.best(name), 4),
                          f"{shown(error, 2, percent=True)} (rate {rate:g})"])  # fmt: skip
    figure, axes = panels(1 + len(nets), width=5.5)
    for row, name in enumerate(SCHEDULES):
        band(axes[0], np.arange(1, epochs + 1), narrow.curves[row, -1], name)
        for ax, found in zip(axes[1:], trained.values(), strict=True):
            band(ax, rates, found.loss[row].T, name, marker="o", markersize=4)
    axes[0].set(xlabel="epoch", ylabel="loss of minibatches", yscale="log", title=f"Narrow net, rate {rates[-1]:g}")
    for ax, net in zip(axes[1:], nets, strict=True):
        ax.set(xlabel="first learning rate", ylabel="training loss at the end", title=f"{net.capitalize()} net")
        ax.set(xscale="log", yscale="log")
        plain(ax.xaxis, rates)
    axes[0].legend()
    results = {net: {name: {"at highest rate": f.loss[i, -1].tolist(), "best": f.best(name).tolist(),
                            "test": f.chosen(name)[1].tolist()} for i, name in enumerate(SCHEDULES)}
               for net, f in trained.items()}  # fmt: skip
    return Evidence({"rates": rates, **results}, claims, table, figure)
