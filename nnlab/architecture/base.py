"""What every architecture is: an ordinary `torch.nn.Module` for one network y = f(x), built from what the data fix.

The engine trains M of them at once by stacking their parameters, so a forward pass uses only operations that
`torch.func.vmap` can batch, and changes no state other than the buffers of batch norm.

The first three arguments of every constructor come from the rest of the configuration, not from the YAML:

- `input_shape`: shape of one example, (D,) for vectors, (K, H, W) for images;
- `head`: makes the output layer for a number of features; it belongs to the loss;
- `activation`: makes a new activation for one layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

from nnlab.errors import UserError

Head = Callable[[int], nn.Module]
MakeActivation = Callable[[], nn.Module]
Layers = dict[str, nn.Module]


class GlobalAveragePool(nn.Module):
    """The mean over all positions of each channel: (N, K, H, W) -> (N, K)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


def flatten(input_shape: tuple[int, ...]) -> tuple[Layers, int]:
    """The layers that turn examples into vectors (none for vectors), and the D features of these.

    >>> flatten((1, 8, 8))
    ({'flatten': Flatten(start_dim=1, end_dim=-1)}, 64)
    """
    return ({} if len(input_shape) == 1 else {"flatten": nn.Flatten()}), math.prod(input_shape)


def image_shape(architecture: str, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The (K, H, W) of the images that a convolutional network needs.

    Raises:
        UserError: the examples are vectors or of another shape.
    """
    if len(input_shape) != 3:
        got = f"vectors of {input_shape[0]} features" if len(input_shape) == 1 else f"examples of shape {input_shape}"
        raise UserError(
            f"`architecture={architecture}` needs images of shape (channels, height, width), but the data are {got}; "
            "use `architecture=mlp`, or data and preprocessing that keep images"
        )
    channels, height, width = input_shape
    return channels, height, width
