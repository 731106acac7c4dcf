"""A computation graph as text: a table of its nodes, and both passes step by step."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from nnlab.backprop.formulas import Edge, edges, error_formula, expression_text
from nnlab.backprop.graph import Graph, Node
from nnlab.backprop.numbers import entry_text, number_text
from nnlab.backprop.operations import Array
from nnlab.backprop.symbols import substitute

_LARGEST_SIDE = 6  # of a matrix that is printed in full


def table(graph: Graph, visible: Sequence[Node]) -> str:
    """One row for each node: its expression, value, error signal, and the formula of the error signal."""
    arrows = edges(graph, visible)
    rows = [[["node"], ["expression"], ["value"], ["error signal"], ["formula"]]]
    for node in visible:
        formula = "" if node is graph.output else error_formula(node, graph, arrows)
        value, signal = _lines(node.value), _lines(node.error_signal)
        rows.append([[node.name], [expression_text(node, visible)], value, signal, [formula]])
    return _aligned(rows)


def content(graph: Graph, visible: Sequence[Node]) -> list[dict[str, Any]]:
    """The rows of `table` as plain values; a scalar is a number, a vector or matrix a list of rows."""
    arrows = edges(graph, visible)
    return [
        {
            "node": node.name,
            "expression": expression_text(node, visible),
            "value": _plain(node.value),
            "error_signal": _plain(node.error_signal),
            "formula": error_formula(node, graph, arrows),
        }
        for node in visible
    ]


def _plain(value: Array) -> Any:
    return value.item() if value.size == 1 else value.tolist()


def steps(graph: Graph, visible: Sequence[Node]) -> str:
    """The forward pass in topological order, then the backward pass, with numbers put in where all are scalars."""
    arrows = edges(graph, visible)
    values = {node.name: node.value for node in visible}
    bars = {f"{node.name}_bar": node.error_signal for node in visible}
    forward = [_step(node.name, _expression(node, visible), node.value, values, "") for node in visible]
    backward = [
        _step(f"{node.name}_bar", error_formula(node, graph, arrows), node.error_signal, values | bars, note)
        for node in reversed(visible)
        for note in [_fan_out(node, arrows)]
    ]
    explanation = f"Backward, from the output: v_bar = d{graph.output.name}/dv is the sum over the children of v"
    return "\n".join(["Forward, in topological order", *forward, "", explanation, *backward])


def _expression(node: Node, visible: Sequence[Node]) -> str:
    return "" if node.is_input else expression_text(node, visible)


def _fan_out(node: Node, arrows: Sequence[Edge]) -> str:
    children = [arrow.child.name for arrow in arrows if arrow.parent is node]
    return f"   (summed over its children {', '.join(children)})" if len(children) > 1 else ""


def _step(name: str, formula: str, value: Array, values: dict[str, Array], note: str) -> str:
    """ "c_bar = e_bar * d = 1 * 2 = 2"; the numbers only where every operand is a scalar."""
    parts = [name, formula] if formula else [name]
    numbers = {other: _literal(entry) for other, entry in values.items() if entry.size == 1}
    tree = ast.parse(formula or "0", mode="eval").body
    used = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)} & set(values)
    if used and used <= set(numbers) and not isinstance(tree, ast.Name):
        parts.append(ast.unparse(substitute(formula, numbers)))
    result = number_text(value, limit=100)
    if result != formula:
        parts.append(result)
    return "  " + " = ".join(parts) + note


def _literal(value: Array) -> ast.expr:
    entry = value.item()
    number = ast.Name(entry_text(abs(entry)))
    return ast.UnaryOp(ast.USub(), number) if entry < 0 else number


def _lines(value: Array) -> list[str]:
    """A matrix with one line for each row, in columns; a large one as its shape and norm."""
    rows, columns = value.shape
    if 1 in (rows, columns) or max(rows, columns) > _LARGEST_SIDE:
        return [number_text(value)]
    entries = [[entry_text(entry) for entry in row] for row in value.tolist()]
    width = max(len(entry) for row in entries for entry in row)
    lines = [", ".join(entry.rjust(width) for entry in row) for row in entries]
    return [
        ("[[" if index == 0 else " [") + line + ("]]" if index == rows - 1 else "],")
        for index, line in enumerate(lines)
    ]


def _aligned(rows: Sequence[Sequence[Sequence[str]]]) -> str:
    """Cells of one or several lines in left-aligned columns."""
    widths = [max(len(line) for row in rows for line in row[column]) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        for index in range(max(len(cell) for cell in row)):
            cells = [cell[index] if index < len(cell) else "" for cell in row]
            lines.append(
                "  " + "  ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True)).rstrip()
            )
    return "\n".join(lines)
