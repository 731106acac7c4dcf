"""The recipe's report: one HTML file without anything outside it, and the same as Markdown, from plain content."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nnlab.console import counted
from nnlab.report.markdown import table as markdown_table
from nnlab.report.pages import filled, prepare
from nnlab.report.recipe_drawing import Drawn, drawn
from nnlab.storage.files import write_whole

Content = Mapping[str, Any]

LAST = 8  # the step that trains the chosen configuration
PURPOSE = {
    1: "Regularization off. Are data, loss and the fresh network what they should be, before anything is trained?",
    2: "Regularization off. A network that cannot memorize a few minibatches will not learn the rest. Plain gradient "
    "descent takes part, because adaptive optimizers hide faults.",
    3: "All training data, small weight decay, about a hundred iterations: which rates make the loss drop?",
    4: "A few epochs for each pair of learning rate and weight decay, and for other networks, halved by their curves.",
    5: "The best few, finer and longer, with several seeds; the learning rate does not decay yet.",
    6: "What the curves of the best configuration say.",
    7: "Races between the best and changes of it, as long as one gains more than half its standard error.",
    8: "What was found and, where there is time, what was given, with the same seeds. Validation decides which of them "
    "is the best network; only then is the test split looked at.",
}


def write_report(folder: Path, content: Content, figures: Callable[[], Mapping[int, Drawn]] = dict) -> None:
    """Write `report.md` and `report.html` for the content of `recipe.json`.

    Args:
        figures: waits for those that are being drawn, as late as it can be; see `html`.
    """
    write_whole(folder / "report.md", markdown(content))
    prepare()
    write_whole(folder / "report.html", html(content, figures()))


def html(content: Content, figures: Mapping[int, Drawn] | None = None) -> str:
    """The page; steps whose `figures` are not there are drawn."""
    had = figures or {}
    found = {step["number"]: had[step["number"]] if step["number"] in had else drawn(step) for step in content["steps"]}
    values = {"content": content, "figures": found, "headline": headline(content), "chosen": _chosen(content)}
    return filled("recipe_page.html.j2", {"cell": cell, "words": _words, "facts": facts}, **values, purpose=PURPOSE)


def _chosen(content: Content) -> Mapping[str, Any] | None:
    """The table that sets the chosen configuration next to the given one, once it is there."""
    tables = [table for step in content["steps"] for table in step["tables"] if step["number"] == 8]
    return next((table for table in tables if table["title"].startswith("The configuration")), None)


def facts(content: Content) -> str:
    """What was trained on what, where, and for how long, in a line."""
    examples, seconds = content["examples"], sum(step["seconds"] for step in content["steps"])
    took = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
    return (
        f"loss {_words(content['loss'])}, optimizer {content['optimizer']}; {examples['train']} training, "
        f"{examples['validation']} validation, {examples['test']} test examples; the steps took {took} on "
        f"{content['machine']}"
    )


def headline(content: Content) -> str:
    """The result in one sentence."""
    steps = content["steps"]
    failed = [step for step in steps if not step["passed"]]
    if failed:
        stopped = failed[0] is steps[-1] and failed[0]["number"] < LAST
        more = "; the recipe stopped there, and goes on with recipe.keep_going=true" if stopped else ""
        return (
            f"Step {failed[0]['number']}, {failed[0]['title'].lower()}, did not pass: {failed[0]['conclusion']}{more}"
        )
    if steps and steps[-1]["number"] == 8:
        unjudged = [str(step["number"]) for step in steps if step["verdict"] == "not judged"]
        listed = " and ".join([*filter(None, [", ".join(unjudged[:-1])]), *unjudged[-1:]])
        which = f"step{'s' * (len(unjudged) > 1)} {listed}"
        verdict = f"No step failed, but {which} could not be judged" if unjudged else "All steps passed"
        return f"{verdict}: {steps[-1]['conclusion']}."
    return f"{counted(len(steps), 'step')} done; nothing is wrong so far."


def markdown(content: Content) -> str:
    """The report as Markdown, without figures."""
    lines = [
        f"# Recipe: {content['architecture']} on {content['data']}",
        "",
        headline(content),
        "",
        facts(content) + ".",
        "",
        f"Command: `{content['command']}`",
        "",
    ]
    for step in content["steps"]:
        verdict = "**not passed**" if not step["passed"] else step["verdict"]
        lines += [
            f"## {step['number']} {step['title']}: {verdict} ({step['seconds']:.1f} s)",
            "",
            PURPOSE[step["number"]],
            "",
            step["conclusion"] + ".",
            "",
        ]
        for finding in step["findings"]:
            mark = "**fault**" if finding["severity"] == "fault" else "note"
            remedy = f" Try `{finding['override']}`." if finding["override"] else ""
            lines += [f"- {mark} `{finding['name']}`: {finding['explanation']}{remedy}"]
        for table in step["tables"]:
            rows = [[cell(value) for value in row] for row in table["rows"]]
            lines += ["", f"**{table['title']}**", "", *markdown_table(table["columns"], rows)]
        if step["trials"]:
            lines += ["", "Trials and how to run each alone:", "", "```"]
            lines += [f"{trial['command']}  # {trial['name']}" for trial in step["trials"]]
            lines += ["```"]
        lines += [""]
    return "\n".join(lines)


def cell(value: Any) -> str:
    """A value of a table as text.

    >>> cell(0.012345), cell(None), cell(12.0), cell("sgd")
    ('0.01235', '', '12', 'sgd')
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def _words(name: str) -> str:
    return name.replace("_", " ")
