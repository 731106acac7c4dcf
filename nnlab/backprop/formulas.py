"""The error signals in symbols, and the graph with only the quantities that have names.

Going back from a child j, each visible parent i receives the term v_j_bar * dv_j/dv_i, written in the grammar of
`parsing`: the formulas can be evaluated again, and the tests do.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from nnlab.backprop.graph import Graph, Node, pull_back
from nnlab.backprop.operations import MATMUL, TRANSPOSE, Array, Shape
from nnlab.backprop.symbols import simplify, substitute


@dataclasses.dataclass(frozen=True)
class Edge:
    """An arrow of the graph, from a visible parent to a visible child.

    Attributes:
        term: what the child adds to the parent's error signal, in symbols: "z_bar @ x.T".
        local: d(child)/d(parent) in symbols where both are scalars, else "".
        local_value: its number, or None.
        contribution: the term in numbers, in the parent's shape.
    """

    parent: Node
    child: Node
    term: str
    local: str
    local_value: float | None
    contribution: Array


def visible_nodes(graph: Graph, everything: bool = False) -> list[Node]:
    """The nodes worth showing: all, or only those with names once the user has named more than the output."""
    named = [node for node in graph.nodes if node.named]
    computed = [node for node in named if not node.is_input]
    return list(graph.nodes) if everything or len(computed) == 1 else named


def expression_text(node: Node, visible: Collection[Node]) -> str:
    """How a visible node is computed from visible ones; "input" for an input."""
    if node.operation is None:
        return "input"
    operands = dict(zip("ab", (_refer(parent, visible) for parent in node.parents), strict=False))
    return ast.unparse(substitute(node.operation.notation, operands))


def edges(graph: Graph, visible: Sequence[Node]) -> list[Edge]:
    """The arrows between visible nodes; a parent that a child uses twice has one arrow with the sum.

    `Graph.backward` must have run.
    """
    arrows = []
    for child in visible:
        terms: dict[Node, list[ast.expr]] = {}
        locals_: dict[Node, list[ast.expr]] = {}
        _pull_symbols(child, ast.Name(f"{child.name}_bar"), visible, terms)
        _pull_symbols(child, ast.Constant(1), visible, locals_)
        contributions = _pull_numbers(child, child.error_signal, visible)
        slopes = _pull_numbers(child, np.ones_like(child.value), visible)
        for parent, parts in terms.items():
            scalars = parent.is_scalar and child.is_scalar
            local = _text_of_sum(locals_[parent]) if scalars else ""
            value = slopes[parent].item() if scalars else None
            arrows.append(Edge(parent, child, _text_of_sum(parts), local, value, contributions[parent]))
    return arrows


def error_formula(node: Node, graph: Graph, arrows: Sequence[Edge]) -> str:
    """The error signal of a node in those of its children: "1" at the output, "0" where the output ignores it."""
    if node is graph.output:
        return "1"
    terms = [ast.parse(arrow.term, mode="eval").body for arrow in arrows if arrow.parent is node]
    return _text_of_sum(terms) if terms else "0"


def _refer(node: Node, visible: Collection[Node]) -> ast.expr:
    if node.is_constant:
        return node.expression
    if node in visible or node.operation is None:
        return ast.Name(node.name)
    operands = dict(zip("ab", (_refer(parent, visible) for parent in node.parents), strict=False))
    return substitute(node.operation.notation, operands)


def _pull_symbols(node: Node, g: ast.expr, visible: Collection[Node], into: dict[Node, list[ast.expr]]) -> None:
    """Add the terms that `node` with the error signal `g` passes back to its nearest visible ancestors."""
    if node.operation is None:
        return
    symbols = {"g": g, "out": _refer(node, visible)}
    symbols |= dict(zip("ab", (_refer(parent, visible) for parent in node.parents), strict=False))
    for parent, template in zip(node.parents, node.operation.terms, strict=True):
        if parent.is_constant:
            continue
        shape = {"ones_a": _ones(parent.value.shape), "size_a": ast.Constant(parent.value.size)}
        term = simplify(substitute(_scalar_form(template, node), symbols | shape))
        if node.operation is TRANSPOSE:
            term = _transposed(simplify(g), _scalar_names(visible))
        if node.operation.elementwise:
            term = _summed(term, node.value.shape, parent.value.shape)
        if parent in visible:
            into.setdefault(parent, []).append(term)
        else:
            _pull_symbols(parent, term, visible, into)


def _scalar_form(template: str, node: Node) -> str:
    """An error signal that is one number multiplies by *, also where the matrix product wrote @."""
    return template.replace("@", "*") if node.operation is MATMUL and node.is_scalar else template


def _scalar_names(visible: Collection[Node]) -> set[str]:
    return {name for node in visible if node.is_scalar for name in (node.name, f"{node.name}_bar")}


def _transposed(tree: ast.expr, scalars: Collection[str]) -> ast.expr:
    """The transpose, with scalar factors left outside."""
    match tree:
        case ast.Constant():
            return tree
        case ast.Name(id=name) if name in scalars:
            return tree
        case ast.Attribute(value=value):
            return value
        case ast.UnaryOp(op=op, operand=operand):
            return ast.UnaryOp(op, _transposed(operand, scalars))
        case ast.BinOp(left=left, op=ast.Mult() as op, right=right):
            return ast.BinOp(_transposed(left, scalars), op, _transposed(right, scalars))
    return ast.Attribute(tree, "T", ast.Load())


def _pull_numbers(node: Node, g: Array, visible: Collection[Node]) -> dict[Node, Array]:
    totals: dict[Node, Array] = {}
    waiting = [(node, g)]
    while waiting:
        child, signal = waiting.pop()
        for parent, term in pull_back(child, signal):
            if parent in visible:
                totals[parent] = totals[parent] + term if parent in totals else term
            else:
                waiting.append((parent, term))
    return totals


def _summed(term: ast.expr, shape: Shape, parent: Shape) -> ast.expr:
    """The fan-out of broadcasting: a scalar sums over all entries, a bias over the columns."""
    if shape == parent:
        return term
    if parent == (1, 1):
        return ast.Call(ast.Name("sum"), [term], [])
    return ast.BinOp(term, ast.MatMult(), _ones((shape[1], 1)))


def _ones(shape: Shape) -> ast.expr:
    """ones(m), ones(m, n), or just 1 for a scalar."""
    if shape == (1, 1):
        return ast.Constant(1)
    return ast.Call(ast.Name("ones"), [ast.Constant(size) for size in (shape[:1] if shape[1] == 1 else shape)], [])


def _text_of_sum(terms: Sequence[ast.expr]) -> str:
    total = terms[0]
    for term in terms[1:]:
        total = ast.BinOp(total, ast.Add(), term)
    return ast.unparse(simplify(total))
