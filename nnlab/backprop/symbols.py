"""Formulas as Python syntax trees: put operands into a template, and simplify products by their numbers."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from fractions import Fraction

_LARGEST_DENOMINATOR = 1000  # beyond it, a decimal number reads better than a fraction


def substitute(template: str, operands: Mapping[str, ast.expr]) -> ast.expr:
    """`template` with its names replaced by expressions.

    >>> ast.unparse(substitute("g * b", {"g": ast.Name("e_bar"), "b": parse("b + 1")}))
    'e_bar * (b + 1)'
    """
    filled: ast.expr = _Substitution(operands).visit(parse(template))
    return filled


def parse(text: str) -> ast.expr:
    """The syntax tree of an expression that nnlab itself wrote."""
    return ast.parse(text, mode="eval").body


class _Substitution(ast.NodeTransformer):
    def __init__(self, operands: Mapping[str, ast.expr]) -> None:
        self.operands = operands

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.operands.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        # the function's own name is not an operand, even where an operand has the same name
        return ast.Call(node.func, [self.visit(argument) for argument in node.args], [])


def simplify(tree: ast.expr) -> ast.expr:
    """The same value with numbers multiplied out and factors of one left out.

    >>> ast.unparse(simplify(parse("L_bar * (1 / 2) * (2 * (y - t) ** (2 - 1)) * 1")))
    'L_bar * (y - t)'
    """
    if isinstance(tree, ast.Call):
        return ast.Call(tree.func, [simplify(argument) for argument in tree.args], [])
    if isinstance(tree, ast.Attribute):
        inner = simplify(tree.value)
        if isinstance(inner, ast.UnaryOp):
            return ast.UnaryOp(inner.op, simplify(ast.Attribute(inner.operand, tree.attr, ast.Load())))
        return inner.value if isinstance(inner, ast.Attribute) else ast.Attribute(inner, tree.attr, ast.Load())
    if isinstance(tree, ast.UnaryOp):
        return _product(tree)
    if not isinstance(tree, ast.BinOp):
        return tree
    if isinstance(tree.op, ast.Mult | ast.Div):
        return _product(tree)
    left, right = simplify(tree.left), simplify(tree.right)
    if isinstance(tree.op, ast.Pow) and _number(right) == 1:
        return left
    if isinstance(tree.op, ast.Add | ast.Sub):
        return _sum(left, tree.op, right)
    return ast.BinOp(left, tree.op, right)


def _sum(left: ast.expr, op: ast.operator, right: ast.expr) -> ast.expr:
    one, two = _number(left), _number(right)
    if one is not None and two is not None:
        return _literal(one + two if isinstance(op, ast.Add) else one - two)
    if isinstance(op, ast.Add) and _factors(right)[0] < 0:
        return ast.BinOp(left, ast.Sub(), _product(ast.UnaryOp(ast.USub(), right)))
    return ast.BinOp(left, op, right)


def _product(tree: ast.expr) -> ast.expr:
    """Rebuild a product as number * factor * factor ... / divisor; zero too keeps its factors, for their shape."""
    number, factors = _factors(tree)
    if not factors:
        return _literal(number)
    if number == -1:
        factors[0] = ast.UnaryOp(ast.USub(), factors[0])
    elif number != 1:
        factors.insert(0, _literal(number))
    product = factors[0]
    for factor in factors[1:]:
        product = _times(product, factor)
    return product


def _times(left: ast.expr, right: ast.expr) -> ast.expr:
    """left * right, as left / divisor where right is 1 / divisor, and without brackets around a product."""
    if isinstance(right, ast.BinOp) and isinstance(right.op, ast.Div) and _number(right.left) == 1:
        return ast.BinOp(left, ast.Div(), right.right)
    if isinstance(right, ast.BinOp) and isinstance(right.op, ast.Mult | ast.Div):
        return ast.BinOp(_times(left, right.left), right.op, right.right)
    return ast.BinOp(left, ast.Mult(), right)


def _factors(tree: ast.expr) -> tuple[Fraction, list[ast.expr]]:
    """The number in front of a product, and its other factors in their order."""
    number = _number(tree)
    if number is not None:
        return number, []
    if isinstance(tree, ast.UnaryOp):
        number, factors = _factors(tree.operand)
        return (-number if isinstance(tree.op, ast.USub) else number), factors
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Mult):
        (one, left), (two, right) = _factors(tree.left), _factors(tree.right)
        return one * two, left + right
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div):
        (one, above), (two, below) = _factors(tree.left), _factors(tree.right)
        if two != 0:
            divisor = [ast.BinOp(ast.Constant(1), ast.Div(), _product(_join(below)))] if below else []
            return one / two, [*above, *divisor]
    leaf = tree if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div) else simplify(tree)
    number = _number(leaf)
    return (Fraction(1), [leaf]) if number is None else (number, [])


def _join(factors: list[ast.expr]) -> ast.expr:
    product = factors[0]
    for factor in factors[1:]:
        product = ast.BinOp(product, ast.Mult(), factor)
    return product


def _number(tree: ast.expr) -> Fraction | None:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float):
        return Fraction(tree.value)
    if isinstance(tree, ast.UnaryOp):
        inner = _number(tree.operand)
        return -inner if inner is not None and isinstance(tree.op, ast.USub) else inner
    return None


def _literal(number: Fraction) -> ast.expr:
    if number < 0:
        return ast.UnaryOp(ast.USub(), _literal(-number))
    if number.denominator == 1:
        return ast.Constant(int(number))
    if number.denominator <= _LARGEST_DENOMINATOR and float(number) != round(float(number), 3):
        return ast.BinOp(ast.Constant(number.numerator), ast.Div(), ast.Constant(number.denominator))
    return ast.Constant(float(number))
