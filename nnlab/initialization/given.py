"""The weights that the network's own constructor set: pretrained ones, for example.

Networks of nnlab come from their constructors with torch's defaults, drawn from the run's seed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.initialization.base import Initialization, weight_layers


class Given(Initialization):
    """Draws nothing.

    Args:
        scale: multiplies the weights that are there, (0, inf).
        bias: added to all biases.
    """

    def __call__(
        self, network: torch.nn.Module, gain: float, generator: torch.Generator, inputs: Tensor | None = None
    ) -> None:
        with torch.no_grad():
            for _, layer in weight_layers(network):
                layer.weight.mul_(self.scale)  # type: ignore[operator]
                if layer.bias is not None:
                    layer.bias.add_(self.bias)  # type: ignore[operator]

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        """Leave `weight` as it is."""
