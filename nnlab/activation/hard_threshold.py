"""Hard threshold, y = 1 for z > 0 and 0 otherwise: the unit of the perceptron.

Source: Rosenblatt 1958, "The perceptron" (doi:10.1037/h0042519). Its derivative is 0 wherever it exists, so no
gradient reaches anything below it: use it to evaluate networks whose weights are set by hand (such as XOR), since
gradient descent trains only the layers above the last threshold.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnlab.activation.base import Activation


class HardThreshold(Activation):
    """phi(z) = 1 for z > 0, else 0; nothing trains through it. Half of all z ~ N(0, 1) fire, so E[phi^2] = 1/2."""

    gain = math.sqrt(2)
    saturation = (0.0, 1.0)

    def forward(self, z: Tensor) -> Tensor:
        # A comparison would cut the graph; through `sign` the backward pass runs and brings zeros.
        return torch.sign(z).clamp(min=0)

    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.zeros_like(z)
