"""A whole recipe: claim its folder, walk, and write what was seen.

recipe.json, report.html, report.md    what was seen, for programs and people
step1/ ... step7/                      TensorBoard events of the trials, a run each
final/seed=0/ ...                      complete runs of the chosen configuration
given/seed=0/ ...                      complete runs of the configuration as given
experiment/best.yaml                   the better of the two: nnlab train --config-dir FOLDER experiment=best
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import nnlab
from nnlab import notebook
from nnlab.config import identity
from nnlab.config.command_line import command_line
from nnlab.config.construct import construct
from nnlab.recipe.driver import TITLES, Recipe
from nnlab.recipe.finale import FinalTraining
from nnlab.recipe.report import Report
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.trials import Trials
from nnlab.recipe.watcher import Watcher
from nnlab.runs.joining import check_processes
from nnlab.runs.launch import unfinished_or_new
from nnlab.storage.claim import claimed
from nnlab.storage.files import remove_parts
from nnlab.storage.folder import write_config, write_environment, write_result
from nnlab.storage.winner import RECIPE
from nnlab.training.signals import graceful

log = logging.getLogger(__name__)
THREADS = torch.get_num_threads()


@dataclass
class RecipeResult:
    """How a recipe ended.

    Attributes:
        directory: its folder.
        status: `completed`, or `failed` where a step did not pass.
        reports: of its steps, by number; the final training is number 8.
    """

    directory: Path
    status: str
    reports: dict[int, Report]

    def content(self) -> dict[str, Any]:
        """The recipe as plain values, without the trials of the steps, which `recipe.json` has with their curves."""
        last = self.reports.get(8)
        return {
            "status": self.status,
            "faults": self.faults,
            "experiment": last.numbers.experiment if last is not None else None,
            "report": self.directory / "report.html",
            "steps": [
                {key: value for key, value in report.to_dict().items() if key != "trials"}
                for _, report in sorted(self.reports.items())
            ],
        }

    def _repr_html_(self) -> str:
        """In a notebook: every step with its verdict as a table, what is wrong, and the command of what was chosen."""
        steps = [report for _, report in sorted(self.reports.items())]
        rows = [(str(r.number), r.title, r.verdict, r.conclusion) for r in steps]
        found = notebook.lines(*(finding.line() for report in steps for finding in report.faults))
        command = self.content()["experiment"]
        again = notebook.code(command) if command else ""
        return notebook.table(("", "step", "verdict", ""), rows) + found + again + notebook.lines(f"{self.directory}")

    @property
    def exit_code(self) -> int:
        """0 when every step passed, else 1."""
        return 0 if self.status == "completed" else 1

    @property
    def faults(self) -> list[str]:
        """Names of what is wrong, in the order in which it was found."""
        return [finding.name for report in self.reports.values() for finding in report.faults]


def recipe(
    config: Mapping[str, Any],
    overrides: Sequence[str] = (),
    config_dir: str | None = None,
    make_watcher: Callable[[Mapping[int, str]], Watcher] = lambda titles: Watcher(),
) -> RecipeResult:
    """Walk the recipe: continue the newest unfinished one of this identity, or start a new one.

    Args:
        config: of `nnlab recipe`, composed.
        overrides: what the user typed, for the commands that reproduce trials.
        config_dir: the user's own config folder, for those commands.
        make_watcher: makes who watches, from the titles of the steps by number.

    Raises:
        UserError: something in the config, the data or the output folder is not as it must be.
    """
    config = {**config, "name": config["name"]}
    processes = config["trainer"]["processes"]
    if processes > 1:
        check_processes(config["trainer"], processes)
        log.info(f"one process walks the steps; {processes} train the chosen configuration at the end")
    with contextlib.ExitStack() as stack:
        if config.get("resume"):
            directory = stack.enter_context(claimed(Path(config["resume"])))
            config["resume"] = None
        else:
            folder = Path(config["output_dir"]) / config["name"]
            directory = stack.enter_context(unfinished_or_new(folder, identity(config)))
        stack.enter_context(graceful())
        return _walk(config, overrides, config_dir, directory, make_watcher)


def _walk(
    config: dict[str, Any],
    overrides: Sequence[str],
    config_dir: str | None,
    directory: Path,
    make_watcher: Callable[[Mapping[int, str]], Watcher],
) -> RecipeResult:
    from nnlab.report.recipe_drawing import Drawing
    from nnlab.report.recipe_page import write_report

    started, began = time.perf_counter(), Trials.clock()
    remove_parts(directory)
    write_config(directory, config)
    write_environment(directory, {"identity": identity(config)})
    settings: RecipeSettings = construct(config["recipe"], "recipe")
    with contextlib.closing(Drawing(directory / RECIPE)) as drawing:
        if len(settings.walked) > 1:
            drawing.start()
        trials = Trials(config, overrides, config_dir)
        trials.observer = watcher = make_watcher({number: TITLES[number] for number in settings.walked})
        command = command_line("recipe", overrides, config=config, config_dir=config_dir)
        about = {"command": command, "folder": str(directory), **_about(trials)}
        final = FinalTraining(config, trials, settings, directory)
        walk = Recipe(trials, settings, directory, final.conclude, watcher, about, drawing, trials.clock() - began)
        try:
            status = walk.run()
        finally:
            watcher.close()
            write_report(directory, walk.content(), drawing.finished)
    content = {"status": status, "identity": identity(config), "seconds": time.perf_counter() - started}
    write_result(directory, content)
    return RecipeResult(directory, status, walk.reports)


def _about(trials: Trials) -> dict[str, Any]:
    """What a report says about the configuration, and what its seconds depend on."""
    return {
        **{each: trials.option(each) for each in ("data", "architecture", "loss", "optimizer")},
        "machine": _machine(trials.dataset.train.inputs.device),
        "examples": {name: len(getattr(trials.dataset, name)) for name in ("train", "validation", "test")},
    }


def _machine(device: torch.device) -> str:
    """What the seconds depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, threads: at most {THREADS}"
    return f"{name} (nnlab {nnlab.__version__}, torch {torch.__version__})"
