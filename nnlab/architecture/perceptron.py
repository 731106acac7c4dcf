"""A single layer of neurons: outputs = W x + b, which with softmax or sigmoid is logistic regression.

Source: F. Rosenblatt 1958, "The perceptron", doi:10.1037/h0042519.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from nnlab.architecture.base import Head, MakeActivation, flatten


class Perceptron(nn.Sequential):
    """The output layer alone, on the flattened input; it learns linear decision boundaries only.

    Args:
        input_shape: shape of one example, any.
        head: makes the output layer.
        activation: not used, there is no hidden layer.
    """

    def __init__(self, input_shape: tuple[int, ...], head: Head, activation: MakeActivation) -> None:
        layers, features = flatten(input_shape)
        layers["output"] = head(features)
        super().__init__(OrderedDict(layers))
