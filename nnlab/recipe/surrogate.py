"""What untried configurations may reach, guessed from those that were tried: a Gaussian process over the space.

    loss = f(x) + offset[seed] + noise,   cov f(x), f(x') = (mean of all s_d + product of all s_d) / 2

    s_d = exp(-|steps apart| / 2) for ordered choices, exp(-1) for others that differ,
          exp(-|log2(length / length')| / 2), and exp(-(log(rate / rate'))^2 / 2) for learning rates

By the mean, every network that has a choice says something about that choice; by the product, choices depend on each
other. The offset is that of a seed's weights and of its part of the data. Of a few ratios of noise to signal, the
likeliest counts. What is tried next is drawn as Thompson 1933 does: each is the best of one function that may be true.

Source: Rasmussen and Williams 2006, "Gaussian processes for machine learning", equations 2.25, 2.26 and 2.30.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np

from nnlab.recipe.candidate import Candidate
from nnlab.recipe.changes import Changes
from nnlab.recipe.space import Space

NOISES = (0.03, 0.1, 0.3, 1.0, 3.0)  # variances of the noise, in those of the function
OFFSET = 4.0  # variance of a seed's offset, in that of the function
FARTHEST = 3.0  # losses farther from the median than so many times the lowest is, count as that far
MOST = 600  # losses that are remembered, the last ones
JITTER = 1e-6


class Surrogate:
    """A Gaussian process that learns losses and picks what to try.

    Args:
        space: of the configurations.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._dimensions = [each for each in space.dimensions if each.name != "epochs"]
        self._points: list[list[float]] = []
        self._seeds: list[int] = []
        self._losses: list[float] = []

    def learn(self, result: Candidate, first: int) -> None:
        """Take a configuration's losses with the seeds from `first` on."""
        for number, loss in enumerate(result.scores):
            self._points.append(self._point(result.changes))
            self._seeds.append(first + number)
            self._losses.append(loss)

    def pick(self, pool: Sequence[Changes], count: int, draw: random.Random) -> list[int]:
        """Positions of `count` configurations of a pool that are worth trying, the first one first."""
        places = np.array([self._point(changes) for changes in pool]).reshape(len(pool), -1)
        mean, root = self._posterior(places)
        source = np.random.default_rng(draw.getrandbits(64))
        found: list[int] = []
        while len(found) < min(count, len(pool)):
            values = mean + root @ source.normal(size=len(pool))
            values[found] = math.inf
            found.append(int(values.argmin()))
        return found

    def _posterior(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (P,) of the function at some places (P, D), and a root (P, P) of its covariance."""
        prior = self._similar(places, places)
        jitter = JITTER * np.eye(len(places))
        if not any(map(math.isfinite, self._losses)):
            return np.zeros(len(places)), np.linalg.cholesky(prior + jitter)
        points, seeds = np.array(self._points[-MOST:]), np.array(self._seeds[-MOST:])
        losses = _bounded(np.minimum(self._losses[-MOST:], self.space.trials.levels.constant))
        known = self._similar(points, points) + OFFSET * (seeds[:, None] == seeds)
        _, noise = max((_evidence(known, losses, noise), noise) for noise in NOISES)
        inverse = np.linalg.inv(known + noise * np.eye(len(losses)))
        across = self._similar(places, points)
        scale = losses @ inverse @ losses / len(losses)
        rest = prior - across @ inverse @ across.T
        return across @ inverse @ losses, math.sqrt(max(scale, JITTER)) * np.linalg.cholesky(rest + 10 * jitter)

    def _point(self, changes: Changes) -> list[float]:
        """The position in every dimension, -1 where it is none of the choices, and logarithms of length and rate."""
        found = [each.position(changes) for each in self._dimensions]
        length, rate = float(changes["trainer.epochs"]), float(changes[self.space.rate_key])
        continuous = math.log2(length), math.log(rate)
        return [*(-1.0 if position is None else float(position) for position in found), *continuous]

    def _similar(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Covariance (A, B) of the function between places (A, D) and (B, D)."""
        apart = np.abs(one[:, None] - other)
        ordered = np.array([*(each.ordered for each in self._dimensions), True])
        exponents = np.where(ordered, apart[..., :-1] / 2, apart[..., :-1] > 0)
        all_of_them = np.concatenate([exponents, apart[..., -1:] ** 2 / 2], -1)
        similar: np.ndarray = (np.exp(-all_of_them).mean(-1) + np.exp(-all_of_them.sum(-1))) / 2
        return similar


def _bounded(losses: np.ndarray) -> np.ndarray:
    """Losses without outliers, with mean 0 and, unless all are equal, variance 1; at least one is finite."""
    finite = losses[np.isfinite(losses)]
    middle, lowest = np.median(finite), finite.min()
    bounded = np.minimum(np.where(np.isfinite(losses), losses, math.inf), middle + FARTHEST * (middle - lowest))
    spread = bounded.std()
    centered: np.ndarray = (bounded - bounded.mean()) / (spread if spread > 0 else 1.0)
    return centered


def _evidence(known: np.ndarray, losses: np.ndarray, noise: float) -> float:
    """Logarithm of the likelihood of the losses, at the likeliest scale of the function, but for a constant."""
    root = np.linalg.cholesky(known + noise * np.eye(len(losses)))
    scaled = np.linalg.solve(root, losses)
    scale = max(float(scaled @ scaled) / len(losses), JITTER)
    return -len(losses) / 2 * math.log(scale) - float(np.log(np.diag(root)).sum())
