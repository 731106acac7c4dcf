"""Snapshots of a residual network on CIFAR-10: five cycles of the rate, against one fall of as many epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.published import Evidence, Found, Row, evidence, less, measure
from experiments.running import Grid
from nnlab.callbacks import SnapshotEnsemble

CYCLES = 5
NET = ["architecture=resnet", "optimizer=heavy_ball", "optimizer.learning_rate=0.1", "trainer.batch_size=64"]
NET += ["regularizer=[weight_decay]", "regularizer.weight_decay.strength=0.0001"]
CIFAR = ["data=cifar10", "data/augmentation=[flip,shift]", "data.augmentation.shift.pixels=4", *NET]
SMALL = ["architecture.blocks=1", "architecture.width=8"]
ONE, CYCLIC = Row("one cosine", None, "scheduler=cosine"), Row("cycles", None, "scheduler=cyclic")
QUICK: dict[str, Any] = {"setting": ["data=digits", "data.limit=400", *NET, *SMALL], "epochs": 10, "seeds": 2}
DEFAULT: dict[str, Any] = {"setting": [*CIFAR, *SMALL, "data.limit=5000"], "epochs": 50, "seeds": 2}
FULL: dict[str, Any] = {"setting": CIFAR, "epochs": 200, "seeds": 3}


def snapshots(grid: Grid) -> dict[str, Any]:
    """Test errors, percent, and likelihoods of the average of each seed's newest 1, ..., 5 snapshots."""
    reports = [outcome.ensemble for outcome in grid.trainer.outcomes]
    sizes = [report["test"]["by_size"] for report in reports if report]
    errors = [[100 - 100 * size["accuracy"] for size in each] for each in sizes]
    return {"errors": errors, "nll": [[size["nll"] for size in each] for each in sizes]}


def run(setting: Sequence[str], epochs: int, seeds: int) -> Evidence:
    """One network with every seed, and as long a run whose snapshots are averaged."""
    shared = [*setting, f"trainer.epochs={epochs}"]
    single = measure("snapshot_nets", [ONE], shared, range(seeds))[ONE.name]
    cycles = [*shared, f"scheduler.cycles={CYCLES}"]
    cyclic = measure("snapshot_nets", [CYCLIC], cycles, range(seeds), snapshots, lambda: [SnapshotEnsemble()])
    errors, nll = (np.array(cyclic[CYCLIC.name].more[name]) for name in ("errors", "nll"))
    names = [f"one network, {epochs} epochs", "the last of its snapshots", *(f"the last {m}" for m in range(2, CYCLES))]
    names.append(f"all {CYCLES} snapshots")
    rows = [Row(name, None, *(CYCLIC if place else ONE).overrides) for place, name in enumerate(names)]
    seconds = [single.seconds, cyclic[CYCLIC.name].seconds, *[0.0] * (CYCLES - 1)]
    columns = [single.errors, *errors.T.tolist()]
    found = {row.name: Found(each, {}, [], spent) for row, each, spent in zip(rows, columns, seconds, strict=True)}
    last, all_five = found[names[1]], found[names[-1]]
    claims = {f"{CYCLES} snapshots err no more than the last one, in the mean": all_five.mean <= last.mean}
    if "data=cifar10" in setting:
        likelier = bool((nll[:, -1] < nll[:, 0]).all())
        claims[f"{CYCLES} snapshots are likelier than the last one, with every seed"] = likelier
        claims[f"{CYCLES} snapshots err less than the last one, by more than a standard error"] = less(all_five, last)
        claims["and less than one network trained as long without cycles"] = less(all_five, single)
    result = evidence(rows, found, claims, "A residual net on CIFAR-10", compared=False)
    result.results["nll"] = nll.tolist()
    return result
