"""`nnlab graph EXPRESSION | EXAMPLE`: values and error signals of a computation graph, from a line of text."""

from __future__ import annotations

import argparse
import ast
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnlab.backprop import text
from nnlab.backprop.checks import AUTOGRAD_TOLERANCE, DIFFERENCES_TOLERANCE, Checks, check
from nnlab.backprop.examples import EXAMPLES, Example
from nnlab.backprop.formulas import visible_nodes
from nnlab.backprop.graph import Graph, Node
from nnlab.backprop.parsing import names_in, parse_statements, read
from nnlab.cli.arguments import HELP, JSON, print_json
from nnlab.errors import UserError, did_you_mean

_FORMATS = (".png", ".svg", ".pdf")
_EPILOG = """\
examples:
  nnlab graph "e=(a+b)*(b+1)" a=2 b=1
  nnlab graph "c=a+b; d=b+1; e=c*d" a=2 b=1 --step
  nnlab graph "z=W@x+b; y=softmax(z); L=-t.T@log(y)" "W=[[1,0],[0,1]]" x=[1,2] b=[0,0] "t=onehot(0,2)" --check
  nnlab graph worked_example a=3 --out graph.png

grammar: numbers, vectors [1, 2] (columns), matrices [[1, 2], [3, 4]], + - * / ** elementwise, @ the matrix product,
  .T the transpose; exp log sin cos tan tanh sigmoid relu sqrt abs max softmax sum mean, norm2 (the squared norm),
  onehot(k, n), ones(n), zeros(n), pi. The last assignment is the output."""


def main(arguments: Sequence[str]) -> int:
    """Show a computation graph; `--out` draws it.

    Returns:
        0; 1 if `--check` found a disagreement.

    Raises:
        UserError: a program that cannot be read or computed.
    """
    if any(each in HELP for each in arguments):
        _parser().print_help()
        return 0
    options = _parser().parse_intermixed_args(list(arguments))
    if options.list:
        if options.json:
            print_json({name: dataclasses.asdict(example) for name, example in EXAMPLES.items()})
        else:
            print(_listing())
        return 0
    if not options.program:
        _parser().print_help()
        return 0
    if options.out is not None and options.out.suffix not in _FORMATS:
        raise UserError(f"`--out {options.out}`: the figure is written as {', '.join(_FORMATS)}")
    example, program = _program(options.program)
    graph = read(*program)
    graph.backward()
    visible = visible_nodes(graph, options.all)
    checks = check(graph, example.by_hand if example else {}) if options.check else None
    if options.out is not None:
        _write(graph, visible, options.out)
    if options.json:
        _answer(graph, visible, example, checks, options.out)
    else:
        _print(graph, visible, example, options.step)
        if checks is not None:
            _print_checks(checks)
        if options.out is not None:
            print(f"\nDrawn: {options.out}")
    return 0 if checks is None or checks.passed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nnlab graph",
        description="Show a computation graph: each node's value, and its error signal, the derivative of the output.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("program", nargs="*", help="an example by name, or assignments with values as name=value")
    add("--list", action="store_true", help="list the lecture's examples")
    add("--all", action="store_true", help="show also the steps inside an expression, as v1, v2, ...")
    add("--step", action="store_true", help="both passes step by step, with the numbers put in")
    add("--check", action="store_true", help="compare with finite differences and with torch's autograd")
    add(JSON, action="store_true", help="print the answer as JSON, for programs")
    add("--out", type=Path, metavar="FILE", help="draw the graph, as .png, .svg or .pdf")
    return parser


def _listing() -> str:
    lines = []
    for name, example in EXAMPLES.items():
        inputs = " ".join(f"{key}={value.replace(' ', '')}" for key, value in example.values.items())
        lines += [name, f"    {example.description}", f"    {'; '.join(example.program)}", f"    {inputs}", ""]
    return "\n".join([*lines, "Run one with `nnlab graph NAME`; change its values with name=value."])


def _program(words: Sequence[str]) -> tuple[Example | None, list[str]]:
    """The example that the first word names, if any, and the assignments to read."""
    name, *overrides = words
    if not name.isidentifier():
        return None, list(words)
    if name not in EXAMPLES:
        raise UserError(f"there is no example `{name}`; {did_you_mean(name, EXAMPLES)}")
    example = EXAMPLES[name]
    values = dict(example.values)
    for word in overrides:
        for key, tree in parse_statements(word):
            if key not in values:
                raise UserError(f"`{name}` has no input `{key}`; {did_you_mean(key, values)}")
            if names_in(tree):
                raise UserError(f"`{word}`: an example's input takes a number, a vector or a matrix")
            values[key] = ast.unparse(tree)
    return example, [*example.program, *(f"{key} = {value}" for key, value in values.items())]


def _print(graph: Graph, visible: Sequence[Node], example: Example | None, step: bool) -> None:
    if example is not None:
        print(f"{example.description}\n")
    print(text.steps(graph, visible) if step else text.table(graph, visible))
    if not step:
        print(f"\n  v_bar, the error signal of v, is d{graph.output.name}/dv: a sum over the children of v.")
    if example is not None:
        print("\nBy hand, as in the lecture:")
        for name, formula in example.by_hand.items():
            print(f"  {name}_bar = {formula}")


def _answer(
    graph: Graph, visible: Sequence[Node], example: Example | None, checks: Checks | None, out: Path | None
) -> None:
    """Print the graph for programs."""
    content: dict[str, Any] = {"output": graph.output.name, "nodes": text.content(graph, visible)}
    if example is not None:
        content |= {"description": example.description, "by_hand": example.by_hand}
    if checks is not None:
        inputs = [{**vars(each), "passed": each.passed} for each in checks.agreements]
        content["check"] = {"passed": checks.passed, "inputs": inputs, "by_hand": checks.by_hand}
    print_json({**content, "figure": out})


def _print_checks(checks: Checks) -> None:
    """Print how far each error signal is from its references."""
    width = max(len("input"), *(len(agreement.name) for agreement in checks.agreements))
    print(f"\nCheck: relative distance of the error signal from\n  {'input':{width}}  finite differences  autograd")
    for agreement in checks.agreements:
        verdict = "agrees" if agreement.passed else "DISAGREES"
        print(f"  {agreement.name:{width}}  {agreement.differences:<18.1e}  {agreement.autograd:<8.1e}  {verdict}")
    if not all(agreement.passed for agreement in checks.agreements):
        print(
            f"Tolerances: {DIFFERENCES_TOLERANCE:g} and {AUTOGRAD_TOLERANCE:g}. At a kink (relu at 0) or beside a pole "
            "finite differences mean little."
        )
    if checks.by_hand:
        worst = max(checks.by_hand.values())
        agrees = worst <= AUTOGRAD_TOLERANCE
        print(f"The lecture's formulas: largest relative distance {worst:.1e}, {'agree' if agrees else 'DISAGREE'}")


def _write(graph: Graph, visible: Sequence[Node], path: Path) -> None:
    from nnlab.report.graph import draw_graph

    try:
        draw_graph(graph, visible, path)
    except OSError as error:
        raise UserError(f"cannot write `{path}`: {error.strerror}") from error
