"""Step 1, the network: how the signal goes forward and the gradient back through the layers of fresh networks.

Of every activation layer: the root mean square of its outputs; the spread between examples (standard deviation over
examples, root mean square over units), which is what the next layer can learn from; the fraction of units that are
off for every example; the fraction of saturated outputs. Of every weight: the root mean square of its gradient.

Source of the statistics: Glorot and Bengio 2010, section 3; He et al. 2015, arXiv:1502.01852, section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.callbacks.statistics import activation_layers
from nnlab.recipe.findings import Finding, shown
from nnlab.statistics import activations
from nnlab.training import Trainer

DEAD = 0.5  # fraction of dead units in a layer
SATURATED = 0.5  # fraction of outputs at the ends of an activation with two of them
FADED = 1e-3  # root mean square of a layer's outputs
UNIFORM = 0.05  # spread between examples over root mean square: all examples look alike
LARGE_OUTPUT = 3.0  # standard deviation of the initial outputs
DEEP = 3  # hidden layers from which a faded signal cannot be trained
HE = "initialization=he"


@dataclass(frozen=True)
class Layer:
    """Statistics of an activation layer, medians over members."""

    name: str
    rms: float
    mean: float
    spread: float
    dead: float
    saturated: float
    two_sided: bool


@dataclass(frozen=True)
class Weight:
    """Statistics of a weight tensor: root mean squares, and whether all units of its layer have equal weights."""

    name: str
    rms: float
    gradient: float
    identical: bool
    frozen: bool = False


@dataclass(frozen=True)
class Signal:
    """What a forward and a backward pass through fresh networks showed; `outputs` are (M, N, O)."""

    layers: list[Layer]
    weights: list[Weight]
    outputs: Tensor
    losses: Tensor


def measure(trainer: Trainer, inputs: Tensor, targets: Tensor) -> Signal:
    """Pass inputs (N, ...) and targets once through all members, as in training, without a trace."""
    stack = trainer.stack
    members = len(stack)
    wide = inputs.expand(members, *inputs.shape)
    kinds = activation_layers(stack.network)
    captured = stack.capture(wide, list(kinds)) if kinds else {}
    layers = [_layer(name, captured[name], *kinds[name]) for name in kinds]
    kept = {name: value.clone() for name, value in stack.buffers.items()}
    with torch.no_grad():
        outputs = stack.map_members(lambda network, x: network(x), wide, stack.views)
    losses = stack.backward(wide, targets.expand(members, *targets.shape))
    for name, value in kept.items():
        stack.buffers[name].copy_(value)
    values, gradients = stack.layout.weights(stack.theta), stack.layout.weights(stack.gradient)
    weights = [_weight(name, values[name], gradients[name]) for name in values]
    frozen = [
        Weight(name, 0.0, 0.0, False, True)
        for name, parameter in stack.network.named_parameters()
        if parameter.ndim >= 2 and not parameter.requires_grad
    ]
    return Signal(layers, [*frozen, *weights], outputs, losses)


def _layer(name: str, y: Tensor, low: float | None, high: float | None) -> Layer:
    two_sided = low is not None and high is not None
    saturated = activations.saturated_fraction(y, low, high, 0.05) if two_sided else torch.zeros(len(y))
    units = y.float().std(1, correction=0).flatten(1)
    # A ReLU that is never on has one output for every example; a channel is dead only if it is so everywhere.
    largest = units.reshape(len(y), y.shape[2], -1).amax(2) if y.ndim > 3 else units
    off = (largest <= 1e-12).float().mean(1) if not two_sided else torch.zeros(len(y))
    return Layer(
        name,
        _median(activations.second_moment(y).sqrt()),
        _median(activations.mean(y)),
        _median(units.square().mean(1).sqrt()),
        _median(off),
        _median(saturated),
        two_sided,
    )


def _weight(name: str, value: Tensor, gradient: Tensor) -> Weight:
    rows = value.flatten(2)
    identical = rows.shape[1] > 1 and bool((rows == rows[:, :1]).all())
    moments = [tensor.flatten(1).square().mean(1).sqrt() for tensor in (value, gradient)]
    return Weight(name, _median(moments[0]), _median(moments[1]), identical)


def _median(values: Tensor) -> float:
    return float(values.float().median())


def check_signal(signal: Signal, inputs_at_scale: bool, remedy: str = HE) -> list[Finding]:
    """Faults of the initialization or the architecture; the first is the most basic.

    Args:
        remedy: the override that sets initial weights right.
    """
    frozen = [weight.name for weight in signal.weights if weight.frozen]
    if frozen:
        return [_frozen(", ".join(frozen), "does not require a gradient")]
    hidden = signal.weights[:-1]
    same = [weight for weight in hidden if weight.identical and (weight.rms > 0 or weight.gradient == 0)]
    if same:
        names = ", ".join(weight.name for weight in same)
        return [
            Finding(
                "constant_initialization",
                f"all units have the same weights in {names}",
                "Units with equal weights compute the same and get the same gradient, so they stay equal for "
                "ever: the layer is one unit wide.",
                HE,
            )
        ]
    if not inputs_at_scale:
        return []
    return _dead(signal) or _too_large(signal, remedy) or _faded(signal, remedy) or _no_gradient(signal)


def _dead(signal: Signal) -> list[Finding]:
    dead = [layer for layer in signal.layers if layer.dead > DEAD and layer.rms < 1e30]
    if not dead or any(weight.rms == 0 for weight in signal.weights):
        return []
    worst = dead[0]
    return [
        Finding(
            "dead_units",
            f"{worst.dead:.0%} of the units of {worst.name} give the same output for every example",
            "A ReLU whose input is negative for all examples has no gradient and never comes back: biases are "
            "too negative, or the inputs all lie on one side.",
            "initialization.bias=0",
        )
    ]


def _too_large(signal: Signal, remedy: str) -> list[Finding]:
    spread = float(signal.outputs.float().std(1).mean(-1).median()) if signal.outputs.shape[1] > 1 else 0.0
    saturated = [layer for layer in signal.layers if layer.saturated > SATURATED]
    if torch.isfinite(signal.outputs).all() and spread <= LARGE_OUTPUT and not saturated:
        return []
    evidence = f"initial outputs have a standard deviation of {shown(spread)} (healthy: about 1 at most)"
    if saturated:
        evidence += f"; {saturated[0].saturated:.0%} of the outputs of {saturated[0].name} are saturated"
    return [
        Finding(
            "weights_too_large",
            evidence,
            "The fresh network is sure of wrong answers, or its units sit where the activation is flat; "
            "training first has to undo that.",
            remedy,
        )
    ]


def _faded(signal: Signal, remedy: str) -> list[Finding]:
    if len(signal.layers) < DEEP:
        return []
    last = signal.layers[-1]
    path = ", ".join(shown(layer.spread, 2) for layer in signal.layers)
    if last.rms < FADED:
        return [
            Finding(
                "weights_too_small",
                f"the signal shrinks from layer to layer: spread between examples {path}",
                "With weights this small almost nothing of the input reaches the output, and almost no "
                "gradient comes back; Adam may hide that, plain gradient descent does not move.",
                remedy,
            )
        ]
    if last.spread < UNIFORM * last.rms and abs(last.mean) > 0.2 * last.rms:
        word = "sigmoid" if last.two_sided else "activation"
        return [
            Finding(
                "saturating_activation",
                f"hidden units answer {shown(last.mean)} whatever the input; spread between examples by layer: {path}",
                f"A {word} in every layer of a deep network squeezes differences between examples at each "
                "layer, is not centred at zero, and its slope, at most 1/4, shrinks the gradient on the way "
                "back.",
                "activation=relu",
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
    return Finding(
        "frozen_layer",
        f"{names} {how}",
        "This layer keeps its random weights: the others learn around it. Look for `requires_grad=False`, "
        "`detach()` or `no_grad` in the architecture.",
    )
