"""The time limit of a recipe, by a clock that the tests advance: what is planned, what is stopped, and what is said."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnlab.cli import compose
from nnlab.recipe.budget import Budget
from nnlab.recipe.costs import Costs
from nnlab.recipe.driver import Recipe
from nnlab.recipe.finale import FinalTraining, limited
from nnlab.recipe.grid import run_grid, with_more
from nnlab.recipe.learning_rate import find_learning_rate
from nnlab.recipe.numbers import GridNumbers, InitialLossNumbers
from nnlab.recipe.overfit import overfit_sample
from nnlab.recipe.report import StepReport
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.space import Space
from nnlab.recipe.time_limit import LAST, UNTIL
from nnlab.recipe.trials import Trials
from nnlab.recipe.watcher import Watcher
from nnlab.training import Trainer

Make = Callable[..., Trials]
SMALL = ("data=moons", "data.examples=200", "architecture.widths=[8]")


class Clock:
    """Seconds that pass where they are added, and a little whenever somebody looks."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def budget_of(trials: Trials, clock: Clock, limit: float | None = 20.0, around: float = 0.0) -> Budget:
    """A budget that has seen step 1 take so many seconds."""
    trials.clock = clock
    budget = Budget(trials, RecipeSettings(time_limit=limit, final_seeds=5))
    budget.time.learn(StepReport(1, "", InitialLossNumbers(), seconds=around))
    return budget


def step(number: int, seconds: float, work: float) -> StepReport[GridNumbers]:
    return StepReport(number, "", GridNumbers(), seconds=seconds, work=work)


def test_the_time_left_that_is_shown_never_rises_and_is_never_more_than_the_limit(make_trials: Make) -> None:
    clock = Clock()
    budget, shown = budget_of(make_trials(*SMALL), clock), [20.0]
    for number, seconds, work in ((3, 0.1, 80.0), (4, 2.0, 1.0), (5, 9.0, 0.1), (7, 12.0, 500.0)):
        clock.now += seconds
        budget.time.learn(step(number, seconds, work))
        left = budget.estimate(number + 1, 20.0, {"trainer.epochs": 1e6})
        assert left is not None
        assert 0 <= left <= shown[-1]
        shown.append(left)
    assert shown[-1] == 0


def test_an_epoch_costs_what_all_steps_say_and_not_the_last_one_alone(make_trials: Make) -> None:
    budget = budget_of(make_trials(*SMALL), Clock())
    budget.time.learn(step(3, 1.0, 100.0))
    budget.time.learn(step(4, 1.0, 1.0))  # a few short networks, of which all is overhead
    assert budget.time.per_epoch == pytest.approx(1.5 / 51)


def test_what_trainings_cost_follows_the_last_dozen() -> None:
    costs = Costs()
    for _ in range(50):
        costs.add(100, 1.0, 0.1)
    for _ in range(12):
        costs.add(100, 4.0, 0.1)
    assert 0.02 < costs.per_step < 0.04
    assert costs.per_population == pytest.approx(0.1)


@pytest.mark.parametrize("number", sorted(UNTIL))
def test_trainings_of_a_step_end_so_that_those_after_it_have_a_share(number: int, make_trials: Make) -> None:
    clock = Clock()
    budget = budget_of(make_trials(*SMALL), clock, around=1.0)
    clock.now = 8.0
    assert 8.0 < budget.until(number) < budget.until(7) <= budget.until(LAST) <= 20.0
    clock.now = 100.0
    assert 100.0 < budget.until(number) <= 101.0, "a little is trained in any case"


def test_the_last_training_ends_before_the_limit_where_what_follows_takes_long(make_trials: Make) -> None:
    trials = make_trials(*SMALL)
    assert budget_of(trials, Clock(), around=0.3).time.end() == 20.0
    assert budget_of(trials, Clock(), around=2.0).time.end() == pytest.approx(20.0 - 2.0)
    assert budget_of(trials, Clock(), around=100.0).time.end() == pytest.approx(16.0)


def test_without_a_time_limit_nothing_is_stopped_shortened_or_left_out(make_trials: Make) -> None:
    clock, chosen = Clock(), {"trainer.epochs": 1e6}
    budget = budget_of(make_trials(*SMALL), clock, None, around=1.0)
    budget.time.learn(step(4, 1.0, 1.0))
    clock.now = 1e6
    assert {budget.until(number) for number in range(1, 9)} == {math.inf}
    assert budget.final.plan(chosen, 5) == (chosen, 5)
    assert budget.final.seconds() is None
    assert budget.final.affords_again(chosen, 5)
    assert budget.rates(11) == (3, 100)
    assert not budget.time.remarks()


def test_a_final_training_that_does_not_fit_has_fewer_seeds_and_then_fewer_epochs(make_trials: Make) -> None:
    trials, clock = make_trials(*SMALL, "trainer.epochs=1"), Clock()
    budget = budget_of(trials, clock)
    trials.costs.add(trials.epoch_steps, 0.1, 0.0)  # an epoch of a network takes a tenth of a second
    chosen = Space(trials, 10.0).plain(0.01, 0.0, 10.0)
    found = []
    for left in (15.0, 5.0, 2.0, 1.0, 0.0):
        clock.now = 20.0 - left
        planned, seeds = budget.final.plan(chosen, 5)
        found.append((seeds, planned["trainer.epochs"]))
    assert found == [(5, 10.0), (3, 10.0), (1, 10.0), (1, 8.0), (1, 8.0)], "a twentieth of all time in any case"
    assert not budget.final.affords_again(chosen, 1)


def test_step_3_has_fewer_seeds_and_then_fewer_steps(make_trials: Make) -> None:
    trials, clock = make_trials(*SMALL), Clock()
    budget = budget_of(trials, clock)
    found = []
    for per_step in (0.0001, 0.004, 0.01, 10.0):
        trials.costs = Costs()
        trials.costs.add(1, per_step, 0.0)
        found.append(budget.rates(10))
    assert found == [(3, 100), (2, 100), (1, 85), (1, 10)]


def test_what_the_clock_stops_is_used_only_where_nothing_else_was_trained(make_trials: Make) -> None:
    trials = make_trials(*SMALL)
    changes = [{"seed": 0, "trainer.epochs": 500.0}, {"seed": 1, "trainer.epochs": 500.0, "activation": "tanh"}]
    trials.clock, trials.until = Clock(0.01), 0.0
    assert trials.run(changes, whole=True) == []
    assert (trials.stopped, trials.left_out) == (0, 2)
    [stopped] = trials.run(changes)
    assert stopped.stopped
    assert 0 < len(stopped.losses) < 500
    assert stopped.series["loss/validation"][1], "it is validated where it was stopped"
    trials.until = 1e9
    assert [trial.stopped for trial in trials.run([{**each, "trainer.epochs": 1.0} for each in changes])] == [False] * 2


def test_candidates_without_time_for_further_seeds_keep_those_that_they_had(make_trials: Make) -> None:
    trials = make_trials(*SMALL)
    space = Space(trials, 1.0)
    tried, _ = run_grid(trials, [space.plain(rate, 0.0, 1.0) for rate in (0.01, 0.001)], [0])
    trials.clock, trials.until = Clock(0.01), 0.0
    further, records = run_grid(trials, [each.changes for each in tried], [1], whole=True)
    assert (further, records) == ([], [])
    assert with_more(tried, further) == tried


def test_steps_without_time_say_so_and_find_no_fault(make_trials: Make) -> None:
    trials = make_trials(*SMALL)
    trials.clock, trials.until = Clock(0.01), 0.0
    sample = overfit_sample(trials)
    assert sample.passed
    assert sample.names() == []
    assert sample.verdict == "not judged"
    assert "there was no time to memorize" in sample.conclusion
    rate = find_learning_rate(trials, seeds=[0])
    assert rate.passed
    assert rate.numbers.usable
    assert rate.verdict == "not judged"
    assert re.match(r"in 1 step, for which there was time, no rate drops the loss clearly yet", rate.conclusion)
    [table] = rate.tables
    assert table.title == "Mean of 1 minibatch loss, 1 seed"
    assert all(math.isnan(row[2]) for row in table.rows)


def test_a_long_first_step_is_told_with_all_of_its_time(make_trials: Make) -> None:
    trials = make_trials(*SMALL)
    trials.linear_seconds = 4.0
    budget = budget_of(trials, Clock(), limit=8.0, around=7.4)
    assert budget.time.around == pytest.approx(3.4)
    assert budget.time.remarks() == ["step 1, of which nothing is left out, took 7.4 of the 8 seconds"]


def final_training(folder: Path, *overrides: str) -> tuple[FinalTraining, Trials]:
    config = compose(*SMALL, "callbacks=[checkpoint]", *overrides, config_name="recipe")
    trials = Trials(config)
    return FinalTraining(config, trials, RecipeSettings(final_seeds=2), folder), trials


def test_a_final_training_that_the_clock_stops_is_said_and_that_as_given_is_left_out(tmp_path: Path) -> None:
    final, trials = final_training(tmp_path)
    budget = budget_of(trials, Clock(), limit=0.002)
    chosen = {"regularizer": [], "trainer.epochs": 3e4, "trainer.steps": None}
    report = final.conclude(chosen, budget=budget.final)
    assert "2 of 2 trainings ended early: the time limit was reached at step" in report.conclusion
    assert all("time limit" in run["reason"] for run in report.numbers.runs)
    assert report.numbers.test["accuracy"] > 0, "its best weights so far are evaluated"
    assert report.numbers.network == "found"
    assert "time_limit: null" in (tmp_path / "experiment" / "best.yaml").read_text()


def test_a_shorter_limit_of_the_users_own_stays() -> None:
    def config(own: float | None) -> dict[str, Any]:
        return {"trainer": {"time_limit": own}}

    assert [limited(config(own), 5.0) for own in (None, 2.0, 9.0)] == [config(5.0), config(2.0), config(5.0)]


class Shown(Watcher):
    """Keeps the times left that are shown."""

    def __init__(self) -> None:
        self.left: list[float | None] = []

    def start(self, number: int, title: str, remaining: float | None) -> None:
        self.left.append(remaining)

    def say(self, text: str) -> None:
        pass


def test_step_7_says_what_boosted_trees_took_of_its_time(tmp_path: Path) -> None:
    final, trials = final_training(tmp_path)
    trials.clock = Clock(0.25)

    def walk(limit: float) -> Recipe:
        return Recipe(trials, RecipeSettings(time_limit=limit), tmp_path, final.conclude, Shown(), {})

    assert walk(5.0)._early_trees() == "", "they are fitted in the end"
    assert re.search(r"boosted trees, which the end is compared with, took \d\.\d s", walk(20.0)._early_trees())


@pytest.mark.slow
def test_a_recipe_ends_in_time_on_a_machine_that_becomes_slow(tmp_path: Path) -> None:
    """Whoever looks at this clock makes it advance, and so do trainings: by their blocks of steps."""
    config = compose(*SMALL, "callbacks=[checkpoint]", config_name="recipe")
    trials, clock, shown = Trials(config), Clock(0.01), Shown()
    trials.clock = clock
    settings = RecipeSettings(time_limit=10.0, seeds=2, final_seeds=2)
    final = FinalTraining(config, trials, settings, tmp_path)
    recipe = Recipe(trials, settings, tmp_path, final.conclude, shown, {})
    assert recipe.run() == "completed"
    assert clock.now < 12.0
    assert all(a is not None and b is not None and a >= b for a, b in zip(shown.left, shown.left[1:], strict=False))
    assert recipe.reports[8].numbers.test["accuracy"] > 0.5


@pytest.mark.slow
def test_a_recipe_ends_within_its_limit_in_processor_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, words = 2.0, ["data=digits"]
    monkeypatch.setattr(Trainer, "clock", staticmethod(time.process_time))
    config = compose(*words, config_name="recipe")
    trials = Trials(config, words)
    trials.clock = time.process_time
    settings = RecipeSettings(time_limit=limit)
    started = time.process_time()
    recipe = Recipe(trials, settings, tmp_path, FinalTraining(config, trials, settings, tmp_path).conclude, Shown(), {})
    recipe.run()
    assert time.process_time() - started < limit + 2.0
    assert recipe.reports[8].numbers.test["accuracy"] > 0.9
