"""The operations of a computation graph, each beside its derivative.

Everything is an m x n matrix of float64, as on paper: a scalar is 1 x 1, a vector n x 1, a row 1 x n. The pullback of
an operation out = f(a, b) turns the error signal g = dL/d(out) into the terms g * d(out)/da and g * d(out)/db that
its parents sum up; `terms` says the same in symbols. Source: the lecture's section on backpropagation; the pairing of
operation and derivative follows micrograd (Karpathy, 2020).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Shape = tuple[int, ...]
Domain = Callable[..., npt.NDArray[np.bool_]]


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation: how it is written, its value, its derivative in numbers and in symbols.

    Attributes:
        name: its name, in errors and checks.
        notation: how it is written, in `a` and `b`, as in "a + b".
        forward: arrays of the operands -> array.
        pullback: (g, out, operands ...) -> one array per operand, in the operand's shape.
        terms: the pullback in the grammar of `parsing`, one per operand, in `g`, `out`, `a`, `b`; `ones_a` is a matrix
            of ones in the shape of a, `size_a` the number of its entries.
        misfit: shapes of the operands -> "" if they fit, else why not.
        domain: operands -> where the operation is defined, or None if everywhere.
        requirement: what `domain` asks for, in words.
        elementwise: the pullback is summed over the entries that an operand was broadcast to.
    """

    name: str
    notation: str
    forward: Callable[..., Array]
    pullback: Callable[..., tuple[Array, ...]]
    terms: tuple[str, ...]
    misfit: Callable[..., str]
    domain: Domain | None = None
    requirement: str = ""
    elementwise: bool = False

    @property
    def arity(self) -> int:
        """How many operands it takes."""
        return len(self.terms)


def describe(shape: Shape) -> str:
    """A shape in words.

    >>> [describe(shape) for shape in [(1, 1), (3, 1), (1, 3), (2, 3)]]
    ['a scalar', 'a vector of 3', 'a row of 3', 'a 2 x 3 matrix']
    """
    rows, columns = shape
    if rows == columns == 1:
        return "a scalar"
    if columns == 1:
        return f"a vector of {rows}"
    return f"a row of {columns}" if rows == 1 else f"a {rows} x {columns} matrix"


def unbroadcast(term: Array, shape: Shape) -> Array:
    """Sum `term` over the entries that an operand of `shape` was broadcast to: the fan-out of broadcasting."""
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1 and term.shape[axis] > 1)
    return np.sum(term, axis=axes, keepdims=True) if axes else term


def _any_shape(*shapes: Shape) -> str:
    return ""


def _same_shape_or_scalar(a: Shape, b: Shape) -> str:
    return "" if a == b or (1, 1) in (a, b) else "the shapes must be equal, or one a scalar"


def _same_shape_scalar_or_bias(a: Shape, b: Shape) -> str:
    if not _same_shape_or_scalar(a, b) or (a[0] == b[0] and 1 in (a[1], b[1])):
        return ""
    return "the shapes must be equal, or one a scalar or a vector with an entry for each row"


def _inner_sizes_agree(a: Shape, b: Shape) -> str:
    if a[1] == b[0]:
        return ""
    if a[1] == b[1] == 1 and a[0] == b[0]:
        return "two vectors have an inner product `a.T @ b` and an outer product `a @ b.T`"
    return f"the {a[1]} column{'s' * (a[1] > 1)} on the left must match the {b[0]} row{'s' * (b[0] > 1)} on the right"


def _vector(a: Shape) -> str:
    return "" if a[1] == 1 else "it takes a vector"


def _unary(
    name: str,
    forward: Callable[[Array], Array],
    derivative: Callable[[Array, Array], Array],
    formula: str,
    domain: Domain | None = None,
    requirement: str = "",
    notation: str = "",
) -> Operation:
    """An elementwise function: `derivative` maps (out, a) to d(out)/da, which `formula` says in symbols."""

    def pullback(g: Array, out: Array, a: Array) -> tuple[Array, ...]:
        return (g * derivative(out, a),)

    terms, notation = (f"g * ({formula})",), notation or f"{name}(a)"
    return Operation(name, notation, forward, pullback, terms, _any_shape, domain, requirement, elementwise=True)


def _binary(
    name: str,
    notation: str,
    forward: Callable[[Array, Array], Array],
    derivatives: Callable[[Array, Array, Array], tuple[Array | float, Array | float]],
    formulas: tuple[str, str],
    misfit: Callable[..., str] = _same_shape_or_scalar,
    domain: Domain | None = None,
    requirement: str = "",
) -> Operation:
    """An elementwise function of two operands: `derivatives` maps (out, a, b) to d(out)/da and d(out)/db."""

    def pullback(g: Array, out: Array, a: Array, b: Array) -> tuple[Array, ...]:
        by_a, by_b = derivatives(out, a, b)
        return unbroadcast(g * by_a, a.shape), unbroadcast(g * by_b, b.shape)

    terms = tuple(f"g * ({formula})" for formula in formulas)
    return Operation(name, notation, forward, pullback, terms, misfit, domain, requirement, elementwise=True)


def _sigmoid(a: Array) -> Array:
    # exp of a negative number only, so that no large |a| overflows
    small = np.exp(-np.abs(a))
    return np.asarray(np.where(a >= 0, 1 / (1 + small), small / (1 + small)))


def _softmax(a: Array) -> Array:
    powers = np.exp(a - np.max(a))
    return np.asarray(powers / np.sum(powers))


def _scalar(value: np.floating) -> Array:
    return np.full((1, 1), value)


def _power_defined(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(((a >= 0) | (b == np.round(b))) & ((a != 0) | (b >= 0)))


def _power_by_base(a: Array, b: Array) -> Array:
    # an exponent of zero makes a constant, whose derivative is zero even where a ** -1 is infinite
    return np.asarray(np.where(b == 0, 0.0, b * np.where(b == 0, 1.0, a) ** (b - 1)))


IDENTITY = _unary("identity", lambda a: a, lambda out, a: np.ones_like(a), "1", notation="a")
NEGATIVE = _unary("negative", lambda a: -a, lambda out, a: -np.ones_like(a), "-1", notation="-a")
ADD = _binary("add", "a + b", lambda a, b: a + b, lambda out, a, b: (1.0, 1.0), ("1", "1"), _same_shape_scalar_or_bias)
SUBTRACT = _binary(
    "subtract", "a - b", lambda a, b: a - b, lambda out, a, b: (1.0, -1.0), ("1", "-1"), _same_shape_scalar_or_bias
)
MULTIPLY = _binary("multiply", "a * b", lambda a, b: a * b, lambda out, a, b: (b, a), ("b", "a"))
DIVIDE = _binary(
    "divide",
    "a / b",
    lambda a, b: a / b,
    lambda out, a, b: (1 / b, -out / b),
    ("1 / b", "-out / b"),
    domain=lambda a, b: b != 0,
    requirement="a denominator other than zero",
)
POWER = _binary(
    "power",
    "a ** b",
    lambda a, b: a**b,
    lambda out, a, b: (_power_by_base(a, b), 0.0),
    ("b * a ** (b - 1)", "0"),  # its exponent is a constant: POWER_OF_NODES has a node there
    domain=_power_defined,
    requirement="a base that is not negative under a fractional exponent, nor zero under a negative one",
)
POWER_OF_NODES = _binary(
    "power of nodes",
    "a ** b",
    lambda a, b: a**b,
    lambda out, a, b: (b * a ** (b - 1), out * np.log(a)),
    ("b * a ** (b - 1)", "out * log(a)"),
    domain=lambda a, b: a > 0,
    requirement="a positive base, for the derivative by the exponent (or a number as the exponent)",
)
MATMUL = Operation(
    "matmul",
    "a @ b",
    lambda a, b: a @ b,
    lambda g, out, a, b: (g @ b.T, a.T @ g),
    ("g @ b.T", "a.T @ g"),
    _inner_sizes_agree,
)
TRANSPOSE = Operation("transpose", "a.T", lambda a: a.T, lambda g, out, a: (g.T,), ("g.T",), _any_shape)

_FUNCTIONS = [
    _unary("exp", np.exp, lambda out, a: out, "out"),
    _unary("log", np.log, lambda out, a: 1 / a, "1 / a", lambda a: a > 0, "positive numbers"),
    _unary("sin", np.sin, lambda out, a: np.cos(a), "cos(a)"),
    _unary("cos", np.cos, lambda out, a: -np.sin(a), "-sin(a)"),
    _unary("tan", np.tan, lambda out, a: 1 + out**2, "1 + out ** 2"),
    _unary("tanh", np.tanh, lambda out, a: 1 - out**2, "1 - out ** 2"),
    _unary("sigmoid", _sigmoid, lambda out, a: out * (1 - out), "out * (1 - out)"),
    _unary("relu", lambda a: np.maximum(a, 0.0), lambda out, a: np.heaviside(a, 0.0), "step(a)"),
    _unary(
        "sqrt",
        np.sqrt,
        lambda out, a: 1 / (2 * out),
        "1 / (2 * out)",
        lambda a: a >= 0,
        "numbers that are not negative",
    ),
    _unary("abs", np.abs, lambda out, a: np.sign(a), "sign(a)"),
    _unary("sign", np.sign, lambda out, a: np.zeros_like(a), "0"),
    _unary("step", lambda a: np.heaviside(a, 0.0), lambda out, a: np.zeros_like(a), "0"),
    _binary(
        "max",
        "max(a, b)",
        np.maximum,
        lambda out, a, b: (np.heaviside(a - b, 0.5), np.heaviside(b - a, 0.5)),
        ("greater(a, b)", "greater(b, a)"),
    ),
    _binary(
        "greater", "greater(a, b)", lambda a, b: np.heaviside(a - b, 0.5), lambda out, a, b: (0.0, 0.0), ("0", "0")
    ),
    Operation(
        "sum",
        "sum(a)",
        lambda a: _scalar(np.sum(a)),
        lambda g, out, a: (g * np.ones_like(a),),
        ("g * ones_a",),
        _any_shape,
    ),
    Operation(
        "mean",
        "mean(a)",
        lambda a: _scalar(np.mean(a)),
        lambda g, out, a: (g / a.size * np.ones_like(a),),
        ("g * ones_a / size_a",),
        _any_shape,
    ),
    Operation(
        "norm2",
        "norm2(a)",
        lambda a: _scalar(np.sum(a * a)),
        lambda g, out, a: (2 * g * a,),
        ("g * (2 * a)",),
        _any_shape,
    ),
    Operation(
        "softmax",
        "softmax(a)",
        _softmax,
        lambda g, out, a: (out * (g - out.T @ g),),
        ("out * (g - out.T @ g)",),
        _vector,
    ),
]
FUNCTIONS = {operation.name: operation for operation in _FUNCTIONS} | {"transpose": TRANSPOSE}
