"""`nnlab recipe`: walk the recipe, show what happens, and say where everything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnlab.commands.recipe_view import make_view
from nnlab.config.chosen import option_of
from nnlab.config.command_line import command_line
from nnlab.config.folder import own_folder
from nnlab.recipe.run import RecipeResult, recipe


def main(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> RecipeResult:
    """`nnlab recipe`: walk, then say where everything is."""
    try:
        result = recipe(config, overrides, own_folder(), make_view)
    except (SystemExit, KeyboardInterrupt):
        print("interrupted; the same command continues after the last finished step", flush=True)
        raise
    last = result.reports.get(8)
    if last is not None and last.numbers.experiment:
        print(f"again:  {last.numbers.experiment}")
    trained = last is not None and any(run["metrics"] for run in last.numbers.runs)
    if trained and option_of("data", config["data"]) == "table":
        print("use:    " + command_line("predict", [str(result.directory), "FILE"]))
    print(f"report: {result.directory / 'report.html'}")
    print("look:   " + command_line("board", [str(result.directory)]))
    return result
