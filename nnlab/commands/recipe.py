"""`nnlab recipe`: binds configs to the recipe, trains what it chose, and writes its folder.

recipe.json, report.html, report.md    what was seen, for programs and people
step1/ ... step7/                      TensorBoard events of the trials, a run each
final/seed=0/ ...                      complete runs of the chosen configuration
experiment/best.yaml                   the chosen configuration: nnlab train --config-dir FOLDER experiment=best
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import nnlab
from nnlab.config import config_folder, identity
from nnlab.config.construct import construct
from nnlab.config.folder import primary
from nnlab.recipe import Changes, FinalRun, Recipe, RecipeSettings, StepReport
from nnlab.recipe.best import write_experiment
from nnlab.recipe.config_trials import ConfigTrials
from nnlab.recipe.driver import TITLES
from nnlab.recipe.events import write_events
from nnlab.recipe.live import LiveView, PlainView, make_view
from nnlab.runs.launch import train_runs, unfinished_or_new
from nnlab.storage.claim import claimed
from nnlab.storage.files import make_folder
from nnlab.storage.folder import read_result, write_config, write_environment, write_result
from nnlab.training.signals import EXIT_CODES, graceful

THREADS = torch.get_num_threads()
MEMBERS = "regularizer.ensemble.members"


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
    reports: dict[int, StepReport]

    @property
    def exit_code(self) -> int:
        """0 when every step passed, else 1."""
        return 0 if self.status == "completed" else 1

    @property
    def faults(self) -> list[str]:
        """Names of what is wrong, in the order in which it was found."""
        return [finding.name for report in self.reports.values() for finding in report.faults]


def recipe(config: Mapping[str, Any], overrides: Sequence[str] = (), config_dir: str | None = None) -> RecipeResult:
    """Walk the recipe: continue the newest unfinished one of this identity, or start a new one.

    Raises:
        UserError: something in the config, the data or the output folder is not as it must be.
    """
    config = {**config, "name": config["name"]}
    with contextlib.ExitStack() as stack:
        if config.get("resume"):
            directory = stack.enter_context(claimed(Path(config["resume"])))
            config["resume"] = None
        else:
            folder = Path(config["output_dir"]) / config["name"]
            directory = stack.enter_context(unfinished_or_new(folder, identity(config)))
        stack.enter_context(graceful())
        return _walk(config, overrides, config_dir, directory)


def _walk(config: dict[str, Any], overrides: Sequence[str], config_dir: str | None, directory: Path) -> RecipeResult:
    write_config(directory, config)
    write_environment(directory, {"identity": identity(config)})
    settings: RecipeSettings = construct(config["recipe"], "recipe")
    trials = ConfigTrials(config, overrides, config_dir)
    view = make_view(
        {number: TITLES[number] for number in sorted({*settings.steps, *([8] if 7 in settings.steps else [])})}
    )
    trials.observer = view
    watching = _Writer(view, directory)
    about = {
        "command": shlex.join(["nnlab", "recipe", *overrides]),
        "folder": str(directory),
        "data": trials.option("data"),
        "architecture": trials.option("architecture"),
        "loss": trials.option("loss"),
        "optimizer": trials.option("optimizer"),
        "machine": _machine(trials.dataset.train.inputs.device),
        "examples": {name: len(getattr(trials.dataset, name)) for name in ("train", "validation", "test")},
    }
    final = _Final(config, trials, settings, directory)
    walk = Recipe(trials, settings, directory, final, watching, about)
    started = time.perf_counter()
    try:
        status = walk.run()
    finally:
        view.close()
        watching.write_page(walk)
    content = {"status": status, "identity": identity(config), "seconds": time.perf_counter() - started}
    write_result(directory, content)
    return RecipeResult(directory, status, walk.reports)


def _machine(device: torch.device) -> str:
    """What the seconds depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, threads: at most {THREADS}"
    return f"{name} (nnlab {nnlab.__version__}, torch {torch.__version__})"


class _Writer:
    """Passes on to the view what happens, and writes each finished step's events."""

    def __init__(self, view: PlainView | LiveView, directory: Path) -> None:
        self.view, self.directory = view, directory

    def start(self, number: int, title: str, remaining: float | None) -> None:
        """A step begins."""
        self.view.start(number, title, remaining)

    def done(self, report: StepReport) -> None:
        """A step has ended."""
        write_events(self.directory, report)
        self.view.done(report)

    def write_page(self, walk: Recipe) -> None:
        """Write `report.html` and `report.md`."""
        from nnlab.report.recipe_page import write_report

        write_report(self.directory, walk.content())


class _Final:
    """Trains the chosen configuration as ordinary runs, which continue from their own checkpoints."""

    def __init__(
        self, config: Mapping[str, Any], trials: ConfigTrials, settings: RecipeSettings, directory: Path
    ) -> None:
        self.config, self.trials, self.settings, self.directory = config, trials, settings, directory

    def __call__(self, changes: Changes, seeds: Sequence[int]) -> tuple[list[FinalRun], str]:
        """Train with some seeds, or one ensemble of as many; returns the runs and the command of the experiment."""
        first = int(self.config["seed"])
        if self.settings.ensemble:
            names = [*changes.get("regularizer", []), "ensemble"]
            changes, seeds = {**changes, "regularizer": names, MEMBERS: len(seeds)}, [0]
        chosen = [{**changes, "seed": first + seed} for seed in seeds]
        configs = [self._config(each) for each in chosen]
        command = write_experiment(
            self.directory, configs[0], f"Chosen by `nnlab recipe` on {self.trials.option('data')}"
        )
        folders = [self.directory / "final" / f"seed={each['seed']}" for each in chosen]
        for group in self._unfinished(chosen, folders):
            words = [self.trials.words(chosen[i]) for i in group]
            results = train_runs([configs[i] for i in group], [folders[i] for i in group], words)
            stopped = [result for result in results if result.status == "interrupted"]
            if stopped:
                raise SystemExit(EXIT_CODES[stopped[0].signals[0]])  # type: ignore[index]
        found = [read_result(folder) or {} for folder in folders]
        return [
            FinalRun(str(folder), each["seed"], result["status"], self.trials.command(each), result["metrics"])
            for folder, each, result in zip(folders, chosen, found, strict=True)
        ], command

    def _config(self, changes: Changes) -> dict[str, Any]:
        config = self.trials.configure(changes)
        callbacks = {name: each for name, each in self.config["callbacks"].items() if name != "progress"}
        usual = primary("train", config_folder()).values
        own = {"name": "final", "output_dir": str(self.directory), "callbacks": callbacks}
        return {**{key: usual[key] for key in usual if key not in config}, **config, **own}

    def _unfinished(self, chosen: Sequence[Changes], folders: Sequence[Path]) -> list[list[int]]:
        """Groups of runs that have no result yet."""
        for folder in folders:
            make_folder(folder)
        left = [i for i, folder in enumerate(folders) if read_result(folder) is None]
        return [[left[i] for i in group] for group in self.trials.groups([chosen[i] for i in left], fastest=True)]


def main(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> RecipeResult:
    """`nnlab recipe`: walk, then say where everything is."""
    from nnlab.cli.composition import user_folder

    try:
        result = recipe(config, overrides, user_folder())
    except (SystemExit, KeyboardInterrupt):
        print("interrupted; the same command continues after the last finished step", flush=True)
        raise
    last = result.reports.get(8)
    if last is not None and "experiment" in last.numbers:
        print(f"again:  {last.numbers['experiment']}")
    print(f"report: {result.directory / 'report.html'}")
    print(f"look:   nnlab board {shlex.quote(str(result.directory))}")
    return result
