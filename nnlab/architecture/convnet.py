"""Convolutional network: each stage filters with shared weights, phi(W * x + b), and halves the image.

Two variants: `lenet` halves by max-pooling and ends in a fully connected layer (Y. LeCun et al. 1998,
doi:10.1109/5.726791, with today's max-pooling and zero padding); `all_convolutional` halves by convolutions of stride
2 and ends in a 3x3 and a 1x1 convolution and the mean over all positions (J. Springenberg et al. 2015,
arXiv:1412.6806, Table 2). There the 1x1 convolution that gives the classes comes before that mean; here the output
layer comes after it, which is the same, as both are linear.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal

from torch import nn

from nnlab.architecture.base import GlobalAveragePool, Head, Layers, MakeActivation, image_shape
from nnlab.errors import UserError
from nnlab.validation import check, check_choice


class ConvNet(nn.Sequential):
    """A flat chain: conv1, norm1, activation1, pool1, conv2, ..., flatten, linear1, activation, output.

    Args:
        input_shape: (K, H, W); for `lenet`, H and W are at least 2 to the power of the number of stages.
        head: makes the output layer.
        activation: makes one layer's activation.
        variant: `lenet` or `all_convolutional`.
        channels: channels of each stage, each [1, inf), at least one stage.
        kernel_size: height and width of the filters, odd; zero padding keeps the image's size.
        hidden: units of the fully connected layer of `lenet`, [1, inf).
        batch_norm: batch norm between each hidden layer (then without bias) and its activation.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Head,
        activation: MakeActivation,
        variant: Literal["lenet", "all_convolutional"] = "lenet",
        channels: list[int] = [16, 32],  # noqa: B006 (only read)
        kernel_size: int = 3,
        hidden: int = 128,
        batch_norm: bool = False,
    ) -> None:
        check_choice("variant", variant, ("lenet", "all_convolutional"))
        check("hidden", hidden, "[1, inf)")
        _check_filters(channels, kernel_size)
        shape = image_shape("convnet", input_shape)
        chain = _Chain(shape[0], activation, batch_norm)
        if variant == "lenet":
            _lenet(chain, shape[1:], channels, kernel_size, hidden)
        else:
            _all_convolutional(chain, channels, kernel_size)
        chain.layers["output"] = head(chain.features)
        super().__init__(OrderedDict(chain.layers))


class _Chain:
    """Layers under construction: `features` counts the channels or units that the next layer receives."""

    def __init__(self, features: int, activation: MakeActivation, batch_norm: bool) -> None:
        self.layers: Layers = {}
        self.features = features
        self._activation, self._batch_norm = activation, batch_norm
        self._weight_layers = 0

    def conv(self, channels: int, kernel_size: int, stride: int = 1) -> None:
        bias, padding = not self._batch_norm, kernel_size // 2
        layer = nn.Conv2d(self.features, channels, kernel_size, stride=stride, padding=padding, bias=bias)
        self._add(f"conv{self._weight_layers + 1}", layer, nn.BatchNorm2d, channels)

    def linear(self, width: int) -> None:
        layer = nn.Linear(self.features, width, bias=not self._batch_norm)
        self._add("linear1", layer, nn.BatchNorm1d, width)

    def _add(self, name: str, layer: nn.Module, norm: Callable[[int], nn.Module], features: int) -> None:
        self._weight_layers += 1
        self.features = features
        self.layers[name] = layer
        if self._batch_norm:
            self.layers[f"norm{self._weight_layers}"] = norm(features)
        self.layers[f"activation{self._weight_layers}"] = self._activation()


def _lenet(chain: _Chain, size: tuple[int, int], channels: Sequence[int], kernel_size: int, hidden: int) -> None:
    height, width = (side >> len(channels) for side in size)
    if min(height, width) < 1:
        raise UserError(
            f"`channels` has {len(channels)} stages, each halves the image, but the images are only "
            f"{size[0]}x{size[1]}; use fewer stages or `architecture.variant=all_convolutional`"
        )
    for stage, count in enumerate(channels, start=1):
        chain.conv(count, kernel_size)
        chain.layers[f"pool{stage}"] = nn.MaxPool2d(2)
    chain.layers["flatten"] = nn.Flatten()
    chain.features *= height * width
    chain.linear(hidden)


def _all_convolutional(chain: _Chain, channels: Sequence[int], kernel_size: int) -> None:
    for count in channels:
        chain.conv(count, kernel_size)
        chain.conv(count, kernel_size, stride=2)
    chain.conv(channels[-1], 3)
    chain.conv(channels[-1], 1)
    chain.layers["pool"] = GlobalAveragePool()


def _check_filters(channels: Sequence[int], kernel_size: int) -> None:
    if not channels:
        raise UserError("`channels` must name at least one stage, got an empty list")
    for count in channels:
        check("channels", count, "[1, inf)")
    check("kernel_size", kernel_size, "[1, inf)")
    if kernel_size % 2 == 0:
        raise UserError(f"`kernel_size` must be odd, such as 3 or 5, got {kernel_size}")
