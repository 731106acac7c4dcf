"""Ensembles: the gain over members, independent networks against snapshots at equal budget, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, band, panels, shown
from experiments.running import train
from nnlab.callbacks import SnapshotEnsemble
from nnlab.training.ensemble import ensemble_report

SIZE = 5
QUICK: dict[str, Any] = {"data": "digits", "limit": 300, "widths": [32], "epochs": 20, "seeds": 4, "batch": 16}
DEFAULT: dict[str, Any] = {"data": "mnist", "limit": 1000, "widths": [64, 64], "epochs": 10, "seeds": 4, "batch": 50}
FULL: dict[str, Any] = {"data": "mnist", "limit": None, "widths": [200] * 3, "epochs": 40, "seeds": 10, "batch": 100}


def run(data: str, limit: int | None, widths: list[int], epochs: int, seeds: int, batch: int) -> Evidence:
    """`SIZE` networks for `epochs` each, against one for as many epochs in all, with and without restarts."""
    shared = [f"data={data}", f"data.limit={limit or 'null'}", f"trainer.batch_size={batch}", "optimizer=heavy_ball"]
    shared += [f"architecture.widths={widths}", "optimizer.learning_rate=0.05"]
    several = train(*shared, f"trainer.epochs={epochs}", "scheduler=cosine", seeds=range(seeds * SIZE))
    members = several.trainer.members[0].dataset
    evaluation, loss, targets = several.trainer.evaluate("test"), several.trainer.loss, members.test.targets
    reports = [
        ensemble_report(loss, evaluation, targets, range(SIZE * group, SIZE * (group + 1))) for group in range(seeds)
    ]
    long = [*shared, f"trainer.epochs={SIZE * epochs}"]
    single = train(*long, "scheduler=cosine", seeds=range(seeds))
    cyclic = train(*long, "scheduler=cyclic", f"scheduler.cycles={SIZE}", seeds=range(seeds),
                   callbacks=[SnapshotEnsemble()])  # fmt: skip
    snapshots = [cyclic.trainer.ensembles[member]["test"] for member in range(seeds)]

    def values(found: list[dict[str, Any]], metric: str) -> np.ndarray:
        """A metric of the ensembles of the first 1, ..., SIZE, (seeds, SIZE)."""
        return np.array([[size[metric] for size in report["by_size"]] for report in found])

    names = ("accuracy", "nll", "brier", "ece")
    ways: dict[str, dict[str, np.ndarray]] = {
        f"one network, {epochs} epochs": {m: np.array([r["mean"][m] for r in reports]) for m in names},
        f"one network, {SIZE * epochs} epochs": {m: single.last("test", m)[0] for m in names},
        "the last of the snapshots": {m: values(snapshots, m)[:, 0] for m in names},
        f"{SIZE} snapshots": {m: values(snapshots, m)[:, -1] for m in names},
        f"{SIZE} independent networks": {m: values(reports, m)[:, -1] for m in names},
    }
    one, longer, last, snapshot, independent = ways.values()
    gain = 100 * (independent["accuracy"] - one["accuracy"])
    mean = {metric: values(reports, metric).mean(0) for metric in names}
    first = {metric: one[metric].mean() for metric in names}
    claims = {
        "independent networks: the ensemble is more accurate than its average member, with every seed": bool(
            (gain > 0).all()
        ),
        "its negative log-likelihood and Brier score are lower too, with every seed": bool(
            (independent["nll"] < one["nll"]).all() and (independent["brier"] < one["brier"]).all()
        ),
        "equal budget: independent networks have a better likelihood than one trained five times longer": bool(
            independent["nll"].mean() < longer["nll"].mean()
        ),
    }
    if data != "digits":
        claims |= {
            "equal budget: five snapshots beat their own last one in likelihood": bool(
                snapshot["nll"].mean() < last["nll"].mean()
            ),
            "equal budget: five snapshots beat the single long run in likelihood": bool(
                snapshot["nll"].mean() < longer["nll"].mean()
            ),
            "equal budget: five snapshots are more accurate than the single long run": bool(
                snapshot["accuracy"].mean() > longer["accuracy"].mean()
            ),
            "the gain in accuracy is the lecture's 2 points (1.5 to 2.5)": bool(1.5 <= gain.mean() <= 2.5),
        }
    table = [["", "test error %", "negative log-likelihood", "Brier score", "calibration error"]]
    for name, found in ways.items():
        numbers = (shown(found[metric], 3) for metric in names[1:])
        table.append([name, shown(1 - found["accuracy"], 2, percent=True), *numbers])
    table.append(["gain over the average member, points", f"{shown(gain, 2)} (the lecture: 2)", "", "", ""])
    figure, axes = panels(3)
    for ax, metric in zip(axes, ("accuracy", "nll", "ece"), strict=True):
        for name, found in (("independent", reports), ("snapshots", snapshots)):
            curve = values(found, metric)
            band(ax, range(1, SIZE + 1), 100 - 100 * curve if metric == "accuracy" else curve, name, marker="o")
        level = 100 - 100 * longer["accuracy"].mean() if metric == "accuracy" else longer[metric].mean()
        ax.axhline(level, color="grey", linestyle=":", label=f"one network, {SIZE * epochs} epochs")
        ax.set(
            xlabel="networks averaged",
            title={"accuracy": "test error %", "ece": "calibration error"}.get(metric, metric),
        )
        ax.legend()
    results = {name: {metric: v.tolist() for metric, v in found.items()} for name, found in ways.items()}
    by_size = {metric: curve.tolist() for metric, curve in mean.items()}
    return Evidence(
        {**results, "by_size": by_size, "average_member": first, "gain": gain.tolist()}, claims, table, figure
    )
