"""Findings about fresh networks: the signal forward and the gradient back.

The names and thresholds are those of the statistics of a run's first step; see `rules.signals`.
"""

from __future__ import annotations

import math

import torch

from nnlab.diagnosis.facts.fresh import Signal
from nnlab.diagnosis.finding import Finding, shown

DEAD = 0.5  # fraction of dead units in a layer
SATURATED = 0.5  # fraction of outputs at the ends of an activation with two of them
FADED = 1e-3  # root mean square of a layer's outputs
UNIFORM = 0.05  # spread between examples over root mean square: all examples look alike
LARGE_OUTPUT = 3.0  # standard deviation of the initial outputs
GROWTH = 5.0  # of the signal from the first to the last hidden layer
DEEP = 3  # hidden layers from which a faded signal cannot be trained
HE = ("initialization=he",)


def signal_findings(signal: Signal, inputs_at_scale: bool, remedy: tuple[str, ...] = HE) -> list[Finding]:
    """Faults of the initialization or the architecture; the first is the most basic.

    Args:
        signal: facts of fresh networks.
        inputs_at_scale: whether inputs are standardized; otherwise nothing is said about sizes.
        remedy: the override that sets initial weights right.
    """
    frozen = [weight.name for weight in signal.weights if weight.frozen]
    if frozen:
        return [_frozen(", ".join(frozen), "does not require a gradient")]
    hidden = signal.weights[:-1]
    same = [weight for weight in hidden if weight.identical and (weight.rms > 0 or weight.gradient == 0)]
    if same:
        names = ", ".join(weight.name for weight in same)
        return [Finding("symmetric_units", f"all units have the same weights in {names}", overrides=HE, certain=True)]
    if not inputs_at_scale:
        return []
    return _dead(signal) or _too_large(signal, remedy) or _faded(signal, remedy) or _no_gradient(signal)


def _dead(signal: Signal) -> list[Finding]:
    dead = [layer for layer in signal.layers if layer.dead > DEAD and layer.rms < 1e30]
    if not dead or any(weight.rms == 0 for weight in signal.weights):
        return []
    observed = f"{dead[0].dead:.0%} of the units of {dead[0].name} give the same output for every example"
    return [Finding("dead_units", observed, {"dead fraction": dead[0].dead}, ("initialization.bias=0",))]


def _too_large(signal: Signal, remedy: tuple[str, ...]) -> list[Finding]:
    spread = signal.output_std
    saturated = [layer for layer in signal.layers if layer.saturated > SATURATED]
    if torch.isfinite(signal.outputs).all() and spread <= LARGE_OUTPUT and not saturated:
        return []
    observed = f"initial outputs have a standard deviation of {shown(spread)} (healthy: about 1 at most)"
    if saturated:
        part = f"{saturated[0].saturated:.0%} of the outputs of {saturated[0].name} are saturated"
        return [Finding("saturated_units", f"{part}; {observed}", {"saturated": saturated[0].saturated}, remedy)]
    growth = signal.layers[-1].rms / max(signal.layers[0].rms, 1e-12) if signal.layers else 1.0
    name = "hockey_stick_start"
    if growth > GROWTH or not math.isfinite(growth):
        name = "exploding_gradients"
        observed += f"; the signal grows {shown(growth)}-fold from layer to layer"
    return [Finding(name, observed, {"output std": spread, "growth": growth}, remedy)]


def _faded(signal: Signal, remedy: tuple[str, ...]) -> list[Finding]:
    if len(signal.layers) < DEEP:
        return []
    last = signal.layers[-1]
    path = ", ".join(shown(layer.spread, 2) for layer in signal.layers)
    if last.rms < FADED:
        observed = f"the signal shrinks from layer to layer: spread between examples {path}"
        return [Finding("vanishing_gradients", observed, {"last rms": last.rms}, remedy)]
    if last.spread < UNIFORM * last.rms and abs(last.mean) > 0.2 * last.rms:
        word = "sigmoid" if last.two_sided else "activation"
        return [
            Finding(
                "vanishing_gradients",
                f"hidden units answer {shown(last.mean)} whatever the input; spread between examples by layer: {path}",
                {"last spread": last.spread},
                ("activation=relu",),
                why=f"A {word} in every layer of a deep network squeezes differences between examples at each layer, "
                "is not centered at zero, and its slope, at most 1/4, shrinks the gradient on the way back.",
            )
        ]
    return []


def _no_gradient(signal: Signal) -> list[Finding]:
    stuck = [weight.name for weight in signal.weights if weight.gradient == 0]
    last_is_zero = bool(signal.weights) and signal.weights[-1].rms == 0
    if not stuck or last_is_zero or len(stuck) == len(signal.weights):
        return []
    return [_frozen(", ".join(stuck), "gets a gradient of exactly zero")]


def _frozen(names: str, how: str) -> Finding:
    return Finding("frozen_layers", f"{names} {how}", certain=True)
