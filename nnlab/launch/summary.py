"""What `nnlab train` prints at the end of a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnlab.launch.advice import advice
from nnlab.launch.continuation import overrides_of
from nnlab.launch.result import Result

if TYPE_CHECKING:
    from rich.table import Table


def print_summary(result: Result) -> None:
    """Metrics at the best weights, time, where the run is, how to look at it, and what is wrong, if anything is."""
    from rich.console import Console
    from rich.table import Table

    shown = result.metrics["test"]
    names = [name for name in shown if name != "nll" or shown["nll"] != shown["loss"]]
    table = Table("", *names, title=f"best weights (step {result.best_step} of {result.steps})", title_justify="left")
    for split, metrics in result.metrics.items():
        table.add_row(split, *(f"{metrics[name]:.4f}" for name in names))
    console = Console()
    console.print(table)
    if result.ensemble:
        console.print(ensemble_table(result.ensemble["test"]))
    print(f"{result.status} in {result.seconds:.1f} s" + (f": {result.reason}" if result.reason else ""))
    print(f"run:  {result.directory}")
    print(f"look: nnlab board {shlex.quote(str(result.directory))}")
    for line in advice(result.diagnosis, overrides_of(result.directory), result.directory):
        print(line)


def ensemble_table(report: Mapping[str, Any]) -> Table:
    """Test metrics of the average of 1, 2, ..., M members, beside those of the members alone."""
    from rich.table import Table

    names = [name for name in report["mean"] if name != "loss" or "nll" not in report["mean"]]
    title = "ensemble, on the test split" + (f" (majority vote: {report['vote']:.4f})" if "vote" in report else "")
    table = Table("averaged", *names, title=title, title_justify="left")
    for size, metrics in enumerate(report["by_size"], start=1):
        table.add_row(str(size), *(f"{metrics[name]:.4f}" for name in names))
    spread = (f"{report['mean'][name]:.4f} ± {report['std'][name]:.4f}" for name in names)
    table.add_row("alone", *spread, end_section=True)
    gain = ((report["by_size"][-1][name] - report["mean"][name]) for name in names)
    table.add_row("gain", *(f"{value:+.4f}" for value in gain))
    return table
