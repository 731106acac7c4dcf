"""PyTorch's default, weights and biases ~ U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)), as of nn.Linear and nn.Conv2d.

Source: torch.nn.Linear.reset_parameters, after LeCun et al. 1998, "Efficient BackProp", section 4.6, though with a
third of its variance: Var[w] = 1 / (3 fan_in).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnlab.initialization.base import Initialization, fans, set_parameter, weight_layers


class PyTorch(Initialization):
    """Draws what torch's own constructors draw, in their order (weights, then biases, layer by layer).

    Args:
        scale: multiplies the draws of weights and biases, (0, inf).
        bias: added to all biases.
    """

    def __init__(self, scale: float = 1.0, bias: float = 0.0) -> None:
        super().__init__(scale, bias)

    def __call__(
        self, network: torch.nn.Module, gain: float, generator: torch.Generator, inputs: Tensor | None = None
    ) -> None:
        with torch.no_grad():
            for _, layer in weight_layers(network):
                weight = torch.empty(layer.weight.shape, dtype=torch.float32)  # type: ignore[arg-type]
                self.fill(weight, gain, generator)
                set_parameter(layer, "weight", weight.mul_(self.scale))
                if layer.bias is not None:
                    bias = torch.empty(layer.bias.shape, dtype=torch.float32)  # type: ignore[arg-type]
                    bound = 1 / math.sqrt(fans(weight)[0])
                    bias.uniform_(-bound, bound, generator=generator)
                    set_parameter(layer, "bias", bias.mul_(self.scale).add_(self.bias))

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        bound = 1 / math.sqrt(fans(weight)[0])
        weight.uniform_(-bound, bound, generator=generator)
