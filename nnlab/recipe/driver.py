"""The driver: walks the steps, keeps each finished step's report, and stops where something is wrong.

`recipe.json` in the recipe's folder is written whole after every step. The same command finds it and goes on with the
first step that is not in it; whatever a step had begun is begun again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nnlab.console import counted
from nnlab.errors import UserError
from nnlab.recipe.budget import CONTESTANTS, Budget
from nnlab.recipe.changes import Changes
from nnlab.recipe.coarse import coarse_grid
from nnlab.recipe.curves import look_at_curves
from nnlab.recipe.events import write_events
from nnlab.recipe.final_budget import FinalBudget
from nnlab.recipe.improve import improve
from nnlab.recipe.initial_loss import check_initial_loss
from nnlab.recipe.learning_rate import find_learning_rate
from nnlab.recipe.numbers import FinalNumbers, InitialLossNumbers
from nnlab.recipe.overfit import overfit_sample
from nnlab.recipe.rates import ladder
from nnlab.recipe.refine import refine_grid
from nnlab.recipe.report import Report, StepReport
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.space import Space, usual_epochs
from nnlab.recipe.suggest import Linear
from nnlab.recipe.trials import Trials
from nnlab.recipe.verdict import TITLE as LAST
from nnlab.recipe.watcher import Watcher
from nnlab.report.recipe_drawing import Drawing
from nnlab.storage.files import write_whole
from nnlab.storage.winner import RECIPE

TITLES = {
    1: "Check the initial loss",
    2: "Overfit a small sample",
    3: "Find a learning rate",
    4: "Coarse grid",
    5: "Refine the grid, train longer",
    6: "Look at the loss curves",
    7: "Go to step 5, one change at a time",
    8: LAST,
}
NEEDS = {4: 3, 5: 4, 6: 5, 7: 6, 8: 7}
# What is done at the end: with the configuration that step 7 chose, the largest stable rate of step 3, and what time is
# left. `FinalTraining.conclude` trains it.
Conclude = Callable[[Changes, float | None, FinalBudget], StepReport[FinalNumbers]]


class Recipe:
    """One walk through the steps.

    Args:
        trials: makes trials.
        settings: which steps, how long.
        folder: where `recipe.json` is kept.
        conclude: trains and judges what was chosen.
        watcher: is told what happens.
        about: what the report says about the configuration.
        drawing: draws the figures of finished steps meanwhile, if they are wanted.
        loading: seconds of the time limit that reading the data took.

    Attributes:
        reports: of the finished steps, by number.
    """

    def __init__(
        self,
        trials: Trials,
        settings: RecipeSettings,
        folder: Path,
        conclude: Conclude,
        watcher: Watcher,
        about: dict[str, Any],
        drawing: Drawing | None = None,
        loading: float = 0.0,
    ) -> None:
        self.trials, self.settings, self.folder = trials, settings, folder
        self.conclude, self.watcher, self.about, self.drawing = conclude, watcher, about, drawing
        self.reports = read_reports(folder)
        self.status = "running"
        self._lines: dict[int, str] = {}  # of `recipe.json`
        spent = sum(report.seconds for report in self.reports.values())
        self.budget = Budget(trials, settings, loading + spent)
        self.usual_epochs = usual_epochs(trials)
        for report in self.reports.values():
            self.budget.time.learn(report)

    def run(self) -> str:
        """Walk; returns `completed`, or `failed` where a step did not pass.

        Raises:
            UserError: a step needs another that was neither asked for nor done.
        """
        wanted = self.settings.walked
        for number in wanted:
            if NEEDS.get(number, number) not in {*wanted, *self.reports}:
                raise UserError(f"step {number} builds on step {NEEDS[number]}; add it to `recipe.steps`")
        for number in wanted:
            if number not in self.reports and not self._blocked(number):
                self._step(number)
            report = self.reports.get(number)
            stopped = report is not None and not report.passed and not self.settings.keep_going
            if stopped and number != wanted[-1]:
                self.watcher.say(f"The recipe stops after step {number}; `recipe.keep_going=true` goes on")
            if report is None or stopped:
                break
        done = [self.reports[number] for number in wanted if number in self.reports]
        self.status = "completed" if len(done) == len(wanted) and all(r.passed for r in done) else "failed"
        self.save()
        return self.status

    def _blocked(self, number: int) -> bool:
        """Whether a step before this one did not give what it needs (only where the recipe keeps going)."""
        before = self.reports.get(NEEDS.get(number, -1))
        return before is not None and not before.numbers.usable

    def _step(self, number: int) -> None:
        trials, best = self.trials, {7: 6, 8: 7}.get(number)
        chosen = self.reports[best].numbers.best.changes if best else None
        remaining = self.budget.estimate(number, self.usual_epochs, chosen)
        self.watcher.start(number, TITLES[number], remaining)
        started, work = trials.clock(), trials.work
        trials.until, trials.stopped, trials.left_out = self.budget.until(number, chosen), 0, 0
        with torch.random.fork_rng(devices=[]):
            report = self._steps()[number]()
        report.seconds = trials.clock() - started
        report.work = round(trials.work - work, 6)  # whose last digits depend on the steps before
        report.conclusion += _cut(trials)
        self.reports[number] = report
        self.budget.time.learn(report)
        self.save()
        if self.drawing is not None:
            self.drawing.add(number)
        write_events(self.folder, report)
        self.watcher.done(report)

    def _steps(self) -> dict[int, Callable[[], Report]]:
        trials, reports = self.trials, self.reports
        return {
            1: lambda: check_initial_loss(trials),
            2: lambda: overfit_sample(trials),
            3: self._find_rate,
            4: self._coarse,
            5: self._refine,
            6: lambda: look_at_curves(trials, reports[5]),
            7: self._improve,
            8: self._conclude,
        }

    def _space(self) -> Space:
        """What steps 4 to 7 may change; what compiled code has to wait for only where there is time for it."""
        epochs = self.settings.refine_epochs or self.usual_epochs
        return Space(self.trials, epochs, self.budget.time.limited or not self.trials.compiled)

    def _find_rate(self) -> Report:
        seeds, steps = self.budget.rates(len(ladder(self.trials)))
        return find_learning_rate(self.trials, range(seeds), steps)

    def _coarse(self) -> Report:
        epochs = self.budget.coarse_epochs()
        self._say_cut("coarse_epochs", epochs)
        batches, numbers = self.budget.batches(epochs, self.usual_epochs), self.reports[3].numbers
        return coarse_grid(self._space(), numbers.use or numbers.stable, epochs, batches, self._draw(4))

    def _refine(self) -> Report:
        epochs = self.budget.refine_epochs(self.usual_epochs)
        self._say_cut("refine_epochs", epochs)
        candidates, most = self.reports[4].numbers.candidates, self.budget.refined(epochs)
        return refine_grid(self._space(), candidates, epochs, range(self.settings.seeds), most)

    def _say_cut(self, name: str, epochs: float) -> None:
        """A length that the time limit cuts is said."""
        asked = getattr(self.settings, name)
        if asked is not None and epochs < asked:
            self.watcher.say(f"{epochs:g} epochs in place of `recipe.{name}` = {asked:g}: the time limit has no more")

    def _improve(self) -> Report:
        fitted = self._early_trees()
        suggestions = self.reports[6].numbers.suggestions
        candidates = [self.reports[6].numbers.best, *self.reports[5].numbers.candidates[1:]]
        coarse, space = self.reports[4].numbers, self._space()
        length = self.budget.final.epochs(candidates[0].changes, space.epochs)
        more = self._linear(), self._draw(7), CONTESTANTS, [*coarse.seen, *coarse.candidates], self.budget.round_batches
        report = improve(space, candidates, suggestions, self.budget.affords(self.usual_epochs), *more, length)
        report.conclusion += fitted
        return report

    def _early_trees(self) -> str:
        """Fit boosted trees before the rest is planned, if there is time for both; in words what they took."""
        if not self.budget.final.trees_early:
            return ""
        began = self.trials.clock()
        names = [each.name for each in self.trials.simple(self.budget.final.trees())]
        took = self.trials.clock() - began
        return f"; boosted trees, which the end is compared with, took {took:.1f} s of it" if "trees" in names else ""

    def _draw(self, number: int) -> random.Random:
        return random.Random(f"{self.trials.value('seed', 0)} step {number}")

    def _conclude(self) -> Report:
        chosen = self.reports[7].numbers.best.changes
        return self.conclude(chosen, self.reports[3].numbers.stable, self.budget.final)

    def _linear(self) -> Linear | None:
        numbers = self.reports[1].numbers if 1 in self.reports else InitialLossNumbers()
        if not numbers.linear or numbers.linear_decay is None:
            return None
        return Linear(numbers.linear["loss"], numbers.linear_decay)

    def save(self) -> None:
        """Write `recipe.json`, a line for each step."""
        about = json.dumps({"status": self.status, **self.about}, indent=1).removesuffix("\n}")
        for number in self.reports.keys() - self._lines.keys():
            self._lines[number] = json.dumps(self.reports[number].to_dict())
        steps = ",\n".join(f"  {self._lines[number]}" for number in sorted(self._lines))
        write_whole(self.folder / RECIPE, f'{about},\n "steps": [\n{steps}\n ]\n}}\n', sync=True)

    def content(self) -> dict[str, Any]:
        """What `recipe.json` holds."""
        steps = [self.reports[number].to_dict() for number in sorted(self.reports)]
        return {"status": self.status, **self.about, "steps": steps}


def _cut(trials: Trials) -> str:
    """What the clock did to a step, in words for its conclusion; nothing, if it did nothing."""
    parts = [f"stopped {counted(trials.stopped, 'training')}"] if trials.stopped else []
    parts += [f"left no time for {counted(trials.left_out, 'other')}"] if trials.left_out else []
    return f"; the time limit {' and '.join(parts)}" if parts else ""


def read_reports(folder: Path) -> dict[int, Report]:
    """The finished steps of a recipe, by number; empty where none has begun."""
    try:
        content = json.loads((folder / RECIPE).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"`{folder / RECIPE}` is damaged: {error}") from error
    return {report["number"]: StepReport.from_dict(report) for report in content["steps"]}
