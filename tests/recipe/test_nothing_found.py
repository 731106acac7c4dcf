"""On columns that say nothing about the target, the recipe says so, and advises nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from nnlab.cli import compose
from nnlab.diagnosis.facts.levels import held_out_constant_loss
from nnlab.recipe.candidate import Candidate
from nnlab.recipe.finale import FinalTraining
from nnlab.recipe.given import Contest
from nnlab.recipe.nothing_found import nothing_on_test, nothing_on_validation
from nnlab.recipe.rates import rate_key
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.trials import Trials


@pytest.fixture
def noise(tmp_path: Path) -> list[str]:
    """A table whose columns say nothing about its target."""
    rows = np.random.default_rng(0).standard_normal((300, 4))
    text = "\n".join(["a,b,c,y", *(",".join(f"{value:.4f}" for value in row) for row in rows)])
    (tmp_path / "noise.csv").write_text(text + "\n")
    return ["data=table", f"data.path={tmp_path / 'noise.csv'}", "data.target=y", "loss=squared_error"]


def test_of_columns_that_say_nothing_the_end_says_that_nothing_was_found(noise: list[str], tmp_path: Path) -> None:
    config = compose(*noise, "architecture.widths=[8]", f"output_dir={tmp_path}", config_name="recipe")
    trials = Trials(config)
    key = rate_key(trials)
    final = FinalTraining(config, trials, RecipeSettings(final_seeds=2), tmp_path)
    decay = {"regularizer": ["weight_decay"], "regularizer.weight_decay.strength": 100.0}
    report = final.conclude({**decay, key: 1e-3, "trainer.epochs": 10, "trainer.steps": None}, given=())
    assert report.passed
    assert report.numbers.lowered == []
    assert report.conclusion.endswith("standard errors: nothing was found that the inputs say about the targets")
    assert report.names()[0] == "targets_unrelated"


def test_what_is_found_is_not_called_nothing(noise: list[str]) -> None:
    def told(overrides: Sequence[str], loss: float) -> list[str]:
        trials = Trials(compose(*overrides))
        data = trials.dataset
        goals = data.train.targets, data.validation.targets
        constant = held_out_constant_loss(trials.loss, *goals, data.target_size)
        best = Candidate({}, [loss * constant + 0.001 * i for i in range(3)], [0.0], [0.0], [1.0])
        return [each.name for each in nothing_on_validation(trials, best, trials.levels)]

    assert told(noise, 1.0) == ["targets_unrelated"]
    assert told(noise, 0.8) == []
    assert told(["data=diabetes", "loss=squared_error"], 1.0) == []  # a linear fit is better than chance


@pytest.mark.parametrize(("shift", "told"), [(0.0, ["targets_unrelated"]), (1.5, [])])
def test_what_only_orders_a_rare_class_is_not_called_nothing(shift: float, told: list[str], tmp_path: Path) -> None:
    """No answer is the rare class, and no accuracy above that of the constant; the linear model has the order right."""
    draw = np.random.default_rng(0)
    rare = np.arange(800) % 20 == 0
    table = np.column_stack([draw.standard_normal(800) + shift * rare, rare])
    np.savetxt(tmp_path / "rare.csv", table, delimiter=",", header="a,y", comments="", fmt="%.5g")
    trials = Trials(
        compose("data=table", f"data.path={tmp_path / 'rare.csv'}", "data.target=y", "data.task=multiclass")
    )
    found = nothing_on_test(trials, "accuracy", Contest([]), trials.simple(0), (0.0, 0.01))
    assert [each.name for each in found] == told
