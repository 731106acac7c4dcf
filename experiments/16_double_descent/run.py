"""Double descent: over random features, over samples, over the width of a network, over training time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, band, panels, shown
from experiments.running import Grid, train
from nnlab.build import load_dataset
from nnlab.config import compose
from nnlab.types import Dataset

RATIOS = [0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0, 8.0]
SMALL: dict[str, Any] = {"data": "digits", "limit": 150, "widths": [10, 20, 150], "steps": 1000}
MEDIUM: dict[str, Any] = {"data": "digits", "limit": 300, "widths": [5, 10, 20, 30, 40, 60, 150, 300], "steps": 2000}
LARGE: dict[str, Any] = {"data": "mnist", "limit": 4000, "widths": [5, 10, 20, 35, 50, 70, 120, 400], "steps": 500000}
QUICK: dict[str, Any] = {"data": "digits", "examples": 250, "seeds": 2, "noise": 0.2, "net": SMALL}
DEFAULT: dict[str, Any] = {"data": "mnist", "examples": 500, "seeds": 3, "noise": 0.2, "net": MEDIUM}
FULL: dict[str, Any] = {"data": "mnist", "examples": 2000, "seeds": 5, "noise": 0.2, "net": LARGE}

SHARED = [
    *("optimizer=adam", "optimizer.learning_rate=0.01", "scheduler=cosine", "loss=squared_error"),
    *("activation=tanh", "initialization=xavier", "trainer.batch_size=full", "trainer.epochs=null"),
]


def random_features(split: Dataset, examples: int, features: int, seed: int) -> float:
    """Test error of least squares of minimum norm on `features` cos(v x + b), v ~ N(0, 1/25) for 28 x 28 pixels."""
    generator, pixels = torch.Generator().manual_seed(seed), split.input_size
    v = torch.randn(pixels, features, generator=generator, dtype=torch.float64) / (5 * (pixels / 784) ** 0.5)
    b = 2 * np.pi * torch.rand(features, generator=generator, dtype=torch.float64)
    train_z, test_z = ((part.inputs[:2000].flatten(1).double() @ v + b).cos() for part in (split.train, split.test))
    labels = torch.nn.functional.one_hot(split.train.targets[:examples], 10).double()
    solution = torch.linalg.lstsq(train_z[:examples], labels, driver="gels").solution
    return float(((test_z @ solution).argmax(1) != split.test.targets[:2000]).double().mean())


def network(width: int, seeds: int, noise: float, net: dict[str, Any]) -> Grid:
    """One hidden layer of `width` tanh units by squared error on all examples at once."""
    setting = [f"data={net['data']}", f"data.limit={net['limit']}", f"data.label_noise={noise}"]
    setting += [f"trainer.steps={net['steps']}", f"trainer.validate_every={net['steps'] // 40}"]
    return train(*SHARED, *setting, "trainer.validate_unit=step", f"architecture.widths=[{width}]", seeds=range(seeds))


def run(data: str, examples: int, seeds: int, noise: float, net: dict[str, Any]) -> Evidence:
    """Sweep the features at fixed examples, the examples at fixed features, and the width."""
    config = [f"data={data}", f"data.limit={examples}", "data/preprocessing=none", f"data.label_noise={noise}"]
    splits = [load_dataset(compose(*config, f"data_seed={seed}")) for seed in range(seeds)]
    fixed, sizes = examples // 2, [round(examples * r / 2) for r in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)]
    features, samples = (
        np.array([[random_features(split, n, count, seed) for seed, split in enumerate(splits)] for n, count in pairs])
        for pairs in ([(examples, round(r * examples)) for r in RATIOS], [(n, fixed) for n in sizes])
    )
    grids = {width: network(width, seeds, noise, net) for width in net["widths"]}
    n, widths = len(next(iter(grids.values())).trainer.members[0].dataset.train), net["widths"]
    ratio = {w: grid.trainer.stack.theta.shape[1] / (10 * n) for w, grid in grids.items()}
    test = {w: 1 - grid.last("test", "accuracy")[0] for w, grid in grids.items()}
    fitted = {w: grid.last("train", "loss")[0] for w, grid in grids.items()}
    valley = min((w for w in widths if ratio[w] < 1), key=lambda w: test[w].mean())
    middle = max(widths[widths.index(valley) : -1], key=lambda w: test[w].mean())
    below, hurt = features[: RATIOS.index(1.0)].mean(1).min(), samples[3].mean() > samples[1].mean() + 0.05
    claims = {
        "random features: the test error peaks at N = n (0.9 to 1.1)": 0.9 <= RATIOS[features.mean(1).argmax()] <= 1.1,
        "random features: eight times as many as examples beat every number below n": features[-1].mean() < below,
        "samples: error peaks at n = N, where twice the data of n = N/2 hurt": hurt and samples.mean(1).argmax() == 3,
        "width: the widest net is 5 points better than the peak": test[middle].mean() > test[widths[-1]].mean() + 0.05,
    }
    if len(widths) > 3:
        shape = 0.5 <= ratio[middle] <= 1.5 and test[middle].mean() > test[valley].mean() + 0.01
        claims["width: there is a peak near the threshold, a point above a narrower net"] = shape
        late = grids[middle].curve("accuracy/validation")[1][0].mean(0)
        late = late[int(late[: len(late) // 2].argmax()) :]
        twice = late.min() < late[0] - 0.01 and late[-1] > late.min() + 0.01
        claims["epochs: the error rises by a point after its first minimum, and falls again by a point"] = twice
    table = [["random features N / n", "test error %"]]
    table += [[f"{r:g}", shown(features[i], 1, True)] for i, r in enumerate(RATIOS)]
    table += [[f"samples n / N = {size / fixed:.2f}", shown(samples[i], 1, True)] for i, size in enumerate(sizes)]
    for w in widths:
        error = f"{shown(test[w], 1, True)} (training loss {fitted[w].mean():.1e})"
        table.append([f"width {w}: parameters / (n x classes) = {ratio[w]:.2f}", error])
    figure, axes = panels(4, width=3.7)
    band(axes[0], RATIOS, 100 * features.T, f"{data}, n = {examples}", marker=".")
    band(axes[1], np.array(sizes) / fixed, 100 * samples.T, f"{data}, N = {fixed} features", marker=".")
    errors = 100 * np.stack(list(test.values())).T
    band(axes[2], list(ratio.values()), errors, f"{net['data']}, n = {n}", marker=".")
    for w in dict.fromkeys((middle, widths[-1])):
        steps, curve = grids[w].curve("accuracy/validation")
        band(axes[3], steps, 100 - 100 * curve[0], f"width {w}")
    names = ("features N / n", "examples n / N", "parameters / (n x classes)", "step")
    for ax, name, title in zip(axes, names, ("Random features", "Samples", "Width", "Time"), strict=True):
        ax.set(xlabel=name, ylabel="validation error %" if name == "step" else "test error %", title=title)
        ax.set_xscale("log", base=2)
        ax.legend()
    nets = {w: {"ratio": ratio[w], "test": test[w].tolist(), "loss": fitted[w].tolist()} for w in widths}
    results = {"ratios": RATIOS, "features": features.tolist(), "sizes": sizes, "samples": samples.tolist()}
    return Evidence({**results, "examples": n, "width": nets}, claims, table, figure)
