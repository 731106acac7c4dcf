"""Are the error signals right? Central differences (f(v + h) - f(v - h)) / 2h, and torch's autograd."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from nnlab.backprop.graph import Graph
from nnlab.backprop.operations import Array
from nnlab.backprop.parsing import evaluate
from nnlab.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

AUTOGRAD_TOLERANCE = 1e-9
DIFFERENCES_TOLERANCE = 1e-6
_RELATIVE_STEP = 6e-6  # about the cube root of float64's eps: rounding and curvature contribute alike


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far an input's error signal is from a reference, relative to the largest entry (at least 1) of the two."""

    name: str
    differences: float
    autograd: float

    @property
    def passed(self) -> bool:
        """Within both tolerances; not a number (a difference that left the domain) fails."""
        return self.differences <= DIFFERENCES_TOLERANCE and self.autograd <= AUTOGRAD_TOLERANCE


@dataclasses.dataclass(frozen=True)
class Checks:
    """How far the inputs' error signals are from their references, and those of nodes from formulas by hand."""

    agreements: list[Agreement]
    by_hand: dict[str, float]

    @property
    def passed(self) -> bool:
        """All within their tolerances."""
        agree = all(agreement.passed for agreement in self.agreements)
        return agree and all(worst <= AUTOGRAD_TOLERANCE for worst in self.by_hand.values())


def check(graph: Graph, by_hand: Mapping[str, str]) -> Checks:
    """All comparisons of a graph whose backward pass has run; `by_hand` as `check_by_hand` takes it."""
    return Checks(check_graph(graph), check_by_hand(graph, by_hand))


def check_graph(graph: Graph) -> list[Agreement]:
    """Compare the error signals of all inputs with both references; `Graph.backward` must have run."""
    by_differences, by_autograd = finite_differences(graph), autograd(graph)
    return [
        Agreement(
            node.name,
            distance(node.error_signal, by_differences[node.name]),
            distance(node.error_signal, by_autograd[node.name]),
        )
        for node in graph.inputs
    ]


def check_by_hand(graph: Graph, by_hand: Mapping[str, str]) -> dict[str, float]:
    """How far each node's error signal is from a formula derived by hand, such as {"W": "z_bar @ x.T"}."""
    values = {node.name: node.value for node in graph.nodes}
    values |= {f"{node.name}_bar": node.error_signal for node in graph.nodes}
    return {name: distance(graph[name].error_signal, evaluate(formula, values)) for name, formula in by_hand.items()}


def distance(one: Array, two: Array) -> float:
    """The largest difference, relative to the largest entry of the two or 1."""
    scale = max(1.0, float(np.abs(one).max()), float(np.abs(two).max()))
    return float(np.abs(one - two).max()) / scale


def finite_differences(graph: Graph) -> dict[str, Array]:
    """dL/d(input) by central differences; not a number where the steps leave the domain."""
    slopes = {}
    for node in graph.inputs:
        slope = np.empty_like(node.value)
        for index in np.ndindex(node.value.shape):
            slope[index] = _central_difference(graph, node.name, node.value, index)
        slopes[node.name] = slope
    return slopes


def _central_difference(graph: Graph, name: str, value: Array, index: tuple[int, ...]) -> float:
    size = abs(float(value[index]))
    # a step in proportion to the entry stays on its side of zero where a step of the usual size does not
    for step in (_RELATIVE_STEP * max(1.0, size), _RELATIVE_STEP * size):
        try:
            ends = []
            for side in (step, -step):
                moved = value.copy()
                moved[index] += side
                ends.append((float(moved[index]), graph.forward({name: moved})[graph.output.name].item()))
        except UserError:
            continue
        (right, above), (left, below) = ends
        if right != left:
            return float((above - below) / (right - left))
    return float("nan")


def autograd(graph: Graph) -> dict[str, Array]:
    """dL/d(input) from torch, which computes the graph again with its own operations."""
    import torch

    functions = _torch_functions()
    tensors = {node: torch.tensor(node.value, requires_grad=True) for node in graph.inputs}
    for node in graph.nodes:
        if node.operation is not None:
            operands = [tensors[p] if p in tensors else torch.tensor(p.value) for p in node.parents]
            tensors[node] = functions[node.operation.name](*operands)
    leaves = [tensors[node] for node in graph.inputs]
    gradients = torch.autograd.grad(tensors[graph.output].sum(), leaves, allow_unused=True, materialize_grads=True)
    return {node.name: gradient.numpy() for node, gradient in zip(graph.inputs, gradients, strict=True)}


def _torch_functions() -> dict[str, Callable[..., Tensor]]:
    import torch

    functions: dict[str, Callable[..., Tensor]] = {
        name: getattr(torch, name)
        for name in ("exp", "log", "sin", "cos", "tan", "tanh", "sigmoid", "relu", "sqrt", "abs", "sign")
    }
    return functions | {
        "identity": lambda a: a,
        "negative": lambda a: -a,
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b,
        "divide": lambda a, b: a / b,
        "power": lambda a, b: a**b,
        "power of nodes": lambda a, b: a**b,
        "matmul": lambda a, b: a @ b,
        "transpose": lambda a: a.T,
        "step": lambda a: torch.heaviside(a.detach(), torch.zeros_like(a)),
        "greater": lambda a, b: torch.heaviside((a - b).detach(), torch.full_like(a - b, 0.5)),
        "max": torch.maximum,
        "sum": lambda a: a.sum().reshape(1, 1),
        "mean": lambda a: a.mean().reshape(1, 1),
        "norm2": lambda a: a.square().sum().reshape(1, 1),
        "softmax": lambda a: torch.softmax(a, dim=0),
    }
