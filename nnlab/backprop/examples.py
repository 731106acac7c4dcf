"""The lecture's computation graphs by name, with the error signals that it derives for them by hand."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Example:
    """A graph of the lecture.

    Attributes:
        description: one line.
        program: the assignments, in the grammar of `parsing`.
        values: the inputs, each overridable.
        by_hand: the lecture's formula of each error signal, in values and error signals (`z_bar`).
    """

    description: str
    program: tuple[str, ...]
    values: Mapping[str, str]
    by_hand: Mapping[str, str]


def _mlp_scalar() -> Example:
    """The net of `mlp_vector`, with two inputs, two hidden units and two outputs, one weight at a time."""
    pair = (1, 2)
    program = [f"z{i} = w1_{i}1 * x1 + w1_{i}2 * x2 + b1_{i}" for i in pair]
    program += [f"h{i} = sigmoid(z{i})" for i in pair]
    program += [f"y{k} = w2_{k}1 * h1 + w2_{k}2 * h2 + b2_{k}" for k in pair]
    program += ["L = 1/2 * ((y1 - t1)**2 + (y2 - t2)**2)"]
    names = ["x1", "x2", "w1_11", "w1_12", "w1_21", "w1_22", "b1_1", "b1_2"]
    names += ["w2_11", "w2_12", "w2_21", "w2_22", "b2_1", "b2_2", "t1", "t2"]
    values = ["1", "2", "0.5", "-0.3", "0.2", "0.4", "0.3", "-0.1", "1", "-1", "0.5", "0.7", "0", "0.2", "1", "0"]
    by_hand = {f"y{k}": f"y{k} - t{k}" for k in pair}
    by_hand |= {f"w2_{k}{i}": f"y{k}_bar * h{i}" for k, i in itertools.product(pair, pair)}
    by_hand |= {f"b2_{k}": f"y{k}_bar" for k in pair}
    by_hand |= {f"h{i}": f"y1_bar * w2_1{i} + y2_bar * w2_2{i}" for i in pair}
    by_hand |= {f"z{i}": f"h{i}_bar * sigmoid(z{i}) * (1 - sigmoid(z{i}))" for i in pair}
    by_hand |= {f"w1_{i}{j}": f"z{i}_bar * x{j}" for i, j in itertools.product(pair, pair)}
    by_hand |= {f"b1_{i}": f"z{i}_bar" for i in pair}
    description = "MLP with one hidden layer, one weight at a time: h_bar sums over the outputs"
    return Example(description, tuple(program), dict(zip(names, values, strict=True)), by_hand)


_LOGISTIC = {
    "y": "y - t",
    "z": "y_bar * sigmoid(z) * (1 - sigmoid(z))",
    "w": "z_bar * x",
    "b": "z_bar",
}

EXAMPLES: dict[str, Example] = {
    "worked_example": Example(
        "e = (a + b)(b + 1), the lecture's first graph: b has two children",
        ("c = a + b", "d = b + 1", "e = c * d"),
        {"a": "2", "b": "1"},
        {"c": "e_bar * d", "d": "e_bar * c", "a": "c_bar", "b": "c_bar + d_bar"},
    ),
    "chain_rule": Example(
        "the multivariate chain rule: f = y + exp(x y) with x = cos t and y = t^2",
        ("x = cos(t)", "y = t**2", "f = y + exp(x * y)"),
        {"t": "1"},
        {
            "x": "y * exp(x * y)",
            "y": "1 + x * exp(x * y)",
            "t": "y * exp(x * y) * (-sin(t)) + (1 + x * exp(x * y)) * 2 * t",
        },
    ),
    "logistic_least_squares": Example(
        "one neuron: z = w x + b, y = sigma(z), squared error",
        ("z = w * x + b", "y = sigmoid(z)", "L = 1/2 * (y - t)**2"),
        {"x": "2", "w": "0.5", "b": "-0.5", "t": "1"},
        _LOGISTIC,
    ),
    "logistic_least_squares_regularized": Example(
        "the same with a penalty R = w^2 / 2, L_reg = L + lambda R: w has two children",
        ("z = w * x + b", "y = sigmoid(z)", "L = 1/2 * (y - t)**2", "R = 1/2 * w**2", "L_reg = L + lam * R"),
        {"x": "2", "w": "0.5", "b": "-0.5", "t": "1", "lam": "0.1"},
        _LOGISTIC | {"L": "L_reg_bar", "R": "L_reg_bar * lam", "w": "z_bar * x + lam * w"},
    ),
    "softmax_classification": Example(
        "z = W x + b, y = softmax(z), cross-entropy with t one-hot: z_bar = y - t",
        ("z = W @ x + b", "y = softmax(z)", "L = -t.T @ log(y)"),
        {"x": "[1, 2]", "W": "[[1, -1], [0.5, 0.5], [-1, 1]]", "b": "[0, 0, 0]", "t": "onehot(2, 3)"},
        {"y": "-t / y", "z": "y - t", "W": "z_bar @ x.T", "b": "z_bar", "x": "W.T @ z_bar"},
    ),
    "mlp_scalar": _mlp_scalar(),
    "mlp_vector": Example(
        "MLP with one hidden layer in vectors and matrices",
        ("z = W1 @ x + b1", "h = sigmoid(z)", "y = W2 @ h + b2", "L = 1/2 * norm2(y - t)"),
        {
            "x": "[1, 2]",
            "W1": "[[0.5, -0.3], [0.2, 0.4]]",
            "b1": "[0.3, -0.1]",
            "W2": "[[1, -1], [0.5, 0.7]]",
            "b2": "[0, 0.2]",
            "t": "[1, 0]",
        },
        {
            "y": "y - t",
            "W2": "y_bar @ h.T",
            "b2": "y_bar",
            "h": "W2.T @ y_bar",
            "z": "h_bar * sigmoid(z) * (1 - sigmoid(z))",
            "W1": "z_bar @ x.T",
            "b1": "z_bar",
        },
    ),
    "squared_matrix_vector": Example(
        "f = ||W x||^2: derivatives by a matrix and by a vector",
        ("y = W @ x", "f = norm2(y)"),
        {"W": "[[1, 2], [3, 4]]", "x": "[1, 2]"},
        {"y": "2 * y", "W": "2 * (W @ x) @ x.T", "x": "2 * W.T @ W @ x"},
    ),
}
