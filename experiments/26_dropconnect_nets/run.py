"""DropConnect's table on MNIST: two layers of 800 units with nothing, Dropout or DropConnect, alone and as five."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from experiments.published import Evidence, Found, Row, at_full_size, evidence, less, measure
from experiments.reporting import plain
from experiments.running import Grid
from nnlab.randomness import derive_seed
from nnlab.regularizer.dropconnect import DropConnectLinear

NET = ["optimizer=heavy_ball", "optimizer.learning_rate=0.03", "scheduler=linear", "trainer.batch_size=128"]
MNIST = ["data=mnist", "data/preprocessing=none", "architecture.widths=[800,800]", *NET]
NETS = [
    Row("none", 1.62, "regularizer=[]"),
    Row("Dropout", 1.28, "regularizer=[dropout]", "regularizer.dropout.p=0.5"),
    Row("DropConnect", 1.20, "regularizer=[dropconnect]", "regularizer.dropconnect.p=0.5"),
]
OF_FIVE = {"none": 1.40, "Dropout": 1.20, "DropConnect": 1.12}
QUICK: dict[str, Any] = {"setting": ["data=digits", "architecture.widths=[64,64]", *NET], "epochs": 20, "seeds": 5}
DEFAULT: dict[str, Any] = {"setting": [*MNIST, "data.limit=10000"], "epochs": 20, "seeds": 5}
FULL: dict[str, Any] = {"setting": MNIST, "epochs": 60, "seeds": 2}

MASKS, IMAGES = 60, 2000  # draws that are averaged, and the test images they are averaged for
DRAWN = {"off": f"masks off ({IMAGES:,} images)", "masks": f"{MASKS} masks", "gaussian": f"{MASKS} Gaussian draws"}


def gaussian(grid: Grid, row: int, inputs: torch.Tensor) -> torch.Tensor:
    """Predictions (MASKS, N, C) of one network, its units drawn with the moments that masks give their inputs."""
    network, predictions = grid.trainer.stack.member(row).eval(), []
    layers = [module for module in network.modules() if isinstance(module, DropConnectLinear)]
    for draw in range(MASKS):
        for place, layer in enumerate(layers):
            layer.inference, layer.sampling = "gaussian", True
            layer.p, layer.key = layer.p.max(), torch.tensor(derive_seed(draw, f"layer {place}"))  # p is everyone's
        with torch.no_grad():
            predictions.append(grid.trainer.loss.prediction(network(inputs)))
    return torch.stack(predictions)


def averaged(grid: Grid) -> dict[str, Any]:
    """Errors, percent, of the average over 1, ..., `MASKS` draws (seeds, MASKS), and with masks off (seeds,)."""
    stack, test = grid.trainer.stack, grid.trainer.members[0].dataset.test
    inputs, targets, rows = test.inputs[:IMAGES], test.targets[:IMAGES], range(len(grid.seeds))
    predicted = {"masks": [grid.masked(row, inputs, MASKS) for row in rows]} if stack.noise else {}
    if any(isinstance(module, DropConnectLinear) for module in stack.network.modules()):
        predicted["gaussian"] = [gaussian(grid, row, inputs) for row in rows]
    predicted["off"] = [stack.loss.prediction(stack.member(row).eval()(inputs)).detach()[None] for row in rows]
    wrong = {way: torch.stack(each).cumsum(1).argmax(-1) != targets for way, each in predicted.items()}
    return {way: (100 * each.double().mean(-1)).squeeze(1).tolist() for way, each in wrong.items()}


def run(setting: Sequence[str], epochs: int, seeds: int) -> Evidence:
    """The three nets with every seed, and the average of each one's networks."""
    found = measure("dropconnect_nets", NETS, [*setting, f"trainer.epochs={epochs}"], range(seeds), averaged)
    rows = list(NETS)
    for row in NETS:
        together = Row(f"{row.name}, average of {seeds}", OF_FIVE[row.name] if seeds == 5 else None, *row.overrides)
        found[together.name] = Found([found[row.name].by_size["error"][-1]], {}, [], 0.0)
        rows.append(together)
    single, five = ([found[row.name].mean for row in part] for part in (rows[: len(NETS)], rows[len(NETS) :]))
    claims = {f"{seeds} networks together err less than one, over the three nets": np.mean(five) < np.mean(single)}
    curves = {(row.name, way): np.array(errors) for row in NETS[1:] for way, errors in found[row.name].more.items()}
    for (net, way), errors in curves.items():
        rows.append(Row(f"{net}, {DRAWN[way]}", None))
        found[rows[-1].name] = Found((errors if way == "off" else errors[:, -1]).tolist(), {}, [], 0.0)
    drawn = {way: found[f"Dropout, {DRAWN[way]}"] for way in ("off", "masks")}
    claims["a single mask of Dropout errs more than weight scaling"] = (
        curves["Dropout", "masks"][:, 0].mean() > drawn["off"].mean
    )
    if "data=mnist" in setting:
        claims |= {f"{row.name} errs less than none": less(found[row.name], found["none"]) for row in NETS[1:]}
        near = abs(drawn["masks"].mean - drawn["off"].mean) <= np.std(drawn["off"].errors, ddof=1)
        claims[f"Dropout: {MASKS} masks are within a standard deviation of weight scaling"] = near
        gaussian, off = (found[f"DropConnect, {DRAWN[way]}"] for way in ("gaussian", "off"))
        claims["DropConnect: draws of Gaussian moments err less than masks off"] = less(gaussian, off)
    result = evidence(rows, found, claims, "800 - 800 units on MNIST", at_full_size(setting), beside=1)
    axes = result.figure.axes[1]
    for (net, way), errors in curves.items():
        color = "C2" if way == "gaussian" else "C0" if net == "Dropout" else "C1"
        if way == "off":
            axes.axhline(errors.mean(), color=color, linestyle=":", label=f"{net}, masks off")
        else:
            axes.plot(range(1, MASKS + 1), errors.mean(0), color=color, label=f"{net}, {way}")
    axes.set(xscale="log", xlabel="draws averaged", ylabel="test error %", title=f"{IMAGES:,} images")
    plain(axes.xaxis, [1, 2, 5, 10, 20, 50])
    axes.legend()
    return result
