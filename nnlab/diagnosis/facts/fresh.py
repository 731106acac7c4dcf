"""Fresh networks: how the signal goes forward and the gradient back through their layers, before any training.

Of every activation layer: the root mean square of its outputs; the spread between examples (standard deviation over
examples, root mean square over units), which is what the next layer can learn from; the fraction of units that are
off for every example; the fraction of saturated outputs. Of every weight: the root mean square of its gradient.

Source of the statistics: Glorot and Bengio 2010, section 3; He et al. 2015, arXiv:1502.01852, section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.activation.layers import activation_layers
from nnlab.statistics import activations
from nnlab.training import Trainer


@dataclass(frozen=True)
class Layer:
    """Statistics of an activation layer, medians over members.

    Attributes:
        rms, mean: of its outputs.
        spread: standard deviation over examples, root mean square over units.
        dead: fraction of units that give the same output for every example.
        saturated: fraction of outputs near a saturation value, where there are two of them.
        two_sided: whether there are.
    """

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
    """What a forward and a backward pass through fresh networks showed.

    Attributes:
        layers, weights: in the networks' order, frozen weights first.
        outputs: (M, N, O), in training mode.
        losses: (M,).
    """

    layers: list[Layer]
    weights: list[Weight]
    outputs: Tensor
    losses: Tensor

    @property
    def output_std(self) -> float:
        """Standard deviation of the outputs between examples, the median over members."""
        return float(self.outputs.float().std(1).mean(-1).median()) if self.outputs.shape[1] > 1 else 0.0


def measure_signal(trainer: Trainer, inputs: Tensor, targets: Tensor) -> Signal:
    """Pass inputs (N, ...) and targets once through all members, as in training, without a trace."""
    stack = trainer.stack
    members = len(stack)
    wide = inputs.expand(members, *inputs.shape)
    kinds = activation_layers(stack.network)
    captured = stack.capture(wide, list(kinds)) if kinds else {}
    layers = [_layer(name, captured.pop(name), *kinds[name].saturation) for name in kinds]
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
