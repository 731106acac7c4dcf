"""Residual network for small images, 6n + 2 weight layers deep: each block learns a change, y = phi(x + F(x)).

Source: K. He et al. 2016, "Deep residual learning for image recognition", arXiv:1512.03385, section 4.2 (the networks
for CIFAR-10) with its shortcuts without parameters (option A of section 3.3).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from nnlab.architecture.base import GlobalAveragePool, Head, Layers, MakeActivation, image_shape
from nnlab.validation import check


class BasicBlock(nn.Module):
    """y = phi(shortcut(x) + norm(W2 * phi(norm(W1 * x)))), with 3x3 filters.

    Args:
        inputs: channels of x (N, inputs, H, W).
        outputs: channels of y (N, outputs, H / stride, W / stride), rounded up; at least `inputs`.
        stride: of the first convolution.
        activation: makes one layer's activation.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, activation: MakeActivation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.activation1 = activation()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.activation2 = activation()
        self._stride, self._new_channels = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        change = self.norm2(self.conv2(self.activation1(self.norm1(self.conv1(x)))))
        y: Tensor = self.activation2(self.shortcut(x) + change)
        return y

    def shortcut(self, x: Tensor) -> Tensor:
        """x itself; where the block shrinks the image, every other pixel, with zeros as the new channels."""
        x = x[..., :: self._stride, :: self._stride]
        return functional.pad(x, (0, 0, 0, 0, 0, self._new_channels)) if self._new_channels else x


class ResNet(nn.Sequential):
    """conv1, norm1, activation1, three stages of n blocks (block1_1 ... block3_n), pool, output.

    Args:
        input_shape: (K, H, W); meant for images of 28 to 32 pixels.
        head: makes the output layer.
        activation: makes one layer's activation.
        blocks: n, blocks in each of the three stages, [1, inf); the network has 6n + 2 weight layers.
        width: channels of the first stage, [1, inf); the second has twice, the third four times as many.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Head,
        activation: MakeActivation,
        blocks: int = 3,
        width: int = 16,
    ) -> None:
        check("blocks", blocks, "[1, inf)")
        check("width", width, "[1, inf)")
        channels = image_shape("resnet", input_shape)[0]
        layers: Layers = {
            "conv1": nn.Conv2d(channels, width, 3, padding=1, bias=False),
            "norm1": nn.BatchNorm2d(width),
            "activation1": activation(),
        }
        features = width
        for stage in (1, 2, 3):
            outputs = width * 2 ** (stage - 1)
            for number in range(1, blocks + 1):
                stride = 2 if stage > 1 and number == 1 else 1
                layers[f"block{stage}_{number}"] = BasicBlock(features, outputs, stride, activation)
                features = outputs
        layers["pool"] = GlobalAveragePool()
        layers["output"] = head(features)
        super().__init__(OrderedDict(layers))
