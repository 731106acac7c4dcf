"""Forward values and error signals of one example, each with its equation in the lecture's notation.

The network is written as a program of `nnlab.backprop` (z1 = W1 @ x + b1; h1 = tanh(z1); ...), whose graph computes
values and error signals; `nnlab graph` with the same program prints the same numbers.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from nnlab.activation.base import Activation
from nnlab.backprop import read
from nnlab.backprop.formulas import edges, error_formula, expression_text, visible_nodes
from nnlab.backprop.numbers import entry_text
from nnlab.errors import UserError
from nnlab.loss.base import Loss

LARGEST = 400  # weights of a network whose backward pass can still be read

# Of each activation, by option: the expression of h in z, with the module's own numbers.
_ACTIVATIONS: dict[str, Callable[[Any], str]] = {
    "identity": lambda _: "{z}",
    "sigmoid": lambda _: "sigmoid({z})",
    "tanh": lambda _: "tanh({z})",
    "relu": lambda _: "relu({z})",
    "leaky_relu": lambda module: f"max({{z}}, {float(module.slope)!r} * {{z}})",
    "softplus": lambda _: "log(1 + exp({z}))",
    "silu": lambda _: "{z} * sigmoid({z})",
}
# Of each loss, by option: assignments from the outputs y to L.
_LOSSES = {
    "squared_error": ("L = 1/2 * norm2(y - t)",),
    "binary_cross_entropy": ("p = sigmoid(y)", "L = -(t * log(p) + (1 - t) * log(1 - p))"),
    "softmax_cross_entropy": ("p = softmax(y)", "L = -t.T @ log(p)"),
}


@dataclasses.dataclass(frozen=True)
class Step:
    """One quantity on the way there or back.

    Attributes:
        name: of the quantity, such as `z1` or `W1_bar`.
        equation: how it is computed, such as `W1 @ x + b1`.
        value: rows of numbers.
        back: whether it belongs to the backward pass.
        layer: the layer that it belongs to, from 1; 0 for the input, one more than the last for the loss.
    """

    name: str
    equation: str
    value: list[list[float]]
    back: bool
    layer: int


def backward_pass(network: nn.Module, loss: Loss, x: Tensor, target: Tensor) -> tuple[list[Step], str]:
    """Every step forward and back for one example, and the `nnlab graph` command that prints the same.

    Args:
        network: a chain of linear layers and activations.
        loss: squared error or a cross-entropy.
        x: the example, (D,) or any shape that the network flattens.
        target: its target, () int64 or (C,).

    Raises:
        UserError: the network or the loss has no such program.
    """
    program, values, layers = _program(network)
    option = loss.option()
    if option not in _LOSSES:
        raise UserError(f"the backward pass is shown for {', '.join(_LOSSES)}; this is `{option}`")
    program += _LOSSES[option]
    values["x"] = _column(x.flatten())
    values["t"] = _target(target, network(x.unsqueeze(0)).shape[-1])
    given = [f"{name}={value}" for name, value in values.items()]
    graph = read("; ".join(program), *given)
    graph.backward()
    visible = visible_nodes(graph)
    arrows = edges(graph, visible)
    steps = []
    for node in visible:
        if not node.is_input:
            place = _layer(node.name, layers)
            steps.append(Step(node.name, expression_text(node, visible), node.value.tolist(), False, place))
    for node in reversed(visible):
        if node.name not in ("x", "t"):
            formula, place = error_formula(node, graph, arrows), _layer(node.name, layers)
            steps.append(Step(f"{node.name}_bar", formula, node.error_signal.tolist(), True, place))
    command = " ".join(["nnlab graph", *map(shlex.quote, ["; ".join(program), *given])])
    return steps, command


def _program(network: nn.Module) -> tuple[list[str], dict[str, str], int]:
    """Assignments from x to the outputs y, the weights' values, and the number of linear layers."""
    modules = [m for m in network.children() if not isinstance(m, nn.Flatten)]
    linear = [m for m in modules if type(m) is nn.Linear]
    if not isinstance(network, nn.Sequential) or not linear or modules[-1] is not linear[-1]:
        raise UserError("the backward pass is shown for chains of linear layers and activations")
    if sum(m.weight.numel() for m in linear) > LARGEST:
        raise UserError(f"the backward pass is shown for networks of up to {LARGEST} weights; take smaller widths")
    program, values, h, layer = [], {}, "x", 0
    for module in modules:
        if type(module) is nn.Linear:
            layer += 1
            z = "y" if layer == len(linear) else f"z{layer}"
            bias = f" + b{layer}" if module.bias is not None else ""
            program.append(f"{z} = W{layer} @ {h}{bias}")
            values[f"W{layer}"] = _matrix(module.weight)
            if bias:
                values[f"b{layer}"] = _column(module.bias)
            h = z
        else:
            h = f"h{layer}"
            program.append(f"{h} = {_expression(module).format(z=f'z{layer}')}")
    return program, values, len(linear)


def _expression(module: nn.Module) -> str:
    option = type(module).__module__.rpartition(".")[2]
    if not isinstance(module, Activation) or option not in _ACTIVATIONS:
        raise UserError(f"the backward pass is not shown through `{option}`: it has no formula in `nnlab graph`")
    return _ACTIVATIONS[option](module)


def _layer(name: str, layers: int) -> int:
    digits = name[1:]
    return int(digits) if digits.isdigit() else {"x": 0, "y": layers}.get(name, layers + 1)


def _matrix(weight: Tensor) -> str:
    rows = ", ".join("[" + ", ".join(repr(float(v)) for v in row) + "]" for row in weight.detach())
    return f"[{rows}]"


def _column(vector: Tensor) -> str:
    return "[" + ", ".join(repr(float(v)) for v in vector.detach()) + "]"


def _target(target: Tensor, outputs: int) -> str:
    if target.is_floating_point():
        return _column(target.flatten())
    return str(int(target)) if outputs == 1 else f"onehot({int(target)}, {outputs})"


def as_plain(step: Step) -> dict[str, Any]:
    """A step as JSON holds it, with its numbers also as text."""
    return {**dataclasses.asdict(step), "text": [[entry_text(v) for v in row] for row in step.value]}
