"""Findings about how signals pass through the layers: vanishing and exploding gradients, dead and saturated units.

Sources: Glorot and Bengio 2010 (saturation, vanishing); He et al. 2015, arXiv:1502.01852 (scale of initial weights).
What is wrong before the first update was caused by the initialization or the inputs, not by the learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnlab.console import counted
from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.finding import Finding, shown
from nnlab.diagnosis.rules.fresh import DEAD, GROWTH
from nnlab.diagnosis.rules.rates import steeper

VANISHED = 1e-4  # gradient of a weight, per entry, against the largest of the network
QUIET = 1e-3  # standard deviation of a layer's outputs that tells examples no longer apart
EXPLODED = 30.0  # norm of the first gradient, per what there is to learn
SATURATED = 0.6
DEVIATIONS = 4.0  # of the mean loss of a minibatch, by which the first may differ from what is expected
NOISY = 0.7  # drop probability from which the first loss says nothing about the weights
WIDE = 1.5  # root mean square of the inputs from which a large first loss may be theirs
SATURATING = ("sigmoid", "tanh")
DYING = ("relu", "prelu", "leaky_relu", "elu", "gelu", "silu", "softplus", "hard_threshold")


def sound_initialization(view: View) -> str:
    """The option that keeps the signal's variance for the network's activation."""
    return "xavier" if view.record.activation in (*SATURATING, "identity", "") else "he"


def vanishing(view: View) -> Iterator[Finding]:
    """The first layers get no gradient, or the last ones no signal."""
    gradients = view.gradients()
    biases = [s.values[0] for name, s in view.record.series("gradient_norm").items() if name.endswith("bias") and s]
    largest = max([*gradients.values(), *biases], default=0.0)
    stds = view.early("activation_std")
    if len(gradients) < 3 or largest <= 0 or not view.weak:
        return
    name, smallest = next(iter(gradients.items()))
    quiet = [(layer, std) for layer, std in stds.items() if std < QUIET]
    # Batch norm restores the signal; there the gradient's size says how large the weights are.
    faint = smallest / largest < VANISHED and not view.record.batch_norm
    if not (faint or quiet):
        return
    overrides = ["activation=relu"] if view.record.activation in SATURATING else []
    overrides += ["initialization=he", *steeper(view.record)]
    where, value = (name, smallest / largest) if faint else quiet[0]
    yield Finding(
        "vanishing_gradients",
        f"Before the first update the gradient of `{name}` is {smallest / largest:.1e} times the network's largest",
        {"gradient ratio": smallest / largest, "last layer's std": list(stds.values())[-1] if stds else math.nan}
        | {"value": value},
        tuple(overrides),
        layer=where,
        step=1,
        certain=True,
    )


def exploding(view: View) -> Iterator[Finding]:
    """The signal grows from layer to layer, and the gradient with it."""
    stds = list(view.early("activation_std").values())
    norm = view.early("gradient_norm").get("all", math.nan)
    data = view.record.data
    if data is None or len(stds) < 2:
        return
    growth = stds[-1] / max(stds[0], 1e-12)
    broken = not all(map(math.isfinite, [norm, *stds]))
    large = max(abs(data.levels.large), data.levels.span)
    if not broken and not (growth > GROWTH and stds[-1] > GROWTH and norm > EXPLODED * min(data.levels.span, 1.0)):
        return
    if not broken and view.first_loss < 2 * large and not view.weak:
        return
    layers = list(view.early("activation_std"))
    yield Finding(
        "exploding_gradients",
        f"At the first step the signal grows {growth:.3g}-fold from layer `{layers[0]}` to `{layers[-1]}`, and the "
        f"gradient has a norm of {norm:.3g}",
        {"growth": growth, "gradient norm": norm, "first loss": view.first_loss},
        (f"initialization={sound_initialization(view)}", "initialization.scale=1", *steeper(view.record)),
        layer=layers[-1],
        step=1,
        certain=True,
    )


def dead(view: View) -> Iterator[Finding]:
    """Units that give the same value for every example."""
    kinds = {layer.name: layer.kind for layer in view.record.layers}
    if (view.record.splits and not view.weak) or view.tiny:
        return
    start = {n: v for n, v in view.early("activation_dead").items() if v > DEAD}
    end = {f.name: f.dead for f in view.record.layers if f.dead > DEAD and f.kind in DYING}
    found = start or end
    if not found or (start and _fades(view, start)):
        return
    layer, fraction = max(found.items(), key=lambda item: item[1])
    when = "already before the first update" if start else "at the end"
    yield Finding(
        "dead_units",
        f"{fraction:.0%} of the units of `{layer}` are dead {when}: they give the same value whatever the example",
        {"dead fraction": fraction},
        ("initialization=he", "initialization.bias=0", *steeper(view.record)) if start else ("activation=leaky_relu",),
        layer=layer,
        step=1 if start else None,
        variant="" if start else "late",
        certain=bool(start) and kinds.get(layer, "relu") == "relu",
    )


def _fades(view: View, dead: dict[str, float]) -> bool:
    """Whether the signal fades from layer to layer, so that units die late in the network for want of it."""
    stds = view.early("activation_std")
    first = next(iter(stds), "")
    return bool(first) and first not in dead and min(stds.values()) < 0.1 * stds[first]


def saturated(view: View) -> Iterator[Finding]:
    """Units of sigmoid or tanh that sit where the activation is flat."""
    if view.record.activation not in SATURATING or view.tiny:
        return
    if view.record.splits and not view.weak and not any(hockey_stick(view)):
        return  # harmless
    start = {n: v for n, v in view.early("activation_saturated").items() if v > SATURATED}
    end = {f.name: f.saturated for f in view.record.layers if f.saturated > SATURATED and f.kind in SATURATING}
    found = start or end
    if not found:
        return
    layer, fraction = max(found.items(), key=lambda item: item[1])
    when = "already before the first update" if start else "at the end"
    gentle = bool(start) and view.record.activation == "tanh"
    yield Finding(
        "saturated_units",
        f"{fraction:.0%} of the outputs of `{layer}` are {when} within 0.05 of the ends of {view.record.activation}",
        {"saturated fraction": fraction},
        ("initialization=xavier", "initialization.scale=1")
        if gentle
        else ("activation=relu", "initialization=he", *steeper(view.record)),
        layer=layer,
        step=1 if start else None,
        variant="" if start else "late",
        certain=bool(start),
    )


def symmetric(view: View) -> Iterator[Finding]:
    """Units of a hidden layer that are copies of each other."""
    for weight in list(view.record.weights)[:-1]:
        if weight.trainable and weight.shape[0] > 1 and weight.symmetric > 0.5:
            yield Finding(
                "symmetric_units",
                f"{weight.symmetric:.0%} of the units of `{weight.name}` are copies of another",
                {"identical fraction": weight.symmetric},
                (f"initialization={sound_initialization(view)}", *steeper(view.record)),
                layer=weight.name,
                step=1,
                certain=True,
            )
            return


def frozen(view: View) -> Iterator[Finding]:
    """Weights that the optimizer may not change."""
    names = [weight.name for weight in view.record.weights if not weight.trainable]
    if names:
        # Layers that were trained before may be kept on purpose; a network of random weights is not.
        wrong = view.weak or len(names) == len(view.record.weights)
        yield Finding(
            "frozen_layers",
            f"{counted(len(names), 'weight', 'is', 'are')} excluded from training (`requires_grad` is False), "
            f"`{names[0]}` first",
            {"frozen weights": len(names)},
            ("architecture=mlp", *steeper(view.record)),
            layer=names[0],
            step=1,
            level="fault" if wrong else "note",
            certain=wrong,
        )


def detached(view: View) -> Iterator[Finding]:
    """Weights whose gradient was exactly zero whenever it was measured, though no unit is dead."""
    series = {w.name: view.record.series("gradient_norm").get(w.name) for w in view.record.weights}
    known = {name: values.values for name, values in series.items() if values}
    stuck = [name for name, values in known.items() if not any(values)]
    dead = any(value > 0.99 for value in view.early("activation_dead").values())
    if stuck and len(stuck) < len(known) and not dead:
        yield Finding(
            "frozen_layers",
            f"{', '.join(f'`{name}`' for name in stuck[:3])} get a gradient of exactly zero in every step",
            {"weights without gradient": len(stuck)},
            layer=stuck[0],
            step=1,
            certain=True,
        )


def hockey_stick(view: View) -> Iterator[Finding]:
    """A first loss far above what a fresh network should have."""
    data = view.record.data
    if data is None or not view.record.steps:
        return
    if max(view.record.noise.values(), default=0.0) > NOISY:
        return  # what is left after dropout is scaled up, and so is the first loss
    # A far target in the first minibatch makes its loss large, too, whatever the weights.
    batch = max(view.record.batch_size, 1)
    chance = DEVIATIONS * data.levels.spread / math.sqrt(batch) + data.levels.largest / batch
    sound = max(1.5 * data.levels.large, data.levels.constant + 2 * data.levels.span, data.levels.initial + chance)
    sound *= max(data.inputs.rms, 1.0) ** 2  # wide inputs make wide outputs of sound weights
    if not view.first_loss > sound:
        return
    inputs = data.inputs
    wide = inputs.rms > WIDE
    yield Finding(
        "hockey_stick_start",
        f"The first loss is {view.first_loss:.3g}, where {data.levels.initial:.3g} is expected",
        {"first loss": view.first_loss, "expected": data.levels.initial, "best constant": data.levels.constant},
        (f"initialization={sound_initialization(view)}", "initialization.scale=1"),
        why=f"Either the weights are too large or the inputs, which have a root mean square of {shown(inputs.rms)} "
        f"where standardized ones have 1, and reach from {shown(inputs.lowest)} to {shown(inputs.highest)}: look "
        "whether the farthest are values, or stand for none."
        if wide
        else "",
        step=1,
        certain=not wide,
    )
