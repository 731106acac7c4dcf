"""What every initialization does: fill the weights and biases of a network, from an explicit generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from nnlab.validation import check

WEIGHT_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def weight_layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Names and modules of the linear and convolutional layers, in the order in which they were registered."""
    return ((name, module) for name, module in network.named_modules() if isinstance(module, WEIGHT_LAYERS))


def fans(weight: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out): inputs and outputs of one unit, for weights (out, in) or (out, in, *kernel)."""
    receptive = weight[0, 0].numel() if weight.ndim > 2 else 1
    return weight.shape[1] * receptive, weight.shape[0] * receptive


def set_parameter(layer: nn.Module, name: str, value: Tensor) -> None:
    """Set the `weight` or `bias` of a layer, divided by the factor that the layer multiplies it by, if it has one."""
    factor = getattr(layer, f"{name}_factor", 1.0)
    getattr(layer, name).copy_(value if factor == 1.0 else value / factor)


class Initialization(ABC):
    """Fills weights layer by layer; biases are set to a constant.

    `network` is one network on the CPU, its linear and convolutional layers as torch's own (or subclasses). Other
    modules (batch norm, PReLU) keep the values that their constructors set. A layer that multiplies its parameters by
    factors (`weight_factor`, `bias_factor`; see `nnlab.architecture.ntk`) has the products filled. The gain of the
    hidden layers is that of the network's activation; the last layer is linear, so its gain is 1. Everything is drawn
    in float32, so that runs in float32 and in float64 start from the same weights.

    Args:
        scale: multiplies the standard deviation (or the constant), (0, inf).
        bias: the value of all biases.
    """

    per_member: ClassVar[tuple[str, ...]] = ("scale", "bias")

    def __init__(self, scale: float = 1.0, bias: float = 0.0) -> None:
        self.scale = check("scale", scale, "(0, inf)")
        self.bias = check("bias", bias, "(-inf, inf)")

    def __call__(
        self, network: nn.Module, gain: float, generator: torch.Generator, inputs: Tensor | None = None
    ) -> None:
        """Initialize `network` in place.

        Args:
            network: one network.
            gain: of its hidden activation.
            generator: of all draws.
            inputs: training inputs (n, ...), for those that look at them; None: there are none.
        """
        layers = [module for _, module in weight_layers(network)]
        with torch.no_grad():
            for position, layer in enumerate(layers):
                last = position == len(layers) - 1
                weight = torch.empty(layer.weight.shape, dtype=torch.float32)  # type: ignore[arg-type]
                self.fill(weight, 1.0 if last else gain, generator)
                set_parameter(layer, "weight", weight.mul_(self.scale))
                if layer.bias is not None:
                    set_parameter(layer, "bias", torch.full(layer.bias.shape, self.bias))  # type: ignore[arg-type]

    @abstractmethod
    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        """Fill `weight` (out, in) or (out, in, *kernel), float32, in place, before `scale` is applied."""
