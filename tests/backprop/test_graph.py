"""Error signals equal the closed forms of the lecture, finite differences and torch's autograd."""

from __future__ import annotations

import doctest
import importlib
import math
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import nnlab.backprop
from nnlab.backprop import EXAMPLES, Graph, read
from nnlab.backprop.checks import autograd, check_by_hand, check_graph, distance
from nnlab.backprop.formulas import edges, error_formula, visible_nodes
from nnlab.backprop.parsing import evaluate
from nnlab.errors import UserError


def run(*texts: str) -> Graph:
    graph = read(*texts)
    graph.backward()
    return graph


def example(name: str, **values: str) -> Graph:
    chosen = EXAMPLES[name]
    return run(*chosen.program, *(f"{key} = {value}" for key, value in (dict(chosen.values) | values).items()))


def test_the_worked_example_has_the_numbers_of_the_lecture():
    graph = example("worked_example")
    assert [graph[name].value.item() for name in "abcde"] == [2, 1, 3, 2, 6]
    assert [graph[name].error_signal.item() for name in "abcde"] == [2, 5, 2, 3, 1]


def test_the_one_line_program_names_what_it_computes_on_its_way():
    graph = run("e=(a+b)*(b+1)", "a=2", "b=1")
    assert [node.name for node in graph.nodes] == ["a", "b", "v1", "v2", "e"]
    assert [node.error_signal.item() for node in graph.nodes] == [2, 5, 2, 3, 1]


def test_logistic_least_squares_has_its_closed_form():
    graph = example("logistic_least_squares_regularized")
    y = 1 / (1 + math.exp(-0.5))
    z_bar = (y - 1) * y * (1 - y)
    assert graph["z"].error_signal.item() == pytest.approx(z_bar, rel=1e-14)
    assert graph["w"].error_signal.item() == pytest.approx(z_bar * 2 + 0.1 * 0.5, rel=1e-14)
    assert graph["b"].error_signal.item() == pytest.approx(z_bar, rel=1e-14)


def test_softmax_with_cross_entropy_sends_back_prediction_minus_target():
    graph = example("softmax_classification")
    difference = graph["y"].value - graph["t"].value
    np.testing.assert_allclose(graph["z"].error_signal, difference, rtol=1e-14, atol=1e-15)


def test_squared_matrix_vector_has_the_gradients_of_matrix_calculus():
    graph = example("squared_matrix_vector")
    weight, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [2.0]])
    np.testing.assert_array_equal(graph["W"].error_signal, 2 * weight @ x @ x.T)
    np.testing.assert_array_equal(graph["x"].error_signal, 2 * weight.T @ weight @ x)


def test_the_gradient_of_a_quadratic_form_is_a_plus_its_transpose_times_x():
    graph = run("f = x.T @ A @ x", "A = [[1, 2], [3, 4]]", "x = [1, 2]")
    matrix, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [2.0]])
    np.testing.assert_array_equal(graph["x"].error_signal, (matrix + matrix.T) @ x)
    np.testing.assert_array_equal(graph["A"].error_signal, x @ x.T)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_agrees_with_both_references_and_with_the_lecture(name):
    graph = example(name)
    assert all(agreement.passed for agreement in check_graph(graph))
    assert max(check_by_hand(graph, EXAMPLES[name].by_hand).values()) < 1e-14


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_scalar_examples_still_agree_at_other_values(name):
    values = {key: "1.7" for key, value in EXAMPLES[name].values.items() if not value.startswith(("[", "one"))}
    graph = example(name, **values)
    assert all(agreement.passed for agreement in check_graph(graph))
    assert max(check_by_hand(graph, EXAMPLES[name].by_hand).values()) < 1e-13


def test_mlp_in_scalars_equals_mlp_in_matrices():
    scalars, matrices = example("mlp_scalar"), example("mlp_vector")
    assert scalars["L"].value.item() == pytest.approx(matrices["L"].value.item(), rel=1e-15)
    for layer in (1, 2):
        entries = [[scalars[f"w{layer}_{i}{j}"].error_signal.item() for j in (1, 2)] for i in (1, 2)]
        np.testing.assert_allclose(entries, matrices[f"W{layer}"].error_signal, rtol=1e-13)


OPERATIONS = [
    "L = sum(a + W)",
    "L = sum((v + W) ** 2)",
    "L = sum((W - v) ** 2 * W)",
    "L = norm2(W @ u) / sum(W * W)",
    "L = norm2(v @ u.T - W @ W.T @ v @ u.T)",
    "L = v.T @ W @ u",
    "L = -sum(a * W / W ** 3)",
    "L = mean(exp(W) * tanh(W)) * sin(a) - cos(a) * tan(a)",
    "L = sum(log(abs(W)) + sqrt(abs(W)) * sigmoid(W))",
    "L = sum(max(W, a) + relu(W) * max(0.3, W))",
    "L = log(softmax(v)).T @ v",
    "L = sum((W.transpose() @ v) ** 2) ** a",
    "L = sum(2 ** v) + a ** 0 * a ** a",
    "L = sum(sign(W) * W + step(W) * W + greater(W, a) * W) + onehot(1, 2).T @ v",
    "L = v.T @ (0 * v) + norm2(v)",
    "L = pi * a - norm2(v) * (a / 3 - 1 / 2) - -a",
]
VALUES = ["a = 1.5", "v = [0.5, -1]", "u = [0.2, 2, -0.7]", "W = [[1, -2, 0.4], [0.6, 3, -1.2]]"]


@pytest.mark.parametrize("program", OPERATIONS)
def test_every_operation_agrees_with_finite_differences_and_autograd(program):
    graph = run(program, *(value for value in VALUES if used(value, program)))
    assert all(agreement.passed for agreement in check_graph(graph))
    assert_formulas_are_true(graph)


def used(value: str, program: str) -> bool:
    name = value.split(" ")[0]
    return name in read_names(program)


def read_names(program: str) -> list[str]:
    from nnlab.backprop.parsing import names_in, parse_statements

    return names_in(parse_statements(program)[0][1])


def assert_formulas_are_true(graph: Graph) -> None:
    """The printed formula of each error signal, evaluated, is the error signal."""
    values = {node.name: node.value for node in graph.nodes}
    values |= {f"{node.name}_bar": node.error_signal for node in graph.nodes}
    for everything in (True, False):
        visible = visible_nodes(graph, everything)
        arrows = edges(graph, visible)
        for node in visible:
            formula = error_formula(node, graph, arrows)
            assert distance(evaluate(formula, values), node.error_signal) < 1e-9, f"{node.name}_bar = {formula}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_printed_formula_of_every_error_signal_is_true(name):
    assert_formulas_are_true(example(name))


SHAPES = {"scalar": "a b c", "vector": "u v", "matrix": "W X"}


@st.composite
def expressions(draw, shape: str = "scalar", depth: int = 4) -> str:
    """A random expression over scalars a b c, vectors u v of 2 and 2 x 2 matrices W X, smooth almost everywhere."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        constant = [f"{draw(st.integers(-3, 3))}"] if shape == "scalar" else []
        return draw(st.sampled_from(SHAPES[shape].split() + constant))

    def part(kind: str) -> str:
        return f"({draw(expressions(kind, depth - 1))})"

    forms = {"unary": ["sin", "cos", "tanh", "sigmoid", "relu", "abs"], "binary": ["+", "-", "*"]}
    kind = draw(st.sampled_from(["unary", "binary", "quotient", "square", "other", "scaled"]))
    if kind == "unary":
        return f"{draw(st.sampled_from(forms['unary']))}{part(shape)}"
    if kind == "binary":
        return f"{part(shape)} {draw(st.sampled_from(forms['binary']))} {part(shape)}"
    if kind == "quotient":
        return f"{part(shape)} / (1 + {part(shape)} ** 2)"
    if kind == "square":
        return f"{part(shape)} ** {draw(st.sampled_from(['2', '3']))}"
    if kind == "scaled":
        return f"{part('scalar')} * {part(shape)}"
    return {
        "scalar": lambda: draw(st.sampled_from([f"sum({part('matrix')})", f"norm2({part('vector')})", inner(part)])),
        "vector": lambda: draw(st.sampled_from([f"{part('matrix')} @ {part('vector')}", f"softmax({part('vector')})"])),
        "matrix": lambda: draw(st.sampled_from([outer(part), f"{part('matrix')} + {part('vector')}"])),
    }[shape]()


def inner(part) -> str:
    return f"{part('vector')}.T @ {part('vector')}"


def outer(part) -> str:
    return f"{part('vector')} @ {part('vector')}.T - {part('matrix')}.T"


NUMBERS = st.floats(-2, 2).map(lambda number: round(number, 3))


@settings(max_examples=30, deadline=None)
@given(st.lists(expressions(), min_size=1, max_size=3), st.lists(NUMBERS, min_size=15, max_size=15))
def test_random_graphs_agree_with_autograd_and_print_true_formulas(parts, numbers):
    program = "; ".join([*(f"m{i} = {part}" for i, part in enumerate(parts)), "L = a * m0 + sin(a)"])
    program = program.replace("L =", "L = " + "".join(f"m{i} * m0 + " for i in range(1, len(parts))))
    a, b, c, *rest = numbers
    given_values = {
        "a": a,
        "b": b,
        "c": c,
        "u": rest[:2],
        "v": rest[2:4],
        "W": [rest[4:6], rest[6:8]],
        "X": [rest[8:10], rest[10:12]],
    }
    from nnlab.backprop.parsing import names_in, parse_statements

    named = {name for _, tree in parse_statements(program) for name in names_in(tree)}
    constant_parts = [i for i, part in enumerate(parts) if not names_in(parse_statements(part)[0][1])]
    assume(not constant_parts)
    try:
        graph = run(program, *(f"{name} = {value}" for name, value in given_values.items() if name in named))
    except UserError as error:
        if "too large" not in str(error) and "not finite" not in str(error):
            raise
        assume(False)
    for name, gradient in autograd(graph).items():
        assert distance(gradient, graph[name].error_signal) < 1e-9, program
    assert_formulas_are_true(graph)


@settings(max_examples=25, deadline=None)
@given(NUMBERS, NUMBERS)
def test_finite_differences_confirm_smooth_graphs_everywhere(a, b):
    graph = run("c = sin(a * b) + exp(a)", "d = tanh(c - b) ** 2", "L = c * d / (1 + a ** 2)", f"a = {a}", f"b = {b}")
    assert all(agreement.passed for agreement in check_graph(graph))


def test_the_error_signals_are_linear_in_the_output():
    one = run("L = sin(a * b)", "a = 0.3", "b = 2")
    three = run("L = 3 * sin(a * b)", "a = 0.3", "b = 2")
    assert three["a"].error_signal.item() == pytest.approx(3 * one["a"].error_signal.item(), rel=1e-15)


def test_forward_leaves_the_graph_as_it_is():
    graph = run("e = a * b", "a = 2", "b = 3")
    assert graph.forward({"a": np.array([[5.0]])})["e"].item() == 15
    assert graph["e"].value.item() == 6


def test_a_check_that_is_wrong_does_not_pass():
    graph = run("e = a * b", "a = 2", "b = 3")
    graph["a"].error_signal = graph["a"].error_signal + 1e-4
    assert [agreement.passed for agreement in check_graph(graph)] == [False, True]


def test_backprop_starts_without_torch():
    code = "import sys, nnlab.commands.graph; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("module", [info.name for info in pkgutil.iter_modules(nnlab.backprop.__path__)])
def test_the_docstrings_show_true_examples(module):
    loaded = importlib.import_module(f"nnlab.backprop.{module}")
    globs = vars(loaded) | {"np": np, "math": math}
    assert doctest.testmod(loaded, globs=dict(globs)).failed == 0
