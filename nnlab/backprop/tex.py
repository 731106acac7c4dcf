"""Formulas in the notation of the lecture, for matplotlib's mathtext: `z_bar @ x.T` as \\bar{z} x^T."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

_GREEK = {"alpha", "beta", "gamma", "delta", "eps", "eta", "theta", "lam", "mu", "nu", "phi", "psi", "rho", "sigma"}
_GREEK |= {"tau", "omega"}
_SPELLED = {"lam": "lambda", "eps": "epsilon"}
_SUM, _PRODUCT, _POWER, _ATOM = 1, 2, 3, 4


def name_to_tex(name: str) -> str:
    """A name with its subscripts.

    >>> [name_to_tex(name) for name in ("z_bar", "W1", "w2_12", "lam", "L_reg")]
    ['\\\\bar{z}', 'W_{1}', 'w_{12}^{(2)}', '\\\\lambda', 'L_{\\\\mathrm{reg}}']
    """
    bare = name.removesuffix("_bar")
    match = re.fullmatch(r"([A-Za-z]+)(\d*)(?:_(\w+))?", bare)
    if match is None:
        return rf"\mathrm{{{bare}}}"
    letters, number, index = match.groups()
    if letters in _GREEK:
        base = "\\" + _SPELLED.get(letters, letters)
    else:
        base = letters if len(letters) == 1 else rf"\mathrm{{{letters}}}"
    if name != bare:
        base = rf"\bar{{{base}}}" if len(letters) == 1 or letters in _GREEK else rf"\overline{{{base}}}"
    if index is not None:
        index = index if index.isdigit() else rf"\mathrm{{{index}}}".replace("_", r"\_")
        return f"{base}_{{{index}}}" + (f"^{{({number})}}" if number else "")
    return f"{base}_{{{number}}}" if number else base


def number_to_tex(number: str) -> str:
    """A number as Python writes it.

    >>> number_to_tex("0.5"), number_to_tex("1e-09")
    ('0.5', '1 \\\\cdot 10^{-9}')
    """
    mantissa, _, exponent = number.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def to_tex(formula: str, scalars: Collection[str] = ()) -> str:
    """A formula of `formulas` in mathtext; between names that are not `scalars`, `*` is an elementwise product.

    >>> to_tex("h_bar * h * (1 - h)", {"h", "h_bar"})
    '\\\\bar{h}\\\\,h\\\\,(1 - h)'
    """
    return _tex(ast.parse(formula, mode="eval").body, scalars)[0]


def _tex(tree: ast.expr, scalars: Collection[str]) -> tuple[str, int]:
    """The formula, and how tightly it binds."""
    match tree:
        case ast.Constant(value=value):
            return number_to_tex(str(value)), _ATOM
        case ast.Name(id=name):
            return name_to_tex(name), _ATOM
        case ast.UnaryOp(operand=operand):
            return f"-{_bracketed(operand, scalars, _PRODUCT)}", _SUM
        case ast.Attribute(value=value):
            return f"{_bracketed(value, scalars, _ATOM)}^{{T}}", _POWER
        case ast.Call(func=ast.Attribute(value=value)):
            return f"{_bracketed(value, scalars, _ATOM)}^{{T}}", _POWER
        case ast.Call(func=ast.Name(id=function), args=arguments):
            return _call(function, arguments, scalars)
        case ast.BinOp():
            return _binary(tree, scalars)
    return rf"\mathrm{{{ast.unparse(tree)}}}", _ATOM


def _bracketed(tree: ast.expr, scalars: Collection[str], least: int) -> str:
    text, binds = _tex(tree, scalars)
    return text if binds >= least else f"({text})"


def _binary(tree: ast.BinOp, scalars: Collection[str]) -> tuple[str, int]:
    if isinstance(tree.op, ast.Div):
        return rf"\frac{{{_tex(tree.left, scalars)[0]}}}{{{_tex(tree.right, scalars)[0]}}}", _PRODUCT
    if isinstance(tree.op, ast.Pow):
        return f"{_bracketed(tree.left, scalars, _ATOM)}^{{{_tex(tree.right, scalars)[0]}}}", _POWER
    if isinstance(tree.op, ast.Add | ast.Sub):
        sign = "+" if isinstance(tree.op, ast.Add) else "-"
        right = _bracketed(tree.right, scalars, _SUM if sign == "+" else _PRODUCT)
        return f"{_tex(tree.left, scalars)[0]} {sign} {right}", _SUM
    elementwise = isinstance(tree.op, ast.Mult) and not any(
        _is_scalar(side, scalars) for side in (tree.left, tree.right)
    )
    sign = r" \odot " if elementwise else r" \cdot " if isinstance(tree.right, ast.Constant) else r"\,"
    left = tree.left
    if isinstance(left, ast.UnaryOp):  # a minus in front needs no brackets
        return f"{_tex(left, scalars)[0]}{sign}{_bracketed(tree.right, scalars, _PRODUCT)}", _SUM
    return f"{_bracketed(left, scalars, _PRODUCT)}{sign}{_bracketed(tree.right, scalars, _PRODUCT)}", _PRODUCT


def _is_scalar(tree: ast.expr, scalars: Collection[str]) -> bool:
    match tree:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name in scalars or name == "pi"
        case ast.Call(func=ast.Name(id=function), args=arguments):
            reduces = function in ("sum", "mean", "norm2")
            return reduces or (function != "ones" and all(_is_scalar(argument, scalars) for argument in arguments))
        case ast.UnaryOp(operand=operand):
            return _is_scalar(operand, scalars)
        case ast.BinOp(left=left, right=right):
            return _is_scalar(left, scalars) and _is_scalar(right, scalars)
    return False


def _call(function: str, arguments: list[ast.expr], scalars: Collection[str]) -> tuple[str, int]:
    inside = [_tex(argument, scalars)[0] for argument in arguments]
    match function:
        case "norm2":
            return rf"\Vert {inside[0]} \Vert^{{2}}", _PRODUCT
        case "abs":
            return rf"\vert {inside[0]} \vert", _PRODUCT
        case "sqrt":
            return rf"\sqrt{{{inside[0]}}}", _ATOM
        case "ones":
            return r"\mathbf{1}", _ATOM
        case "sum":
            return rf"\Sigma\,({inside[0]})", _PRODUCT
        case "sigmoid":
            return rf"\sigma({inside[0]})", _ATOM
        case "exp" | "log" | "sin" | "cos" | "tan" | "tanh" | "max":
            return rf"\{function}({', '.join(inside)})", _ATOM
    return rf"\mathrm{{{function}}}({', '.join(inside)})", _ATOM
