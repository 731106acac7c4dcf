"""ELU in eight layers of 128 units: activations nearer zero, and a training loss that falls faster."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.reporting import Evidence, band, panels, shown, smoothed
from experiments.running import Grid, train

NETS = {
    "ELU": ["activation=elu"],
    "leaky ReLU 0.1": ["activation=leaky_relu", "activation.slope=0.1"],
    "ReLU": ["activation=relu"],
}
MNIST = ["data=mnist", "data/preprocessing=standardize"]
NET = ["optimizer=sgd", "optimizer.learning_rate=0.01", "trainer.batch_size=64", "initialization=he"]
QUICK: dict[str, Any] = {"setting": ["data=digits"], "widths": [64] * 8, "epochs": 20, "seeds": 2}
DEFAULT: dict[str, Any] = {"setting": [*MNIST, "data.limit=10000"], "widths": [128] * 8, "epochs": 30, "seeds": 3}
FULL: dict[str, Any] = {"setting": MNIST, "widths": [128] * 8, "epochs": 60, "seeds": 3}


def medians(grid: Grid) -> np.ndarray:
    """Median activation of the hidden units over 1,000 test examples, (seeds, layers)."""
    stack = grid.trainer.stack
    names = [name for name, _ in stack.network.named_children() if name.startswith("activation")]
    inputs = grid.trainer.members[0].dataset.test.inputs[:1000]
    seen = stack.capture(inputs.expand(len(stack), *inputs.shape), names)
    return np.stack([seen[name].flatten(1).median(1).values.numpy() for name in names], axis=1)


def run(setting: list[str], widths: list[int], epochs: int, seeds: int) -> Evidence:
    """Train the three nets at one rate, as the paper does."""
    shared = [*setting, *NET, f"architecture.widths={widths}", f"trainer.epochs={epochs}"]
    grids = {name: train(*shared, *net, seeds=range(seeds)) for name, net in NETS.items()}
    steps = next(iter(grids.values())).losses.shape[2]
    curves = {name: smoothed(grid.losses[0], steps // epochs) for name, grid in grids.items()}
    middle = {name: np.abs(medians(grid)).mean(1) for name, grid in grids.items()}
    error = {name: 1 - grid.last("test", "accuracy")[0] for name, grid in grids.items()}
    early, end = ({name: curve[:, place] for name, curve in curves.items()} for place in (steps // 4, -1))
    claims = {
        f"ELU's training loss is the lowest after a quarter of {epochs} epochs": min(
            early, key=lambda n: early[n].mean()
        )
        == "ELU",
        "and at the end, with every seed": all((end["ELU"] < end[name]).all() for name in NETS if name != "ELU"),
        "ELU's median activations are nearer zero than leaky ReLU's": middle["ELU"].mean()
        < middle["leaky ReLU 0.1"].mean(),
    }
    table: list[list[Any]] = [["", "training loss, a quarter", "at the end", "median activation", "test error %"]]
    for name in NETS:
        cells = [
            shown(early[name], 4),
            shown(end[name], 5),
            shown(middle[name], 3),
            shown(error[name], 2, percent=True),
        ]
        table.append([name, *cells])
    figure, axes = panels(1, width=6.0)
    for name, curve in curves.items():
        band(axes[0], np.linspace(0, epochs, steps), curve, name)
    axes[0].set(yscale="log", xlabel="epoch", ylabel="training loss, mean over an epoch", title="Eight layers")
    axes[0].legend()
    results = {name: {"loss": end[name].tolist(), "error": error[name].tolist()} for name in NETS}
    return Evidence(results, claims, table, figure)
