"""A recipe's folder stands for the run that won: the first final run of the configuration that validation chose."""

from __future__ import annotations

import json
from pathlib import Path

from nnlab.errors import UserError

RECIPE = "recipe.json"
FINAL_STEP = 8


def winner(directory: Path) -> Path | None:
    """The winning run below a recipe's folder, wherever that lies now; None where the folder is no recipe's.

    Raises:
        UserError: the recipe has not trained its final networks, they are not there, or its file is damaged.
    """
    try:
        content = json.loads((directory / RECIPE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"`{directory / RECIPE}` cannot be read: {error}") from error
    try:
        runs = [run for step in content["steps"] if step["number"] == FINAL_STEP for run in step["numbers"]["runs"]]
        ended = [Path(run["directory"]) for run in runs if run["metrics"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"`{directory / RECIPE}` is damaged: its steps cannot be read") from error
    if not ended:
        raise UserError(
            f"`{directory}` is a recipe that has not trained its final networks; the same `nnlab recipe` command "
            "continues it where it was interrupted, and report.html says where it stopped"
        )
    run = directory.joinpath(*ended[0].parts[-2:])
    if not run.is_dir():
        raise UserError(f"`{directory}` is a recipe whose final run `{run}` is not there")
    return run
