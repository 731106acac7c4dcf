"""Ladders of learning rates, two rungs a decade."""

from __future__ import annotations

import math
from collections.abc import Iterable

from nnlab.recipe.trials import Trials

DECADE = (1.0, 3.0)
PLAIN = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # plain gradient descent stands more
USUAL = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
SAME = 0.05  # relative distance below which two rates are one


def rate_key(trials: Trials) -> str:
    """The key of the learning rate: torch's own optimizers call it `lr`."""
    found = trials.value("optimizer.learning_rate") is not None
    return "optimizer.learning_rate" if found else "optimizer.lr"


def configured_rate(trials: Trials) -> float | None:
    """The user's rate, or None where the optimizer has none."""
    value = trials.value(rate_key(trials))
    return None if value is None else float(value)


def ladder(trials: Trials, plain: bool = False) -> list[float]:
    """Rates from high to low, with the configured one, unless `plain` (for SGD in place of the user's optimizer).

    Networks that cannot be stacked are trained one by one, at fewer rates.
    """
    if plain:
        return list(PLAIN)
    configured = configured_rate(trials)
    own = list(PLAIN if trials.option("optimizer") == "sgd" else USUAL)
    key = rate_key(trials)
    if len(trials.groups([{key: 0.1}, {key: 0.01}])) > 1:
        own = own[::3]
    return merged([*own, *([configured] if configured is not None else [])])


def merged(rates: Iterable[float]) -> list[float]:
    """Rates from high to low; those that are nearly equal only once."""
    found: list[float] = []
    for rate in sorted(rates, reverse=True):
        if not found or math.log(found[-1] / rate) > SAME:
            found.append(rate)
    return found


def rung(rate: float, steps: int) -> float:
    """The rate `steps` half-decades above (below: negative) another, on round numbers.

    >>> rung(0.01, 1), rung(0.03, 1), rung(0.001, -1)
    (0.03, 0.1, 0.0003)
    """
    position = round(2 * math.log10(rate)) + steps
    return float(f"{10 ** (position // 2) * (3 if position % 2 else 1):.3g}")
