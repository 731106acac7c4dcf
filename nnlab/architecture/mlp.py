"""Multilayer perceptron: fully connected layers h_l = phi(W_l h_{l-1} + b_l), and an output layer on the last of them.

With batch norm, h_l = phi(norm(W_l h_{l-1})): normalised before the activation, as in S. Ioffe and C. Szegedy 2015
(arXiv:1502.03167, section 3.2), where the shift of the norm takes the place of the bias.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from nnlab.architecture.base import Head, MakeActivation, flatten
from nnlab.validation import check


class MLP(nn.Sequential):
    """A flat chain of layers: flatten (unless the input is a vector), linear1, norm1, activation1, ..., output.

    Args:
        input_shape: shape of one example, any.
        head: makes the output layer.
        activation: makes one hidden layer's activation.
        widths: units of each hidden layer, each [1, inf); an empty list leaves a perceptron.
        batch_norm: batch norm between each hidden linear layer (then without bias) and its activation.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Head,
        activation: MakeActivation,
        widths: list[int] = [128, 128],  # noqa: B006 (only read)
        batch_norm: bool = False,
    ) -> None:
        layers, features = flatten(input_shape)
        for number, width in enumerate(widths, start=1):
            check("widths", width, "[1, inf)")
            # A bias before batch norm has no effect and a gradient of pure rounding, which Adam would blow up.
            layers[f"linear{number}"] = nn.Linear(features, width, bias=not batch_norm)
            if batch_norm:
                layers[f"norm{number}"] = nn.BatchNorm1d(width)
            layers[f"activation{number}"] = activation()
            features = width
        layers["output"] = head(features)
        super().__init__(OrderedDict(layers))
