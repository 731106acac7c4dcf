"""Under- and overfitting with capacity; early stopping, augmentation, L1 and L2 against it."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import PALETTE, Evidence, band, panels, shown
from experiments.running import Grid, train

QUICK: dict[str, Any] = {"data": "digits", "limit": 200, "widths": [2, 128], "epochs": 150, "seeds": 3, "pixels": 1,
                         "l2": [0.003, 0.03], "l1": [0.0003, 0.003]}  # fmt: skip
DEFAULT: dict[str, Any] = {**QUICK, "limit": 300, "widths": [1, 2, 4, 8, 16, 64, 256], "epochs": 250, "seeds": 10,
                           "l2": [0.003, 0.01, 0.03, 0.1], "l1": [0.0003, 0.001, 0.003, 0.01]}  # fmt: skip
FULL: dict[str, Any] = {**DEFAULT, "data": "mnist", "limit": None, "widths": [1, 4, 16, 64, 256, 1024, 4096],
                        "epochs": 400, "pixels": 2}  # fmt: skip


def run(data: str, limit: int | None, widths: list[int], epochs: int, seeds: int, pixels: int, l2: list[float],
        l1: list[float]) -> Evidence:  # fmt: skip
    """Sweep the width, then help the widest net in four ways, on data of which a fifth have a wrong label."""
    shared = [f"data={data}", f"data.limit={limit or 'null'}", "data.label_noise=0.2", "data/preprocessing=none"]
    shared += [f"trainer.epochs={epochs}", "optimizer.learning_rate=0.003"]
    shared += ["trainer.batch_size=50", "trainer.validate_every=1"]

    def fit(width: int, *overrides: str, vary: Any = ()) -> Grid:
        return train(*shared, f"architecture.widths=[{width}]", *overrides, vary=vary, seeds=range(seeds))

    nets = {width: fit(width) for width in widths}
    training = {width: 1 - grid.last("train", "accuracy")[0] for width, grid in nets.items()}
    test = {width: 1 - grid.last("test", "accuracy")[0] for width, grid in nets.items()}
    wide, plain = widths[-1], nets[widths[-1]]
    ways = {"nothing": test[wide], "early stopping": 1 - plain.best("test", "accuracy")[0]}
    shift = fit(wide, "data/augmentation=[shift]", f"data.augmentation.shift.pixels={pixels}")
    ways[f"shifts up to {pixels} pixels"] = 1 - shift.last("test", "accuracy")[0]
    paths: dict[str, np.ndarray] = {}
    strengths = {"L2": l2, "L1": l1}
    for name, option in (("L2", "weight_decay"), ("L1", "l1")):
        vary = {f"regularizer.{option}.strength": strengths[name]}
        grid = fit(wide, f"regularizer=[{option}]", vary=vary)
        chosen = int(np.nanargmax(grid.last("validation", "accuracy").mean(1)))
        paths[name] = 1 - np.stack([grid.last(split, "accuracy") for split in ("train", "test")])
        ways[f"{name}, strength {strengths[name][chosen]:g} by validation"] = paths[name][1, chosen]
    first = grid.trainer.stack.views["linear1.weight"].detach().abs() < 1e-3  # of L1, which came last
    zeros = first.double().mean((1, 2)).numpy().reshape(len(l1), seeds).mean(1)
    steps, losses = plain.curve("loss/validation")
    bottom = losses[0].mean(0).min()
    gain = [float(ways["nothing"].mean() - error.mean()) for name, error in ways.items() if name != "nothing"]
    claims = {
        "a net too small underfits: its training error is more than 20 points": training[widths[0]].mean() > 0.2,
        "the widest overfits: it learns even the wrong labels (training error below 2 %), and errs on test": bool(
            training[wide].mean() < 0.02 and test[wide].mean() > 0.1
        ),
        "its validation loss falls, then rises by more than a fifth": losses[0, :, -1].mean() > 1.2 * bottom,
        "the strongest L1 sets more weights to zero than the weakest": zeros[-1] > zeros[0] + 0.2,
        "early stopping, augmentation, L1 and L2 each lower its test error by more than a point": min(gain) > 0.01,
    }
    table = [["width", "training error %", "test error %"]]
    table += [[str(w), shown(training[w], 1, percent=True), shown(test[w], 1, percent=True)] for w in widths]
    table += [[f"width {wide}, {name}", "", shown(error, 1, percent=True)] for name, error in ways.items()]
    table.append([f"weights at zero, L1 {l1[0]:g} / {l1[-1]:g}", "", f"{zeros[0]:.0%} / {zeros[-1]:.0%}"])
    figure, axes = panels(3)
    for name, found in (("training", training), ("test", test)):
        band(axes[0], widths, 100 * np.stack(list(found.values())).T, name, marker="o")
    axes[0].set(xscale="log", xlabel="width", ylabel="error %", title="Capacity")
    band(axes[1], steps, losses[0], "validation")
    window = plain.losses.shape[2] // epochs
    band(axes[1], steps, plain.losses[0].reshape(seeds, epochs, window).mean(2), "training")
    axes[1].axvline(steps[losses[0].mean(0).argmin()], color="grey", linestyle=":", label="early stopping")
    axes[1].set(yscale="log", xlabel="step", ylabel="loss", title=f"Width {wide}")
    for name, errors in paths.items():
        for line, split, error in zip(("--", "-"), ("training", "test"), errors, strict=True):
            label, colour = f"{name}, {split}", PALETTE[name == "L1"]
            axes[2].plot(strengths[name], 100 * error.mean(1), line, marker="o", color=colour, label=label)
    axes[2].axhline(100 * test[wide].mean(), color="grey", linestyle=":", label="test, without")
    axes[2].set(xscale="log", xlabel="strength", ylabel="error %", title="Penalties")
    for ax in axes:
        ax.legend()
    capacity = {w: {"train": training[w].tolist(), "test": test[w].tolist()} for w in widths}
    results = {"capacity": capacity, "ways": {name: error.tolist() for name, error in ways.items()}}
    penalties = {name: errors.mean(2).tolist() for name, errors in paths.items()}
    return Evidence({**results, "penalties": penalties, "zeros": zeros.tolist()}, claims, table, figure)
