"""`nnlab train [KEY=VALUE ...]`: one network, an ensemble, or with `-m` a grid of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnlab.config.command_line import command_line, of_run
from nnlab.metric_names import SHOWN, title
from nnlab.probe.after_training import train
from nnlab.runs.advice import advice
from nnlab.runs.result import Result
from nnlab.storage.folder import event_files, read_overrides

if TYPE_CHECKING:
    from rich.table import Table


def main(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> Result:
    """Train, then print what came out and how to look at it."""
    result = train(config, overrides)
    if result.status == "interrupted":
        where = f" at step {result.steps} of {result.trainer.total_steps}" if result.trainer else ""
        again = of_run("train", [f"resume={result.directory}"], result.directory)
        print(f"interrupted{where}; the same command continues it, or: {again}")
    else:
        print_summary(result)
    return result


def print_summary(result: Result) -> None:
    """Metrics at the best weights, time, where the run is, how to look at it, and what is wrong, if anything is."""
    from rich.console import Console

    names = columns(result.metrics["test"], result.metric)
    table = metrics_table("", names, f"best weights (step {result.best_step} of {result.steps})")
    for split, metrics in result.metrics.items():
        table.add_row(split, *(number(metrics[name]) for name in names))
    for position, (name, by_split) in enumerate(result.references.items()):
        if position == 0:
            table.add_section()
        known = by_split["test"]
        table.add_row(f"test, {name}", *(number(known[each]) if each in known else "" for each in names))
    console = Console()
    console.print(table)
    if result.ensemble:
        console.print(ensemble_table(result.ensemble["test"]))
    reason = result.reason.removeprefix(f"{result.status} ")
    print(f"{result.status} in {result.seconds:.1f} s" + (f": {reason}" if reason else ""))
    print(f"run:  {result.directory}")
    if event_files(result.directory):
        print("look: " + command_line("board", [str(result.directory)]))
    else:
        print("look: " + of_run("plot", [str(result.directory)], result.directory))
    for line in advice(result.diagnosis, read_overrides(result.directory) or (), result.directory):
        print(line)


def columns(shown: Mapping[str, float], metric: str) -> list[str]:
    """The metrics that a table has room for: the one that decides first, no number twice, and none that is not known.

    >>> columns({"loss": 0.5, "accuracy": 0.9, "nll": 0.5, "auroc": 0.8}, "auroc")
    ['auroc', 'loss', 'accuracy']
    """
    names = [name for name in shown if name == metric or (name in SHOWN and not math.isnan(shown[name]))]
    if metric != "nll" and "nll" in names and math.isclose(shown["nll"], shown["loss"], rel_tol=1e-4):
        names.remove("nll")
    return sorted(names, key=lambda name: name != metric)


def metrics_table(first: str, names: Sequence[str], caption: str) -> Table:
    """An empty table with a column for each metric, numbers below one another."""
    from rich.table import Table

    table = Table(first, title=caption, title_justify="left")
    for name in names:
        table.add_column(title(name), justify="right")
    return table


def number(value: float) -> str:
    """Four decimals of small numbers, two of larger ones, none of large ones, and the power of ten of huge ones.

    Nothing for a number that is not defined, and no sign before one that is shown as 0.

    >>> number(0.98765), number(61.5789), number(1150123.4), number(7.77e24), number(math.nan), number(-1e-9)
    ('0.9877', '61.58', '1,150,123', '7.77e+24', '', '0.0000')
    """
    size = abs(value)
    if math.isnan(value):
        return ""
    if size < 10:
        return f"{round(value, 4) + 0.0:.4f}"  # the sum has no -0
    return f"{value:.2f}" if size < 1e4 else f"{value:,.0f}" if size < 1e9 else f"{value:.3g}"


def ensemble_table(report: Mapping[str, Any]) -> Table:
    """Test metrics of the average of 1, 2, ..., M members, beside those of the members alone."""
    known = {name for name, value in report["mean"].items() if not math.isnan(value)}
    names = [
        name for name in report["mean"] if name in known.intersection(SHOWN) and (name != "loss" or "nll" not in known)
    ]
    caption = "ensemble, on the test split" + (f" (majority vote: {report['vote']:.4f})" if "vote" in report else "")
    table = metrics_table("averaged", names, caption)
    for size, metrics in enumerate(report["by_size"], start=1):
        table.add_row(str(size), *(number(metrics[name]) for name in names))
    table.add_row("alone", *(number(report["mean"][name]) for name in names))
    table.add_row("", *(f"± {number(report['std'][name])}" for name in names), end_section=True)
    gains = (number(report["gain"][name]) for name in names)
    table.add_row("gain", *(gain if gain.startswith("-") else f"+{gain}" for gain in gains))
    return table
