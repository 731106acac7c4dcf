"""Read a computation graph from text: assignments in a small part of Python's grammar, which is never executed.

    program     = assignment (";" assignment)*
    assignment  = name "=" expression
    expression  = number, list, name, + - * / ** @, .T, .transpose(), brackets, and the functions of `operations`

An assignment without names, as `a = 2` or `t = onehot(1, 3)`, is an input; the last of the others is the output.
"""

from __future__ import annotations

import ast
import itertools
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nnlab.backprop import operations
from nnlab.backprop.graph import Graph, Node, as_matrix
from nnlab.backprop.operations import FUNCTIONS, Array, Operation
from nnlab.errors import UserError, did_you_mean

Statement = tuple[str, ast.expr]

_BINARY: dict[type[ast.operator], Operation] = {
    ast.Add: operations.ADD,
    ast.Sub: operations.SUBTRACT,
    ast.Mult: operations.MULTIPLY,
    ast.Div: operations.DIVIDE,
    ast.Pow: operations.POWER_OF_NODES,
    ast.MatMult: operations.MATMUL,
}
_CONSTANTS = {"pi": math.pi}
_TOO_DEEP = "the expression is nested too deeply; name its parts: `c = ...; e = c * d`"
_MAKERS = ("onehot", "ones", "zeros")


def read(*texts: str) -> Graph:
    """The graph of the assignments in `texts`, with the values of the forward pass.

    >>> graph = read("e = (a + b) * (b + 1)", "a = 2", "b = 1")
    >>> graph.backward()
    >>> [float(graph[name].error_signal.item()) for name in ("a", "b")]
    [2.0, 5.0]

    Raises:
        UserError: text that is not such a program, names without a value, shapes that do not fit, domain errors.
    """
    statements = list(itertools.chain.from_iterable(parse_statements(text) for text in texts))
    if not statements:
        raise UserError('nothing to compute; try "e=(a+b)*(b+1)" a=2 b=1')
    for position, (name, _) in enumerate(statements):
        if name in (other for other, _ in statements[:position]):
            raise UserError(f"`{name}` is assigned twice; every node of a graph has its own name")
    _check_functions(tree for _, tree in statements)
    definitions = [statement for statement in statements if names_in(statement[1])]
    if not definitions:
        raise UserError("all names have values, but no expression uses them; add one such as `e=(a+b)*(b+1)`")
    givens = [statement for statement in statements if not names_in(statement[1])]
    _check_names(givens, definitions)
    try:
        return _Reader(givens, definitions).graph
    except RecursionError as error:
        raise UserError(_TOO_DEEP) from error


def evaluate(text: str, values: Mapping[str, Array]) -> Array:
    """The value of one expression, as of a formula for an error signal, at these values.

    Raises:
        UserError: as `read`.
    """
    reader = _Reader([], [])
    for name, value in values.items():
        reader.graph.add_input(name, value)
    return reader.visit(parse_statements(text)[0][1]).value


def parse_statements(text: str) -> list[Statement]:
    """The assignments in `text`, as names and syntax trees; an expression alone is the output `f`.

    Raises:
        UserError: a syntax error, with its column, or a statement other than an assignment to a name.
    """
    text = text.strip()
    try:
        with warnings.catch_warnings():  # of Python about code that is never run
            warnings.simplefilter("ignore")
            body = ast.parse(text).body
    except SyntaxError as error:
        raise UserError(_syntax_message(text, error)) from error
    except (RecursionError, MemoryError) as error:
        raise UserError(_TOO_DEEP) from error
    except ValueError as error:
        raise UserError(f"cannot read {text[:40]!r}: {error}") from error
    statements: list[Statement] = []
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                statements.append((name, value))
            case ast.Expr(value=value):
                statements.append(("f", value))
            case _:
                raise UserError(f"cannot read `{ast.unparse(statement)}`; write assignments such as `c = a + b`")
    return statements


def names_in(tree: ast.expr) -> list[str]:
    """The variables of an expression, in order of appearance, without function names and `pi`."""
    functions = {id(part.func) for part in ast.walk(tree) if isinstance(part, ast.Call)}
    names = [part for part in ast.walk(tree) if isinstance(part, ast.Name) and id(part) not in functions]
    names.sort(key=lambda part: (part.lineno, part.col_offset))
    return list(dict.fromkeys(part.id for part in names if part.id not in _CONSTANTS))


def _syntax_message(text: str, error: SyntaxError) -> str:
    lines = text.splitlines()
    row, column = max((error.lineno or 1) - 1, 0), max((error.offset or 1) - 1, 0)
    line = lines[min(row, len(lines) - 1)]
    hint = "; `lambda` is a word of Python's own, write `lam`" if "lambda" in text else ""
    return f"cannot read `{text}`: {error.msg} (column {column + 1}){hint}\n    {line}\n    {' ' * column}^"


def _check_functions(trees: Iterable[ast.expr]) -> None:
    """Before the values: an unknown function is the first thing to mend."""
    for tree in trees:
        for part in ast.walk(tree):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id not in _MAKERS:
                _function(part.func.id)


def _check_names(givens: Sequence[Statement], definitions: Sequence[Statement]) -> None:
    given, defined = [name for name, _ in givens], [name for name, _ in definitions]
    used = list(dict.fromkeys(name for _, tree in definitions for name in names_in(tree)))
    unused = [name for name in given if name not in used]
    missing = [name for name in used if name not in given and name not in defined]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        example = " ".join(f"{name}=1" for name in missing)
        hint = did_you_mean(missing[0], unused + defined[:-1])
        near = f" ({hint})" if hint.startswith("did you mean") else ""
        raise UserError(f"no value for {names}{near}; add {example} (or a vector [1, 2], or a matrix [[1, 2], [3, 4]])")
    if unused:
        raise UserError(f"`{unused[0]}` has a value, but no expression uses it; {did_you_mean(unused[0], used)}")
    known = set(given)
    for name, tree in definitions:
        for late in names_in(tree):
            if late not in known:
                raise UserError(f"`{name} = {ast.unparse(tree)}` uses `{late}` before it is computed")
        known.add(name)


class _Reader:
    """Walks the syntax trees and appends a node for each operation."""

    def __init__(self, givens: Sequence[Statement], definitions: Sequence[Statement]) -> None:
        self.graph = Graph()
        taken = {name for name, _ in (*givens, *definitions)}
        self.fresh_names = (name for number in itertools.count(1) if (name := f"v{number}") not in taken)
        for name, tree in givens:
            self.graph.add_input(name, self.visit(tree).value)
        for name, tree in definitions:
            self.visit(tree, name)

    def visit(self, tree: ast.expr, name: str | None = None) -> Node:
        """The node of an expression; with a name, the node of an assignment."""
        match tree:
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(tree, op, self.visit(left), self.visit(right), name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._apply(operations.NEGATIVE, [self.visit(operand)], name)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.visit(operand, name)
            case ast.Attribute(value=value, attr="T"):
                return self._apply(operations.TRANSPOSE, [self.visit(value)], name)
            case ast.Call(func=ast.Attribute(value=value, attr=method), args=[], keywords=[]):
                return self._apply(_function(method, 1), [self.visit(value)], name)
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
                if function in _MAKERS:
                    return _constant(_made(tree), tree)
                operands = [self.visit(argument) for argument in arguments]
                return self._apply(_function(function, len(operands)), operands, name)
            case ast.Name(id=variable) if name is not None:
                return self._apply(operations.IDENTITY, [self.graph[variable]], name)
            case ast.Name(id=variable):
                known = variable in self.graph or variable not in _CONSTANTS
                return self.graph[variable] if known else _constant(as_matrix(_CONSTANTS[variable]), tree)
            case _:
                return _constant(_literal_value(tree), tree)

    def _binary(self, tree: ast.BinOp, op: ast.operator, left: Node, right: Node, name: str | None) -> Node:
        if isinstance(op, ast.BitXor):
            raise UserError(f"`{ast.unparse(tree)}`: powers are written with **")
        if type(op) not in _BINARY:
            raise UserError(f"`{ast.unparse(tree)}`: the operators are + - * / ** @")
        operation = operations.POWER if isinstance(op, ast.Pow) and right.is_constant else _BINARY[type(op)]
        return self._apply(operation, [left, right], name)

    def _apply(self, operation: Operation, parents: Sequence[Node], name: str | None) -> Node:
        if all(parent.is_constant for parent in parents):
            scratch = Graph().apply(operation, parents, "")
            return _constant(scratch.value, scratch.expression)
        return self.graph.apply(operation, parents, name or next(self.fresh_names), named=name is not None)


def _constant(value: Array, tree: ast.expr) -> Node:
    return Node(ast.unparse(tree), value, tree, is_constant=True)


def _function(name: str, arguments: int | None = None) -> Operation:
    if name not in FUNCTIONS:
        raise UserError(f"there is no function `{name}`; {did_you_mean(name, [*FUNCTIONS, *_MAKERS])}")
    operation = FUNCTIONS[name]
    if arguments is not None and operation.arity != arguments:
        raise UserError(f"`{name}` takes {operation.arity} argument{'s' * (operation.arity > 1)}, got {arguments}")
    return operation


def _literal_value(tree: ast.expr) -> Array:
    """The value of a number, a list of numbers, or a list of rows.

    Raises:
        UserError: anything else, rows of different lengths, an empty list.
    """
    # a bool is an int to Python, but no number on paper
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float) and not isinstance(tree.value, bool):
        value = as_matrix(float(tree.value) if abs(tree.value) < 1e300 else math.inf)
        if not np.isfinite(value).all():
            raise UserError(f"`{ast.unparse(tree)}` is too large for a float64 number")
        return value
    if not isinstance(tree, ast.List):
        raise UserError(f"cannot read `{ast.unparse(tree)}`; use numbers, lists, names, + - * / ** @ .T and functions")
    if not tree.elts:
        raise UserError("an empty list is no vector; write [1, 2] or [[1, 2], [3, 4]]")
    is_matrix = isinstance(tree.elts[0], ast.List)
    if any(isinstance(element, ast.List) != is_matrix for element in tree.elts):
        raise UserError(f"`{ast.unparse(tree)}` mixes numbers and rows; write [1, 2] or [[1, 2], [3, 4]]")
    rows = [element.elts if isinstance(element, ast.List) else [element] for element in tree.elts]
    if len({len(row) for row in rows}) > 1:
        lengths = ", ".join(str(len(row)) for row in rows)
        raise UserError(f"`{ast.unparse(tree)}` has rows of different lengths: {lengths}")
    if not rows[0]:
        raise UserError("an empty row; write [1, 2] or [[1, 2], [3, 4]]")
    return as_matrix([[_entry(element) for element in row] for row in rows])


def _entry(tree: ast.expr) -> float:
    """A number in a list, also one such as -1 or 1/3."""
    if not names_in(tree) and not isinstance(tree, ast.List):
        value = _Reader([], []).visit(tree).value
        if value.size == 1:
            return float(value.item())
    raise UserError(f"a list holds numbers, not `{ast.unparse(tree)}`")


def _made(tree: ast.Call) -> Array:
    """The value of onehot(k, n), ones(m[, n]) or zeros(m[, n])."""
    maker, text = ast.unparse(tree.func), ast.unparse(tree)
    sizes = [argument.value for argument in tree.args if isinstance(argument, ast.Constant)]
    if len(sizes) != len(tree.args) or any(type(size) is not int or not 0 <= size <= 10_000 for size in sizes):
        raise UserError(f"`{text}`: `{maker}` takes whole numbers from 0 to 10000")
    numbers = [int(str(size)) for size in sizes]
    if maker == "onehot":
        if len(numbers) != 2 or numbers[0] >= numbers[1]:
            raise UserError(f"`{text}`: write onehot(k, n) for class k of n, counted from 0 to n - 1")
        return np.eye(numbers[1])[:, numbers[0] : numbers[0] + 1]
    if len(numbers) not in (1, 2) or 0 in numbers:
        raise UserError(f"`{text}`: write {maker}(n) for a vector or {maker}(m, n) for a matrix")
    shape = (numbers[0], numbers[1] if len(numbers) == 2 else 1)
    return np.ones(shape) if maker == "ones" else np.zeros(shape)
