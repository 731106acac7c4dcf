"""Clean data sets that simple methods cannot see through, and on which networks overfit and agree in what they miss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnlab.data.base import Raw, Source
from nnlab.types import Task

Array = Any
Draw = np.random.Generator
Maker = Callable[[Draw, int], tuple[Array, Array]]


def _stripes(draw: Draw, n: int) -> tuple[Array, Array]:
    """Of one direction in five dimensions, three classes in turn."""
    x = draw.standard_normal((n, 5))
    return x, np.floor(1.6 * x @ np.array([1.0, -1.0, 0.6, 0.3, 0.0])).astype(np.int64) % 3


def _waves(draw: Draw, n: int) -> tuple[Array, Array]:
    """Of two directions at once."""
    x = draw.standard_normal((n, 6))
    score = np.sin(2.5 * x[:, 0] + x[:, 1]) + np.sin(2 * x[:, 2] - x[:, 3])
    return x, (score > 0).astype(np.int64)


def _spirals(draw: Draw, n: int) -> tuple[Array, Array]:
    """Five arms, and three columns that say nothing."""
    y, radius = draw.integers(0, 5, n), draw.uniform(0.1, 1, n)
    angle = 2 * np.pi * y / 5 + 4 * radius + 0.12 * draw.standard_normal(n)
    plane = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return np.concatenate([plane, 0.4 * draw.standard_normal((n, 3))], 1), y


def _checkers(draw: Draw, n: int) -> tuple[Array, Array]:
    """Five fields by five, and two columns that say nothing."""
    x = draw.uniform(0, 5, (n, 4))
    return x, np.floor(x[:, :2]).sum(1).astype(np.int64) % 2


def _parity(draw: Draw, n: int) -> tuple[Array, Array]:
    """The sign of a product of three of six numbers."""
    x = draw.standard_normal((n, 6))
    return x, (x[:, 0] * x[:, 1] * x[:, 2] > 0).astype(np.int64)


def _bits(draw: Draw, n: int) -> tuple[Array, Array]:
    """The parity of four of ten bits."""
    x = draw.integers(0, 2, (n, 10))
    return x.astype(float), x[:, :4].sum(1) % 2


def _gratings(draw: Draw, n: int) -> tuple[Array, Array]:
    """Pictures of 10 x 10 points: lines in four directions, at any phase, with noise."""
    y = draw.integers(0, 4, n)
    turn = np.pi * y / 4 + 0.12 * draw.standard_normal(n)
    i, j = np.meshgrid(np.arange(10), np.arange(10), indexing="ij")
    along = i * np.cos(turn)[:, None, None] + j * np.sin(turn)[:, None, None]
    x = np.sin(1.3 * along + draw.uniform(0, 2 * np.pi, n)[:, None, None])
    return (x + 0.6 * draw.standard_normal(x.shape))[:, None], y


def _signals(draw: Draw, n: int) -> tuple[Array, Array]:
    """Three frequencies at any phase, in 40 noisy points."""
    y = draw.integers(0, 3, n)
    time = np.arange(40) / 40
    x = np.sin(2 * np.pi * (2 + y)[:, None] * time + draw.uniform(0, 2 * np.pi, n)[:, None])
    return x + 0.5 * draw.standard_normal(x.shape), y


def _blobs_of_pixels(draw: Draw, n: int) -> tuple[Array, Array]:
    """Pictures of 9 x 9 points: a square or a cross of nine points anywhere."""
    y, x = draw.integers(0, 2, n), 0.4 * draw.standard_normal((n, 1, 9, 9))
    shapes = np.ones((3, 3)), np.array([[1.0, 0, 1], [0, 1, 0], [1, 0, 1]]) * 1.5
    for k, (row, column) in enumerate(draw.integers(0, 7, (n, 2))):
        x[k, 0, row : row + 3, column : column + 3] += shapes[y[k]]
    return x, y


def _rare_but_right(draw: Draw, n: int) -> tuple[Array, Array]:
    """A straight border, and six small islands of the other class: a tenth of the examples."""
    x = draw.standard_normal((n, 4))
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    centers = np.array([[2, 1], [1, 2], [1.5, 0], [-2, -1], [-1, -2], [-1.5, 0]])
    island = draw.random(n) < 0.1
    which = draw.integers(0, 6, n)
    x[island, :2] = centers[which[island]] + 0.08 * draw.standard_normal((int(island.sum()), 2))
    y[island] = (which[island] >= 3).astype(np.int64)
    return x, y


def _rare_kinds(draw: Draw, n: int) -> tuple[Array, Array]:
    """Three classes of one common and five rare places each."""
    y = draw.integers(0, 3, n)
    place = np.where(draw.random(n) < 0.7, 0, draw.integers(1, 6, n))
    centers = 2.2 * np.random.default_rng(5).standard_normal((3, 6, 6))
    return centers[y, place] + 0.6 * draw.standard_normal((n, 6)), y


def _ordered(draw: Draw, n: int) -> tuple[Array, Array]:
    """Five ordered levels of a bent quantity."""
    x = draw.standard_normal((n, 8))
    score = x[:, 0] + 0.8 * np.sin(2 * x[:, 1]) + 0.6 * x[:, 2] * x[:, 3]
    return x, np.digitize(score, [-1.2, -0.4, 0.4, 1.2]).astype(np.int64)


def _rated(draw: Draw, n: int) -> tuple[Array, Array]:
    """Four ordered grades, by six marks of five levels and a little more."""
    x = draw.integers(1, 6, (n, 6)).astype(float)
    score = x.mean(1) + 0.25 * draw.standard_normal(n)
    return x, np.digitize(score, [2.5, 3.0, 3.5]).astype(np.int64)


def _prototypes(draw: Draw, n: int) -> tuple[Array, Array]:
    """The class of the nearest of thirty places in four dimensions."""
    fixed = np.random.default_rng(3)
    centers, classes = fixed.standard_normal((30, 4)), fixed.integers(0, 3, 30)
    x = draw.standard_normal((n, 4))
    return x, classes[((x[:, None] - centers) ** 2).sum(2).argmin(1)]


def _modular(draw: Draw, n: int) -> tuple[Array, Array]:
    """The sum of two digits, modulo five, each given by its name."""
    digits = draw.integers(0, 5, (n, 2))
    named = np.eye(5)[digits].reshape(n, 10)
    return np.concatenate([named, draw.standard_normal((n, 4))], 1), digits.sum(1) % 5


def _pairs(draw: Draw, n: int) -> tuple[Array, Array]:
    """The sign of a sum of two products, beside twelve columns that say nothing."""
    x = draw.standard_normal((n, 16))
    return x, (x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] > 0).astype(np.int64)


def _largest(draw: Draw, n: int) -> tuple[Array, Array]:
    """Which of five products is the largest."""
    x = draw.standard_normal((n, 10))
    return x, (x[:, :5] * x[:, 5:]).argmax(1)


def _shell(draw: Draw, n: int) -> tuple[Array, Array]:
    """Whether a point lies in a thin shell, in six dimensions."""
    x = draw.standard_normal((n, 6))
    radius = np.sqrt((x**2).sum(1))
    return x, ((radius > 2) & (radius < 2.7)).astype(np.int64)


MAKERS: dict[str, Maker] = {
    "stripes": _stripes,
    "waves": _waves,
    "spirals": _spirals,
    "checkers": _checkers,
    "parity": _parity,
    "bits": _bits,
    "gratings": _gratings,
    "signals": _signals,
    "shapes": _blobs_of_pixels,
    "rare_but_right": _rare_but_right,
    "rare_kinds": _rare_kinds,
    "ordered": _ordered,
    "rated": _rated,
    "prototypes": _prototypes,
    "modular": _modular,
    "pairs": _pairs,
    "largest": _largest,
    "shell": _shell,
}


@dataclass(kw_only=True)
class Clean(Source):
    """One of the clean data sets.

    Args:
        name: which.
        examples: how many.
        wrong: share of the labels that are replaced by another class, of all splits, [0, 1).
    """

    name: str
    examples: int = 1000
    wrong: float = 0.0

    def read(self, seed: int, root: Path) -> Raw:
        """Drawn from the seed."""
        draw = np.random.default_rng(seed)
        x, y = MAKERS[self.name](draw, self.examples)
        count = int(y.max()) + 1
        chosen = draw.random(len(y)) < self.wrong
        y = np.where(chosen, (y + draw.integers(1, count, len(y))) % count, y)
        task = Task.BINARY if count == 2 else Task.MULTICLASS
        names = tuple(f"class {c}" for c in range(count))
        return Raw(torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y), task, names, self.name)
