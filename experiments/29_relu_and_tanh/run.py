"""ReLU against tanh in a four-layer convnet on CIFAR-10, with the differences to Krizhevsky's set-up one at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from torch import nn

from experiments.reporting import Evidence, panels
from experiments.running import Until, train
from nnlab.architecture.base import Head, MakeActivation
from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.types import Dataset, Split

NET = "{{_target_: {}.FourLayers, channels: {}, overlap: false, normalized: false}}"
OURS = ["initialization=he", "optimizer=heavy_ball", "trainer.batch_size=128", "trainer.validate_every=1"]
DIFFERENCES = {
    "none: ours": [],
    "pixels from 0 to 1": ["data/preprocessing=none"],
    "no momentum": ["optimizer=sgd"],
    "weights N(0, 0.05²)": ["initialization=gaussian", "initialization.std=0.05"],
    "pooling 3x3, overlapping": ["architecture.overlap=true"],
    "response normalization": ["architecture.normalized=true"],
}
ALL = "the last three together"  # of these his set-up is made
DIFFERENCES[ALL] = [override for name in [*DIFFERENCES][3:] for override in DIFFERENCES[name]]
QUICK: dict[str, Any] = {"data": "digits", "limit": 500, "channels": [8, 8, 8], "names": ["none: ours"],
                         "rates": [0.03], "seeds": 2, "most": 20}  # fmt: skip
DEFAULT: dict[str, Any] = {"data": "cifar10", "limit": 2000, "channels": [8, 16, 16], "names": [*DIFFERENCES],
                           "rates": [0.003, 0.01, 0.03, 0.1], "seeds": 2, "most": 30}  # fmt: skip
FULL: dict[str, Any] = {**DEFAULT, "limit": None, "channels": [32, 32, 64], "seeds": 3}
TARGET = 0.25  # error on training images


class FourLayers(nn.Sequential):
    """Three 5x5 convolutions, each with max-pooling and maybe response normalization, and the output layer."""

    def __init__(self, input_shape: tuple[int, ...], head: Head, activation: MakeActivation, channels: list[int],
                 overlap: bool, normalized: bool) -> None:  # fmt: skip
        (features, height, width), layers = input_shape, list[nn.Module]()
        for count in channels:
            pool = nn.MaxPool2d(3, 2, padding=1) if overlap else nn.MaxPool2d(2)
            layers += [nn.Conv2d(features, count, 5, padding=2), activation(), pool]
            layers += [nn.LocalResponseNorm(5, alpha=5e-4, k=2.0)] if normalized else []
            features, height, width = count, height // 2, width // 2
        super().__init__(*layers, nn.Flatten(), head(features * height * width))


def epochs_needed(setting: list[str], rate: float, seed: int, data: Dataset, most: float) -> float:
    """Epochs to the target, on a straight line between two of them; `most` where these do not suffice."""
    length = [f"optimizer.learning_rate={rate}", f"trainer.epochs={int(np.ceil(most))}"]
    grid = train(*setting, *length, seeds=[seed], callbacks=[Until(1 - TARGET)], data=data)
    errors = np.concatenate([[0.9], 1 - np.nan_to_num(grid.curve("accuracy/validation")[1][0, 0])])
    after = int((errors <= TARGET).argmax())  # 0 where none is
    return after - (TARGET - errors[after]) / (errors[after - 1] - errors[after]) if after else most


def fastest(setting: list[str], rates: list[float], seeds: int, most: int) -> tuple[float, list[float]]:
    """The rate with the fewest epochs for the first seed, and the epochs of all seeds at this rate."""
    data = load_dataset(compose(*setting))
    data = dataclasses.replace(data, validation=Split(data.train.inputs[:1000], data.train.targets[:1000]))
    best, rate = float(most), rates[0]
    for each in rates:
        if (needed := epochs_needed(setting, each, 0, data, best)) < best:
            best, rate = needed, each
    return rate, [best, *(epochs_needed(setting, rate, seed, data, most) for seed in range(1, seeds))]


def run(data: str, limit: int | None, channels: list[int], names: list[str], rates: list[float], seeds: int,
        most: int) -> Evidence:  # fmt: skip
    """Every set-up with both activations, each at its own rate."""
    shared = [f"data={data}", f"data.limit={limit or 'null'}", f"architecture={NET.format(__name__, channels)}", *OURS]
    table: list[list[Any]] = [["difference", "ReLU: rate", "epochs", "tanh: rate", "epochs", "tanh / ReLU"]]
    found, ratio = dict[str, Any](), dict[str, float]()
    figure, axes = panels(1, width=8.0, height=1.2 + 0.5 * len(names))
    for place, name in enumerate(names):
        cells, mean = [], []
        for activation, mark in (("relu", "C0o"), ("tanh", "C1s")):
            setting = [*shared, *DIFFERENCES[name], f"activation={activation}"]
            rate, epochs = fastest(setting, rates, seeds, most)
            axes[0].plot(epochs, [place] * seeds, mark, label="" if place else activation)
            cells += [f"{rate:g}", ", ".join(f"{each:.1f}" for each in epochs)]
            found[f"{name}, {activation}"] = {"rate": rate, "epochs": epochs}
            mean.append(np.mean(epochs))
        ratio[name] = float(mean[1] / mean[0])
        table.append([name, *cells, f"{ratio[name]:.2f}"])
    axes[0].set(yticks=range(len(names)), yticklabels=names, xlabel=f"epochs to {TARGET:.0%} error in training")
    axes[0].invert_yaxis()
    axes[0].legend()
    reached = max(max(each["epochs"]) for each in found.values()) < most
    claims = {f"every net gets to {TARGET:.0%} training error in {most} epochs": reached}
    if data == "cifar10":
        claims["our set-up: tanh takes three times ReLU's epochs or more"] = ratio["none: ours"] >= 3
        claims["the last three differences together: three times or more"] = ratio[ALL] >= 3
        claims["a difference alone doubles the ratio"] = max([*ratio.values()][:-1]) >= 2 * ratio["none: ours"]
    return Evidence({"found": found, "ratio": ratio}, claims, table, figure)
