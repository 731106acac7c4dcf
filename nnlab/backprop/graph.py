"""A computation graph: values forward in topological order, error signals backward.

v_bar = dL/dv is the error signal of a node v. The output's is 1; every other node sums over its children j:
v_i_bar = sum_j v_j_bar * dv_j/dv_i. Source: the lecture's section on backpropagation.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from nnlab import notebook
from nnlab.backprop.numbers import number_text
from nnlab.backprop.operations import Array, Operation, describe
from nnlab.backprop.symbols import substitute
from nnlab.errors import UserError


@dataclasses.dataclass(eq=False)
class Node:
    """An input, a constant, or the result of an operation on its parents.

    Attributes:
        name: as assigned, or v1, v2, ... for what a longer expression computes on its way.
        value: (m, n) float64; a scalar is 1 x 1, a vector n x 1.
        operation, parents: None and () for inputs and constants.
        expression: how the value is written: its name for an input, the literal for a constant, and in terms of named
            nodes for a result.
        named: the user gave it its name.
        is_constant: a number written into an expression: neither listed nor differentiated.
        error_signal: dL/d(value), in the shape of the value; zero until `Graph.backward`.
    """

    name: str
    value: Array
    expression: ast.expr
    operation: Operation | None = None
    parents: tuple[Node, ...] = ()
    named: bool = True
    is_constant: bool = False
    error_signal: Array = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.error_signal = np.zeros_like(self.value)

    @property
    def is_input(self) -> bool:
        """A value that the user gave by name."""
        return self.operation is None and not self.is_constant

    @property
    def is_scalar(self) -> bool:
        """One number."""
        return self.value.size == 1

    @property
    def reference(self) -> ast.expr:
        """How an expression refers to this node: by name if the user named it, else by its own expression."""
        return ast.Name(self.name) if self.named and not self.is_constant else self.expression


class Graph:
    """Nodes in topological order: inputs as they were given, then every result after its parents.

    >>> import math
    >>> from nnlab.backprop.operations import FUNCTIONS
    >>> graph = Graph()
    >>> a = graph.add_input("a", [2.0])
    >>> _ = graph.apply(FUNCTIONS["exp"], (a,), "f")
    >>> graph.backward()
    >>> float(a.error_signal.item()) == math.exp(2)
    True
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def _repr_html_(self) -> str:
        """In a notebook: every named node with its value and, once `backward` has run, its error signal."""
        known = bool(self.output.error_signal.any())
        rows = [
            (
                node.name,
                "input" if node.is_input else ast.unparse(node.expression),
                number_text(node.value),
                number_text(node.error_signal) if known else "",
            )
            for node in self.nodes
            if node.named
        ]
        return notebook.table(("node", "expression", "value", "error signal"), rows)

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(node.name == name for node in self.nodes)

    @property
    def output(self) -> Node:
        """The node that the error signals are derivatives of: the last one."""
        return self.nodes[-1]

    @property
    def inputs(self) -> list[Node]:
        """The nodes that the user gave values for."""
        return [node for node in self.nodes if node.is_input]

    def add_input(self, name: str, value: object) -> Node:
        """Append an input; `value` is a number, a list (a vector) or a list of rows (a matrix)."""
        node = Node(name, as_matrix(value), ast.Name(name))
        self.nodes.append(node)
        return node

    def apply(self, operation: Operation, parents: Sequence[Node], name: str, named: bool = True) -> Node:
        """Append the result of `operation`.

        Raises:
            UserError: shapes that do not fit, an argument outside the domain, or a result that is not finite.
        """
        value = compute(operation, parents, [parent.value for parent in parents])
        node = Node(name, value, written(operation, parents), operation, tuple(parents), named)
        self.nodes.append(node)
        return node

    def forward(self, replaced: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """The value of every node, with the inputs of `replaced` changed; the graph itself stays as it is."""
        values: dict[str, Array] = {}
        for node in self.nodes:
            if node.operation is None:
                values[node.name] = (replaced or {}).get(node.name, node.value)
            else:
                operands = [parent.value if parent.is_constant else values[parent.name] for parent in node.parents]
                values[node.name] = compute(node.operation, node.parents, operands)
        return values

    def backward(self) -> None:
        """Fill in the error signal of every node.

        Raises:
            UserError: the output is not a scalar, or a derivative is not finite (as of sqrt at zero).
        """
        if not self.output.is_scalar:
            raise UserError(
                f"`{self.output.name}` is {describe(self.output.value.shape)}, but error signals are derivatives of a "
                f"scalar; end with a sum, such as `L = sum({self.output.name})` or `L = norm2({self.output.name})`"
            )
        for node in self.nodes:
            node.error_signal = np.zeros_like(node.value)
        self.output.error_signal = np.ones_like(self.output.value)
        for node in reversed(self.nodes):
            for parent, term in pull_back(node, node.error_signal):
                parent.error_signal = parent.error_signal + term


def pull_back(node: Node, g: Array) -> list[tuple[Node, Array]]:
    """The terms that `node` with the error signal `g` adds to those of its parents (constants left out).

    Raises:
        UserError: a derivative is not finite.
    """
    if node.operation is None:
        return []
    with np.errstate(all="ignore"):
        terms = node.operation.pullback(g, node.value, *(parent.value for parent in node.parents))
    pairs = [(parent, term) for parent, term in zip(node.parents, terms, strict=True) if not parent.is_constant]
    for parent, term in pairs:
        if not np.isfinite(term).all():
            text, by = ast.unparse(node.expression), ast.unparse(parent.reference)
            raise UserError(f"the derivative of `{text}` by {by} is not finite at {_listed([parent], [parent.value])}")
    return pairs


def compute(operation: Operation, parents: Sequence[Node], operands: Sequence[Array]) -> Array:
    """The value of an operation, after a check of shapes and domain; errors call the operands by their nodes.

    Raises:
        UserError: shapes that do not fit, an argument outside the domain, or a result that is not finite.
    """
    reason = operation.misfit(*(operand.shape for operand in operands))
    if reason:
        raise UserError(f"{_quoted(operation, parents)} does not fit: {_shapes(parents, operands)}; {reason}")
    if operation.domain is not None and not operation.domain(*operands).all():
        got = _listed(parents, operands)
        raise UserError(f"{_quoted(operation, parents)} needs {operation.requirement}; got {got}")
    with np.errstate(all="ignore"):
        value = np.asarray(operation.forward(*operands), dtype=np.float64)
    if not np.isfinite(value).all():
        got = _listed(parents, operands)
        raise UserError(f"{_quoted(operation, parents)} is too large for a float64 number at {got}")
    return value


def as_matrix(value: object) -> Array:
    """A number as 1 x 1, a list as a column vector n x 1, a list of rows as m x n."""
    array = np.array(value, dtype=np.float64)
    return array.reshape(-1, 1) if array.ndim < 2 else array


def written(operation: Operation, parents: Sequence[Node]) -> ast.expr:
    """The operation on its operands, as in W @ x."""
    return substitute(operation.notation, dict(zip("ab", (parent.reference for parent in parents), strict=False)))


def _quoted(operation: Operation, parents: Sequence[Node]) -> str:
    return f"`{ast.unparse(written(operation, parents))}`"


def _shapes(parents: Sequence[Node], operands: Sequence[Array]) -> str:
    return " and ".join(
        f"{ast.unparse(parent.reference)} is {describe(operand.shape)}"
        for parent, operand in zip(parents, operands, strict=True)
    )


def _listed(parents: Sequence[Node], operands: Sequence[Array]) -> str:
    return ", ".join(
        f"{ast.unparse(parent.reference)} = {number_text(operand)}"
        for parent, operand in zip(parents, operands, strict=True)
        if not parent.is_constant
    )
