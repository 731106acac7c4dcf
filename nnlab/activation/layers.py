"""The activation layers of any network: nnlab's own, and torch's in foreign networks."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from nnlab.activation.base import Activation


class Layer(NamedTuple):
    """An activation layer: the option's name of its kind, and the output values at which it saturates (or None)."""

    kind: str
    saturation: tuple[float | None, float | None]


# Saturation as of nnlab's own; torch's ReLU is never flat on purpose, and counts dead units instead.
FOREIGN: dict[type[nn.Module], Layer] = {
    nn.Sigmoid: Layer("sigmoid", (0.0, 1.0)),
    nn.Tanh: Layer("tanh", (-1.0, 1.0)),
    nn.ReLU: Layer("relu", (None, None)),
    nn.GELU: Layer("gelu", (None, None)),
    nn.SiLU: Layer("silu", (None, None)),
    nn.ELU: Layer("elu", (-1.0, None)),
    nn.LeakyReLU: Layer("leaky_relu", (None, None)),
    nn.PReLU: Layer("prelu", (None, None)),
}


def activation_layers(network: nn.Module) -> dict[str, Layer]:
    """The activation layers of a network by name, in its order.

    >>> activation_layers(nn.Sequential(nn.Linear(2, 3), nn.Tanh()))
    {'1': Layer(kind='tanh', saturation=(-1.0, 1.0))}
    """
    layers: dict[str, Layer] = {}
    for name, module in network.named_modules():
        if isinstance(module, Activation):
            layers[name] = Layer(type(module).__module__.rpartition(".")[2], module.saturation)
        elif type(module) in FOREIGN:
            layers[name] = FOREIGN[type(module)]
    return layers
