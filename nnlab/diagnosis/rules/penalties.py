"""Findings about penalties and noise that leave a network nothing to learn with.

A loss that stays high says little by itself: where targets are noisy, strong penalties are what a network needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.finding import Finding
from nnlab.diagnosis.rules.signals import symmetric

# Decay that the loss does not see holds weights against updates of the rate's size, not against gradients.
STRONG = {"weight_decay": 0.1, "decoupled_decay": 5.0, "optimizer": 5.0, "l1": 0.01}
DECAY_KEYS = {"optimizer": "optimizer.weight_decay", "decoupled_decay": "regularizer.weight_decay.strength"}
STRONG_NOISE = 0.8


def too_strong(view: View) -> Iterator[Finding]:
    """A penalty or noise that leaves the network nothing to learn with."""
    record = view.record
    if not view.failing:
        return  # a strong penalty is what noisy targets need
    for name, strength in record.penalties.items():
        if strength >= STRONG.get(name, math.inf):
            key = DECAY_KEYS.get(name, f"regularizer.{name}.strength")
            yield Finding(
                "penalty_too_strong",
                f"A {name.replace('_', ' ')} of {strength:g} outweighs the loss",
                {"strength": strength, "learned": view.learned},
                (f"{key}=0.0001",),
                variant="with symmetric units" if any(symmetric(view)) else "",
            )
            return
    for name, p in record.noise.items():
        if p >= STRONG_NOISE:
            yield Finding(
                "penalty_too_strong",
                f"{name} drops {p:.0%} in training",
                {"p": p, "learned": view.learned},
                (f"regularizer.{name}.p=0.2",),
                why="Hardly any signal passes.",
            )
            return
