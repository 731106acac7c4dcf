"""Double descent: over random features, over samples, over the width of a network, over training time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, band, panels, shown, smoothed
from experiments.running import train
from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.types import Dataset

RATIOS = [0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0, 8.0]
SMALL = {"widths": [10, 20, 150], "setting": ["data.limit=150", "trainer.steps=1000"]}
MEDIUM = {"widths": [5, 10, 20, 30, 40, 60, 150, 300], "setting": ["data.limit=300", "trainer.steps=2000"]}
BELKIN = ["data=mnist", "data.limit=4000", "data/preprocessing=none", "activation=relu", "initialization=he"]
BELKIN += ["optimizer.learning_rate=0.002", "trainer.batch_size=100", "trainer.steps=24000"]  # 600 epochs
LARGE = {"widths": [10, 20, 30, 40, 50, 60, 75, 100, 150, 400], "setting": BELKIN}
QUICK: dict[str, Any] = {"data": "digits", "examples": 250, "seeds": 2, "noise": 0.2, "epoch_seeds": 3, "net": SMALL}
DEFAULT: dict[str, Any] = {"data": "mnist", "examples": 500, "seeds": 3, "noise": 0.2, "epoch_seeds": 10, "net": MEDIUM}
FULL: dict[str, Any] = {**DEFAULT, "examples": 2000, "net": LARGE}
SHARED = ["scheduler=cosine", "loss=squared_error", "activation=tanh", "initialization=xavier"]
SHARED += ["optimizer.learning_rate=0.01", "trainer.batch_size=full", "trainer.epochs=null"]


def random_features(split: Dataset, examples: int, features: int, seed: int) -> float:
    """Test error of least squares of minimum norm on `features` cos(v x + b), v ~ N(0, 1/25) for 28 x 28 pixels."""
    generator, pixels = torch.Generator().manual_seed(seed), split.input_size
    v = torch.randn(pixels, features, generator=generator, dtype=torch.float64) / (5 * (pixels / 784) ** 0.5)
    b = 2 * np.pi * torch.rand(features, generator=generator, dtype=torch.float64)
    train_z, test_z = ((part.inputs[:2000].flatten(1).double() @ v + b).cos() for part in (split.train, split.test))
    labels = torch.nn.functional.one_hot(split.train.targets[:examples], 10).double()
    solution = torch.linalg.lstsq(train_z[:examples], labels, driver="gels").solution
    return float(((test_z @ solution).argmax(1) != split.test.targets[:2000]).double().mean())


def over_epochs(width: int, seeds: int, noise: float, epochs: int) -> np.ndarray:
    """Errors (seeds, epochs) on right labels while a net trains on 400 digits by Adam at a constant, high rate."""
    setting = ["data.limit=400", f"data.label_noise={noise}", "data.validation=0.4", "optimizer.learning_rate=0.01"]
    setting += ["trainer.batch_size=20", f"trainer.epochs={epochs}", "trainer.validate_every=1"]
    grid = train(*setting, f"architecture.widths=[{width}]", seeds=range(seeds))
    return 1 - grid.curve("accuracy/validation")[1][0]  # type: ignore[no-any-return]


def run(data: str, examples: int, seeds: int, noise: float, epoch_seeds: int, net: dict[str, Any]) -> Evidence:
    """Sweep the features at fixed examples, the examples at fixed features, and the width."""
    config = [f"data={data}", f"data.limit={examples}", "data/preprocessing=none", f"data.label_noise={noise}"]
    splits = [load_dataset(compose(*config, f"data_seed={seed}")) for seed in range(seeds)]
    fixed, sizes = examples // 2, [round(examples * r / 2) for r in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)]
    features, samples = (
        np.array([[random_features(split, n, count, seed) for seed, split in enumerate(splits)] for n, count in pairs])
        for pairs in ([(examples, round(r * examples)) for r in RATIOS], [(n, fixed) for n in sizes])
    )
    nets = [*SHARED, *net["setting"], f"data.label_noise={noise}"]
    grids = {w: train(*nets, f"architecture.widths=[{w}]", seeds=range(seeds)) for w in net["widths"]}
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
        shape = 0.625 <= ratio[middle] <= 1.5 and test[middle].mean() > test[valley].mean() + 0.01
        claims["width: there is a peak near the threshold, a point above a narrower net"] = shape
    late = smoothed(over_epochs(256, epoch_seeds, noise, 100), 5)
    mean, top = late.mean(0), 2 + int(late.mean(0)[2:].argmax())
    rise, fall = 100 * (mean[top] - mean[:top].min()), 100 * (mean[top] - mean[-10:].mean())
    claims["epochs: the error falls, rises by 1.5 points or more, and falls as far again"] = min(rise, fall) > 1.5
    rows = ([f"{r:g}", shown(errors, 1, True)] for r, errors in zip(RATIOS, features, strict=True))
    table = [["random features N / n", "test error %"], *rows]
    table += [[f"samples n / N = {size / fixed:.2f}", shown(samples[i], 1, True)] for i, size in enumerate(sizes)]
    cells = {w: f"{shown(test[w], 1, True)} (training loss {fitted[w].mean():.1e})" for w in widths}
    table += [[f"width {w}: parameters / (n x classes) = {ratio[w]:.2f}", cell] for w, cell in cells.items()]
    table.append(
        [f"epochs: peak after {top + 1}", f"{100 * mean[top]:.1f}, up {rise:.1f}, then down {fall:.1f} points"]
    )
    figure, axes = panels(2, 2, width=6.0)
    band(axes[0], RATIOS, 100 * features.T, f"{data}, n = {examples}", marker=".")
    band(axes[1], np.array(sizes) / fixed, 100 * samples.T, f"{data}, N = {fixed} features", marker=".")
    band(axes[2], list(ratio.values()), 100 * np.stack([*test.values()]).T, f"one hidden layer, n = {n:,}", marker=".")
    band(axes[3], np.arange(1, late.shape[1] + 1), 100 * late, "width 256, 400 digits, mean of 5 epochs")
    places = {"Random features": "features N / n", "Samples": "examples n / N", "Width": "parameters / (n x classes)"}
    for ax, (title, place) in zip(axes, [*places.items(), ("Epochs", "epoch")], strict=True):
        ax.set(xlabel=place, ylabel="test error %", title=title)
        ax.set_xscale("log", base=2)
        ax.legend()
    by_width = {w: {"ratio": ratio[w], "test": test[w].tolist(), "loss": fitted[w].tolist()} for w in widths}
    results = {"ratios": RATIOS, "features": features.tolist(), "sizes": sizes, "samples": samples.tolist()}
    return Evidence({**results, "width": by_width, "epochs": late.tolist()}, claims, table, figure)
