"""RealMLP: a multilayer perceptron with what was found to help on tables.

    numbers: periodic embeddings (PBLD); categories with many levels: learned vectors; all others as they are
    -> a learned scale for each of these
    -> hidden layers in the neural tangent parametrization, each with an activation of which every unit learns its share
    -> output layer, in the same parametrization

`experiment=realmlp` and `experiment=realmlp_regression` select it together with the rest of the source's defaults.

Source: Holzmueller et al. 2024, "Better by default: strong pre-tuned MLPs and boosted trees on tabular data",
arXiv:2407.04491, section 3 and table A.1 (RealMLP-TD).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnlab.architecture.base import Head, Layers, MakeActivation, flatten
from nnlab.architecture.embeddings import CategoryEmbedding, PeriodicEmbedding
from nnlab.architecture.ntk import Mixed, NTKLinear, Scale
from nnlab.validation import check

Columns = Sequence[tuple[str, int]]


class RealMLP(nn.Sequential):
    """A flat chain: flatten (unless the input is a vector), embedding, scale, linear1, activation1, ..., output.

    Args:
        input_shape: shape of one example, any.
        head: makes the output layer.
        activation: makes one hidden layer's activation.
        columns: kind and number of inputs of each column of a table, in their order; empty: all inputs are numbers.
        widths: units of each hidden layer, each [1, inf).
        frequencies: waves of the embedding of each number, [0, inf); 0: numbers are not embedded.
        sigma: standard deviation of their frequencies at first, (0, inf).
        one_hot: most levels of a category that keep an input each, [0, inf); those of larger ones become a vector.
        vector: length of these vectors, [1, inf).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        head: Head,
        activation: MakeActivation,
        columns: Columns = (),
        widths: list[int] = [256, 256, 256],  # noqa: B006 (only read)
        frequencies: int = 16,
        sigma: float = 0.1,
        one_hot: int = 8,
        vector: int = 8,
    ) -> None:
        for name, value, bounds in (
            ("frequencies", frequencies, "[0, inf)"),
            ("sigma", sigma, "(0, inf)"),
            ("one_hot", one_hot, "[0, inf)"),
            ("vector", vector, "[1, inf)"),
        ):
            check(name, value, bounds)
        layers, features = flatten(input_shape)
        layers["embedding"] = embedding = InputEmbedding(columns or features, frequencies, sigma, one_hot, vector)
        features = embedding.features
        layers["scale"] = Scale(features)
        for number, width in enumerate(widths, start=1):
            check("widths", width, "[1, inf)")
            layers[f"linear{number}"] = NTKLinear(features, width)
            layers[f"activation{number}"] = Mixed(activation(), width)
            features = width
        layers["output"] = in_tangent_parametrization(head(features))
        super().__init__(OrderedDict(layers))


class InputEmbedding(nn.Module):
    """(N, D) -> (N, features): numbers embedded, then inputs as they are, then vectors of large categories.

    Args:
        columns: see `RealMLP`, or the number of inputs that all are numbers.
        frequencies, sigma, one_hot, vector: see `RealMLP`.

    Attributes:
        features: numbers that one example becomes.
    """

    numbers: Tensor
    others: Tensor

    def __init__(self, columns: Columns | int, frequencies: int, sigma: float, one_hot: int, vector: int) -> None:
        super().__init__()
        if isinstance(columns, int):
            columns = [("number", 1)] * columns
        numbers: list[int] = []
        others: list[int] = []
        tables: Layers = {}
        self.places: list[tuple[int, int]] = []
        start = 0
        for kind, size in columns:
            inputs = range(start, start + size)
            if kind == "category" and size > one_hot:
                tables[str(len(tables))] = CategoryEmbedding(size, vector)
                self.places.append((start, start + size))
            elif kind == "number" and frequencies:
                numbers += inputs
            else:
                others += inputs
            start += size
        self.register_buffer("numbers", torch.tensor(numbers, dtype=torch.int64), persistent=False)
        self.register_buffer("others", torch.tensor(others, dtype=torch.int64), persistent=False)
        self.periodic = PeriodicEmbedding(len(numbers), frequencies, sigma=sigma) if numbers else None
        self.tables = nn.ModuleDict(tables)
        embedded = 4 * len(numbers) if numbers else 0
        self.features = embedded + len(others) + vector * len(tables)

    def forward(self, x: Tensor) -> Tensor:
        parts = [] if self.periodic is None else [self.periodic(x[:, self.numbers])]
        parts.append(x[:, self.others])
        parts += [table(x[:, a:b]) for (a, b), table in zip(self.places, self.tables.values(), strict=True)]
        return torch.cat(parts, 1)


def in_tangent_parametrization(layer: nn.Module) -> nn.Module:
    """A plain linear layer with its numbers divided by the factors that `NTKLinear` multiplies by; others as they are.

    Of layers one after another it is the first that is exchanged.
    """
    if isinstance(layer, nn.Sequential):
        layer[0] = in_tangent_parametrization(layer[0])
    if type(layer) is not nn.Linear or layer.bias is None:
        return layer
    found = NTKLinear(layer.in_features, layer.out_features)
    with torch.no_grad():
        found.weight.copy_(layer.weight / found.weight_factor)
        found.bias.copy_(layer.bias / found.bias_factor)
    return found
