"""Ensembles: the gain over members, independent networks against snapshots at equal budget, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, band, panels, shown
from experiments.running import Grid, train
from nnlab.callbacks import SnapshotEnsemble
from nnlab.training.ensemble import ensemble_report

SIZE, METRICS = 5, ("accuracy", "nll", "brier", "ece")
MNIST = ["data=mnist", "data/preprocessing=none", "regularizer.weight_decay.strength=0.001", "trainer.batch_size=50"]
QUICK: dict[str, Any] = {"setting": ["data=digits", "trainer.batch_size=16"], "limits": [100, 300], "widths": [32],
                         "epochs": 20, "seeds": 4, "rates": [0.05]}  # fmt: skip
DEFAULT: dict[str, Any] = {"setting": MNIST, "limits": [250, 1000, 2000], "widths": [64, 64], "epochs": 8, "seeds": 5,
                           "rates": [0.05, 0.1, 0.2]}  # fmt: skip
FULL: dict[str, Any] = {**DEFAULT, "limits": [1000, 10000, None], "widths": [200] * 3, "epochs": 40}


def by_size(reports: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Metrics of the ensembles of the first 1, ..., SIZE networks, (seeds, SIZE)."""
    return {m: np.array([[size[m] for size in report["by_size"]] for report in reports]) for m in METRICS}


def best_rate(grid: Grid) -> int:
    """The rate with the lowest negative log-likelihood on the validation split, of the snapshots' average if any."""
    nll, found = grid.last("validation", "nll"), [outcome.ensemble for outcome in grid.trainer.outcomes]
    if all(found):
        nll = np.reshape([found[i]["validation"]["by_size"][-1]["nll"] for i in range(nll.size)], nll.shape)
    return int(np.nan_to_num(nll, nan=np.inf).mean(1).argmin())


def independent(grid: Grid, seeds: int) -> list[dict[str, Any]]:
    """Reports on the test split of the ensembles of `SIZE` networks each, at the best rate."""
    targets, evaluation = grid.trainer.members[0].dataset.test.targets, grid.trainer.evaluate("test")
    first = best_rate(grid) * SIZE * seeds
    rows = [range(first + SIZE * group, first + SIZE * (group + 1)) for group in range(seeds)]
    return [ensemble_report(grid.trainer.loss, evaluation, targets, members) for members in rows]


def run(setting: list[str], limits: list[int | None], widths: list[int], epochs: int, seeds: int,
        rates: list[float]) -> Evidence:  # fmt: skip
    """`SIZE` networks for `epochs` each, against one for as many epochs in all, with and without restarts."""
    shared = [*setting, "optimizer=heavy_ball", f"architecture.widths={widths}"]
    vary = {"optimizer.learning_rate": rates}
    reports = {}
    for limit in limits:
        short = [*shared, f"data.limit={limit or 'null'}", f"trainer.epochs={epochs}", "scheduler=cosine"]
        reports[limit] = independent(train(*short, vary=vary, seeds=range(seeds * SIZE)), seeds)
    long = [*shared, f"data.limit={limits[-1] or 'null'}", f"trainer.epochs={SIZE * epochs}"]
    single = train(*long, "scheduler=cosine", vary=vary, seeds=range(seeds))
    cyclic = train(*long, "scheduler=cyclic", f"scheduler.cycles={SIZE}", vary=vary, seeds=range(seeds),
                   callbacks=[SnapshotEnsemble()])  # fmt: skip
    place, cycled = best_rate(single), best_rate(cyclic)
    snapshots = by_size([cyclic.trainer.outcomes[cycled * seeds + seed].ensemble["test"] for seed in range(seeds)])
    averaged = by_size(reports[limits[-1]])
    members = {n: {m: np.array([r["mean"][m] for r in found]) for m in METRICS} for n, found in reports.items()}
    gains = {n: 100 * (by_size(found)["accuracy"][:, -1] - members[n]["accuracy"]) for n, found in reports.items()}
    one, longer = members[limits[-1]], {m: single.last("test", m)[place] for m in METRICS}
    last, snapshot = ({m: snapshots[m][:, i] for m in METRICS} for i in (0, -1))
    together = {m: averaged[m][:, -1] for m in METRICS}
    ways = {f"one network, {epochs} epochs": one, f"one, {SIZE * epochs} epochs (rate {rates[place]:g})": longer}
    ways |= {f"the last of the snapshots (rate {rates[cycled]:g})": last, f"{SIZE} snapshots": snapshot}
    ways[f"{SIZE} independent networks"] = together
    better = (together["accuracy"] > one["accuracy"]) & (together["nll"] < one["nll"])
    falling = (np.diff([averaged[m].mean(0) for m in ("nll", "brier")]) < 0).all()
    claims = {
        "independent networks: more accurate and likelier than the average member, with every seed": better.all(),
        f"likelihood and Brier score get better with every network, from 1 to {SIZE}": falling,
        "the gain in accuracy is larger where there is more error": gains[limits[0]].mean() > gains[limits[-1]].mean(),
        "equal budget: independent networks are likelier than one trained longer": together["nll"].mean()
        < longer["nll"].mean(),
    }
    if len(rates) > 1:
        for metric, sign, word in (("nll", -1, "likelier"), ("accuracy", 1, "more accurate")):
            better = sign * snapshot[metric].mean() > max(sign * other[metric].mean() for other in (last, longer))
            claims[f"equal budget: snapshots are {word} than their own last one and the long run"] = better
    table = [["", "test error %", "negative log-likelihood", "Brier score", "calibration error"]]
    for name, found in ways.items():
        table.append([name, shown(1 - found["accuracy"], 2, True), *(shown(found[m], 3) for m in METRICS[1:])])
    for n, gain in gains.items():
        error = shown(1 - members[n]["accuracy"], 2, percent=True)
        table.append([f"points gained, {n or 'all'} examples", f"{shown(gain, 2)} of {error}", "", "", ""])
    figure, axes = panels(3)
    names = {"accuracy": "test error %", "nll": "negative log-likelihood", "ece": "calibration error"}
    for ax, (metric, label) in zip(axes, names.items(), strict=True):
        as_error = (lambda v: 100 - 100 * v) if metric == "accuracy" else (lambda v: v)
        for name, found in (("independent", averaged), ("snapshots", snapshots)):
            band(ax, range(1, SIZE + 1), as_error(found[metric]), name, marker="o")
        ax.axhline(as_error(longer[metric].mean()), color="grey", linestyle=":", label=f"one, {SIZE * epochs} epochs")
        ax.set(xlabel="networks averaged", ylabel=label, title=label.capitalize(), xticks=range(1, SIZE + 1))
        ax.legend()
    results = {name: {m: v.tolist() for m, v in found.items()} for name, found in ways.items()}
    gain = {str(n): {"gain": g.tolist(), "error": (1 - members[n]["accuracy"]).tolist()} for n, g in gains.items()}
    return Evidence({**results, "by_examples": gain}, claims, table, figure)
