"""Under- and overfitting with capacity; early stopping, augmentation, L1 and L2 against it."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, band, panels, shown
from experiments.running import Grid, train

QUICK: dict[str, Any] = {"limit": 200, "widths": [2, 64], "epochs": 80, "seeds": 4, "strengths": [0.003, 0.03]}
DEFAULT: dict[str, Any] = {"limit": 300, "widths": [1, 2, 4, 8, 16, 64, 256], "epochs": 250, "seeds": 4,
                           "strengths": [0.001, 0.003, 0.01, 0.03]}  # fmt: skip
FULL: dict[str, Any] = {"limit": None, "widths": [1, 2, 4, 8, 16, 64, 256, 1024], "epochs": 400, "seeds": 20,
                        "strengths": [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]}  # fmt: skip


def fit(limit: int | None, epochs: int, seeds: int, *overrides: str, vary: Any = ()) -> Grid:
    """Nets on digits of which a fifth have a wrong label, validated after every epoch."""
    shared = [f"data.limit={limit or 'null'}", "data.label_noise=0.2", "trainer.batch_size=50"]
    shared += [f"trainer.epochs={epochs}", "optimizer.learning_rate=0.003", "trainer.validate_every=1"]
    return train(*shared, *overrides, vary=vary, seeds=range(seeds))


def run(limit: int | None, widths: list[int], epochs: int, seeds: int, strengths: list[float]) -> Evidence:
    """Sweep the width, then help the widest net in four ways."""
    wide = f"architecture.widths=[{widths[-1]}]"
    nets = {width: fit(limit, epochs, seeds, f"architecture.widths=[{width}]") for width in widths}
    training = {width: 1 - grid.last("train", "accuracy")[0] for width, grid in nets.items()}
    test = {width: 1 - grid.last("test", "accuracy")[0] for width, grid in nets.items()}
    plain = nets[widths[-1]]
    ways = {"nothing": test[widths[-1]], "early stopping": 1 - plain.best("test", "accuracy")[0]}
    shift = fit(limit, epochs, seeds, wide, "data/augmentation=[shift]")
    ways["augmentation: shifts by a pixel"] = 1 - shift.last("test", "accuracy")[0]
    paths: dict[str, np.ndarray] = {}
    for name, option in (("L2", "weight_decay"), ("L1", "l1")):
        scale = 1.0 if name == "L2" else 0.1
        vary = {f"regularizer.{option}.strength": [scale * value for value in strengths]}
        grid = fit(limit, epochs, seeds, wide, f"regularizer=[{option}]", vary=vary)
        chosen = int(np.nanargmax(grid.last("validation", "accuracy").mean(1)))
        paths[name] = 1 - np.stack([grid.last(split, "accuracy") for split in ("train", "test")])
        ways[f"{name}, strength {scale * strengths[chosen]:g} by validation"] = paths[name][1, chosen]
        if name == "L1":
            first = grid.trainer.stack.views["linear1.weight"].detach().abs() < 1e-3
            zeros = first.double().mean((1, 2)).numpy().reshape(len(strengths), seeds).mean(1)
    steps, losses = plain.curve("loss/validation")
    bottom = losses[0].mean(0).min()
    helped = [name for name, error in ways.items() if error.mean() < ways["nothing"].mean()]
    claims = {
        "a net too small underfits: its training error is more than 20 points": training[widths[0]].mean() > 0.2,
        "the widest overfits: it learns even the wrong labels (training error below 2 %), and errs on test": bool(
            training[widths[-1]].mean() < 0.02 and test[widths[-1]].mean() > 0.1
        ),
        "its validation loss falls, then rises by more than a fifth": losses[0, :, -1].mean() > 1.2 * bottom,
        "early stopping and L2 each lower its test error": sum("L1" not in n and "shift" not in n for n in helped) == 2,
        "the strongest L1 sets more weights to zero than the weakest": zeros[-1] > zeros[0] + 0.2,
    }
    if len(widths) > 2:
        claims["and so do augmentation and L1, by more than half a point"] = all(
            ways["nothing"].mean() > error.mean() + 0.005 for error in ways.values() if error is not ways["nothing"]
        )
    table = [["width", "training error %", "test error %"]]
    table += [[str(w), shown(training[w], 1, percent=True), shown(test[w], 1, percent=True)] for w in widths]
    table += [[f"width {widths[-1]}, {name}", "", shown(error, 1, percent=True)] for name, error in ways.items()]
    table.append([f"weights at zero, L1 {0.1 * strengths[0]:g} / {0.1 * strengths[-1]:g}", "",
                  f"{zeros[0]:.0%} / {zeros[-1]:.0%}"])  # fmt: skip
    figure, axes = panels(3)
    for name, found in (("training", training), ("test", test)):
        band(axes[0], widths, 100 * np.stack(list(found.values())).T, name, marker="o")
    axes[0].set(xscale="log", xlabel="width", ylabel="error %", title="Capacity")
    band(axes[1], steps, losses[0], "validation")
    window = plain.losses.shape[2] // epochs
    band(axes[1], steps, plain.losses[0].reshape(seeds, epochs, window).mean(2), "training")
    axes[1].axvline(steps[losses[0].mean(0).argmin()], color="grey", linestyle=":", label="early stopping")
    axes[1].set(yscale="log", xlabel="step", ylabel="loss", title=f"Width {widths[-1]}")
    for name, errors in paths.items():
        for line, split, error in zip(("--", "-"), ("training", "test"), errors, strict=True):
            scaled = np.array(strengths) * (1.0 if name == "L2" else 0.1)
            axes[2].plot(scaled, 100 * error.mean(1), line, marker="o", markersize=3, label=f"{name}, {split}")
    axes[2].set(xscale="log", xlabel="strength", ylabel="error %", title="Penalties")
    for ax in axes:
        ax.legend()
    capacity = {w: {"train": training[w].tolist(), "test": test[w].tolist()} for w in widths}
    results = {"capacity": capacity, "ways": {name: error.tolist() for name, error in ways.items()}}
    penalties = {name: errors.mean(2).tolist() for name, errors in paths.items()}
    return Evidence({**results, "penalties": penalties, "zeros": zeros.tolist()}, claims, table, figure)
