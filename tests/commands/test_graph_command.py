"""`nnlab graph` answers in numbers a student can follow, and in sentences where it cannot."""

from __future__ import annotations

import pytest

from nnlab.backprop import EXAMPLES
from nnlab.backprop.layout import lay_out
from nnlab.commands.graph import main
from nnlab.errors import UserError


def output(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_the_table_lists_nodes_in_topological_order_with_values_and_error_signals(capsys):
    rows = output(capsys, "e=(a+b)*(b+1)", "a=2", "b=1").splitlines()[:6]
    assert [" ".join(row.split()) for row in rows] == [
        "node expression value error signal formula",
        "a input 2 2 v1_bar",
        "b input 1 5 v1_bar + v2_bar",
        "v1 a + b 3 2 e_bar * v2",
        "v2 b + 1 2 3 e_bar * v1",
        "e v1 * v2 6 1",
    ]


def test_the_steps_put_the_numbers_in(capsys):
    lines = [line.strip() for line in output(capsys, "worked_example", "--step").splitlines()]
    assert "c = a + b = 2 + 1 = 3" in lines
    assert "d_bar = e_bar * c = 1 * 3 = 3" in lines
    assert "b_bar = c_bar + d_bar = 2 + 3 = 5   (summed over its children c, d)" in lines
    backward = [line.split(" ")[0] for line in lines if "_bar =" in line][1:6]
    assert backward == ["e_bar", "d_bar", "c_bar", "b_bar", "a_bar"]


def test_an_example_takes_other_values(capsys):
    assert "e     c * d       8" in output(capsys, "worked_example", "a=3")
    assert "1, 1" in output(capsys, "squared_matrix_vector", "x=[1, 1]", "W=[[1, 0], [0, 1]]")


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_listed_and_passes_its_check(name, capsys):
    assert f"{name}\n    {EXAMPLES[name].description}" in output(capsys, "--list")
    text = output(capsys, name, "--check")
    assert "DISAGREE" not in text
    assert "The lecture's formulas: largest relative distance" in text


def test_hidden_steps_are_shown_on_demand(capsys):
    assert "v1" not in output(capsys, "logistic_least_squares")
    assert "v1" in output(capsys, "logistic_least_squares", "--all")


def test_without_arguments_it_explains_itself(capsys):
    assert "nnlab graph worked_example" in output(capsys)


def test_a_disagreement_is_reported_with_exit_code_1(capsys):
    # at the kink of relu the central difference is 1/2, the convention 0
    assert main(["L = relu(a)", "a=0", "--check"]) == 1
    assert "DISAGREES" in capsys.readouterr().out


MISTAKES = {
    ("e=expp(a)", "a=1"): "there is no function `expp`; did you mean `exp`?",
    ("e=(a+b",): "'(' was never closed (column 3)",
    ("e=a+*b",): "invalid syntax (column 5)",
    ("e=a+b", "a=1"): "no value for `b`; add b=1",
    ("e=alpha*2", "alpa=1"): "no value for `alpha` (did you mean `alpa`?)",
    ("e=a", "a=1", "b=2"): "`b` has a value, but no expression uses it",
    ("e=d+a", "d=a*2", "a=1"): "uses `d` before it is computed",
    ("e=a", "e=a+1", "a=1"): "`e` is assigned twice",
    ("e=W@x", "W=[[1,2],[3,4]]", "x=[1,2,3]"): "W is a 2 x 2 matrix and x is a vector of 3; the 2 columns on the left",
    ("e=x@x", "x=[1,2]"): "inner product `a.T @ b`",
    ("e=x+y", "x=[1,2]", "y=[1,2,3]"): "`x + y` does not fit: x is a vector of 2 and y is a vector of 3",
    ("e=softmax(W)", "W=[[1,2],[3,4]]"): "it takes a vector",
    ("e=W@x", "W=[[1,2],[3,4]]", "x=[1,2]"): "`e` is a vector of 2, but error signals are derivatives of a scalar",
    ("e=log(a-3)", "a=1"): "`log(a - 3)` needs positive numbers; got a - 3 = -2",
    ("e=1/a", "a=0"): "`1 / a` needs a denominator other than zero",
    ("e=a**b", "a=-1", "b=2"): "needs a positive base",
    ("e=a**0.5", "a=-1"): "a base that is not negative under a fractional exponent",
    ("e=exp(a)", "a=1000"): "`exp(a)` is too large for a float64 number at a = 1000",
    ("e=sqrt(a)", "a=0"): "the derivative of `sqrt(a)` by a is not finite at a = 0",
    ("e=a^2", "a=1"): "powers are written with **",
    ("e=a%2", "a=1"): "the operators are + - * / ** @",
    ("e=max(a)", "a=1"): "`max` takes 2 arguments, got 1",
    ("e=a.b", "a=1"): "cannot read `a.b`",
    ("e='x'*a", "a=1"): "cannot read `'x'`",
    ("e=True*a", "a=1"): "cannot read `True`",
    ("e=a+2j", "a=1"): "cannot read `2j`",
    ("e=a+1e999", "a=1"): "too large for a float64 number",
    ("e=a+9**9**9**9", "a=1"): "too large for a float64 number",
    ("e=__import__('os').system('true')*a", "a=1"): "there is no function",
    ("e=(lambda: 1)()*a", "a=1"): "cannot read",
    ("e=[x for x in a]", "a=1", "x=1"): "cannot read",
    ("import os", "a=1"): "write assignments such as `c = a + b`",
    ("e=lam*lambda",): "write `lam`",
    ("e=sum(W)", "W=[[1,2],[3]]"): "rows of different lengths: 2, 1",
    ("e=sum(W)", "W=[[1,2],3]"): "mixes numbers and rows",
    ("e=sum(x)", "x=[]"): "an empty list is no vector",
    ("e=sum(x)", "x=[[[1]]]"): "a list holds numbers",
    ("e=a*t", "a=1", "t=onehot(3, 3)"): "counted from 0 to n - 1",
    ("e=a*t", "a=1", "t=onehot(0.5, 3)"): "whole numbers",
    ("e=1+1",): "no expression uses them",
    ("e=" + "(" * 150 + "a" + ")" * 150, "a=1"): None,
    ("e=a" + "+a" * 5000, "a=1"): "nested too deeply",
    ("worked_exampl",): "did you mean `worked_example`?",
    ("worked_example", "c=1"): "`worked_example` has no input `c`; valid: a, b",
    ("worked_example", "a=b"): "takes a number, a vector or a matrix",
    ("worked_example", "--out", "graph.jpg"): "`--out graph.jpg`: the figure is written as .png, .svg, .pdf",
}


@pytest.mark.parametrize("arguments", MISTAKES, ids=[" ".join(key)[:40] for key in MISTAKES])
def test_a_mistake_is_answered_with_a_sentence(arguments):
    expected = MISTAKES[arguments]
    if expected is None:
        assert main(list(arguments)) == 0
        return
    with pytest.raises(UserError) as caught:
        main(list(arguments))
    assert expected in str(caught.value)


def test_a_syntax_error_points_at_its_column():
    with pytest.raises(UserError) as caught:
        main(["e = a + * b"])
    assert str(caught.value).splitlines()[1:] == ["    e = a + * b", "    " + " " * 8 + "^"]


def test_the_figure_holds_every_node_and_arrow_and_is_written_in_its_format(tmp_path):
    assert main(["logistic_least_squares", "--out", str(tmp_path / "graph.svg")]) == 0
    assert main(["mlp_vector", "--out", str(tmp_path / "graph.png")]) == 0
    drawing = (tmp_path / "graph.svg").read_text()
    # the background; 7 boxes; 6 arrows, each with the patch behind its label. Texts: 3 a box, 1 an arrow, 2 below
    assert drawing.count('id="patch_') == 1 + 7 + 2 * 6
    assert drawing.count('id="text_') == 3 * 7 + 6 + 2
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_that_cannot_be_written_is_the_users_to_mend(tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        main(["worked_example", "--out", str(tmp_path / "missing" / "graph.png")])


def test_the_layout_keeps_nodes_apart_and_arrows_forward():
    sizes = dict.fromkeys(["x", "w", "b", "z", "t", "L"], 1.0)
    edges = [("x", "z"), ("w", "z"), ("b", "z"), ("z", "L"), ("t", "L"), ("w", "L")]
    layout = lay_out(sizes, edges, ["x", "w", "b", "t"], gap=0.5)
    assert all(layout.layer[parent] < layout.layer[child] for parent, child in edges)
    for one in sizes:
        for two in sizes:
            if one < two and layout.layer[one] == layout.layer[two]:
                assert abs(layout.height[one] - layout.height[two]) >= 1.5 - 1e-9
    assert len(layout.routes["w", "L"]) == 3
