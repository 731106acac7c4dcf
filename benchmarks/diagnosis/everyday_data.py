"""Five data sets for the fifth set of kinds: small pictures, two tables of people and sensors, two of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
Draw = np.random.Generator


def _letters(draw: Draw, n: int) -> tuple[Array, Array]:
    """Pictures of 10 x 10 points: b, d, p, q, h and L, anywhere within two points, with noise."""
    stem, bowl = np.zeros((7, 4)), np.zeros((7, 4))
    stem[:, 0], bowl[3:, 3], bowl[3, :], bowl[6, :] = 1, 1, 1, 1
    b = np.maximum(stem, bowl)
    h, ell = b.copy(), stem.copy()
    h[6, 1:3], ell[6, :] = 0, 1
    shapes = [b, b[:, ::-1], b[::-1], b[::-1, ::-1], h, ell]
    y, x = draw.integers(0, 6, n), 0.35 * draw.standard_normal((n, 1, 10, 10))
    for k, (row, column) in enumerate(draw.integers(0, 3, (n, 2))):
        x[k, 0, row : row + 7, column + 1 : column + 5] += shapes[y[k]] * draw.uniform(0.7, 1.3)
    return x, y


def _loans(draw: Draw, n: int) -> tuple[Array, Array]:
    """Who pays back: incomes and sums that are skewed, ages, marks of a few levels; a third does not."""
    income, sum_ = np.exp(10 + 0.6 * draw.standard_normal(n)), np.exp(9 + 0.8 * draw.standard_normal(n))
    age, children = draw.integers(18, 75, n), draw.poisson(1.2, n)
    mark, region, owner = draw.integers(1, 6, n), draw.integers(0, 4, n), draw.integers(0, 2, n)
    years = draw.uniform(1, 30, n)
    burden = np.log(sum_ / income) - 0.03 * years + 0.5 * (mark - 3) + 0.8 * owner * (age > 45)
    y = (burden + 0.25 * draw.standard_normal(n) > -0.7).astype(np.int64)
    columns = [income, sum_, age, children, mark, *(region == k for k in range(4)), owner, years]
    return np.stack([np.asarray(column, dtype=float) for column in columns], 1), y


def _rooms(draw: Draw, n: int) -> tuple[Array, Array]:
    """How many are in a room, none to three, by seven sensors that follow one another."""
    y = draw.integers(0, 4, n)
    open_ = draw.integers(0, 2, n)
    carbon = 420 + 150 * y * (1 - 0.5 * open_) + 40 * draw.standard_normal(n)
    warmth = 20 + 0.5 * y - 1.5 * open_ + 0.3 * draw.standard_normal(n)
    noise = 30 + 6 * np.sqrt(y) * (1 + 0.3 * draw.standard_normal(n)) + 2 * draw.standard_normal(n)
    damp = 40 + 2.5 * y - 4 * open_ + 1.5 * draw.standard_normal(n)
    light = np.where(y > 0, 300, 60) + 50 * draw.standard_normal(n)
    door = open_ + 0.1 * draw.standard_normal(n)
    return np.stack([carbon, warmth, noise, damp, light, door, draw.standard_normal(n)], 1), y


def _harvest(draw: Draw, n: int) -> tuple[Array, Array]:
    """Tons of a field: rain and warmth that can be too little or too much, soil, seed, and what does not matter."""
    rain, warmth = draw.gamma(8, 60, n), 15 + 5 * draw.standard_normal(n)
    soil, seed, slope = draw.uniform(0, 1, n), draw.integers(0, 3, n), draw.exponential(3, n)
    nitrogen = draw.uniform(0, 200, n)
    grown = np.exp(-(((rain - 500) / 250) ** 2) - ((warmth - 17) / 8) ** 2)
    y = 2 + 6 * grown * (0.5 + soil) * (1 + 0.2 * seed) + 0.015 * nitrogen * soil - 0.1 * slope
    columns = [rain, warmth, soil, *(seed == k for k in range(3)), slope, nitrogen, draw.standard_normal(n)]
    return np.stack([np.asarray(c, dtype=float) for c in columns], 1), y + 0.3 * draw.standard_normal(n)


def _reactor(draw: Draw, n: int) -> tuple[Array, Array]:
    """The yield of a reaction: a rate that rises with warmth, two concentrations, a time, and an inhibitor."""
    kelvin, time = draw.uniform(300, 380, n), draw.uniform(0.5, 6, n)
    a, b, stop = draw.uniform(0.1, 2, n), draw.uniform(0.1, 2, n), draw.uniform(0, 1, n)
    rate = 0.4 * np.exp(0.03 * (kelvin - 340)) * np.sqrt(a) * b / (1 + 3 * stop)
    return np.stack([kelvin, time, a, b, stop], 1), 100 * (1 - np.exp(-rate * time)) + 3 * draw.standard_normal(n)


EVERYDAY: dict[str, Callable[[Draw, int], tuple[Array, Array]]] = {
    "letters": _letters,
    "loans": _loans,
    "rooms": _rooms,
    "harvest": _harvest,
    "reactor": _reactor,
}
