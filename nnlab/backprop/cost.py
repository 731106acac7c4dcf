"""What a fully connected network costs: multiply-adds of the forward and the backward pass, layer by layer.

Forward, each weight takes part in one multiply-add per example (y = W x). Backward, in two: one for the gradient of
the weights (W_bar = y_bar x^T) and one for that of the input (x_bar = W^T y_bar), which the first layer does not
need. So the backward pass costs twice the forward pass, less in a small net with wide inputs. Biases and activations
cost an order less and are not counted. Source: the lecture's section on backpropagation.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from nnlab.errors import UserError


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """Multiply-adds of one layer for one example."""

    inputs: int
    outputs: int
    forward: int
    weight_gradient: int
    input_gradient: int

    @property
    def backward(self) -> int:
        """Both gradients."""
        return self.weight_gradient + self.input_gradient


def layer_costs(widths: Sequence[int]) -> list[LayerCost]:
    """The cost of each layer of an MLP; `widths` counts the inputs, the hidden units and the outputs.

    >>> [(layer.forward, layer.backward) for layer in layer_costs([784, 256, 10])]
    [(200704, 200704), (2560, 5120)]

    Raises:
        UserError: fewer than two widths, or one below 1.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise UserError(f"`widths` must be at least two numbers from 1 up, such as [784, 256, 10], got {list(widths)}")
    return [
        LayerCost(inputs, outputs, inputs * outputs, inputs * outputs, inputs * outputs if position else 0)
        for position, (inputs, outputs) in enumerate(itertools.pairwise(widths))
    ]


def forward_cost(widths: Sequence[int], examples: int = 1) -> int:
    """Multiply-adds of the forward pass over `examples`.

    >>> forward_cost([784, 256, 10])
    203264
    """
    return examples * sum(layer.forward for layer in layer_costs(widths))


def backward_cost(widths: Sequence[int], examples: int = 1) -> int:
    """Multiply-adds of the backward pass over `examples`: close to once the forward pass here, not twice.

    >>> round(backward_cost([784, 256, 10]) / forward_cost([784, 256, 10]), 3)
    1.013
    """
    return examples * sum(layer.backward for layer in layer_costs(widths))
