"""What the tests of the recipe share: trials from overrides, as `nnlab recipe` makes them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nnlab.cli import compose
from nnlab.recipe import StepReport, check_initial_loss, find_learning_rate, overfit_sample
from nnlab.recipe.trials import Trials

sys.path.insert(0, str(Path(__file__).parent))  # the faults are named by `_target_: faults...`


@pytest.fixture
def make_trials() -> Callable[..., Trials]:
    """Trials for overrides of `nnlab recipe`."""
    return lambda *overrides: Trials(compose(*overrides), overrides)


@pytest.fixture
def walk(make_trials: Callable[..., Trials]) -> Callable[..., list[StepReport]]:
    """Steps 1 to 3, up to the first that does not pass."""

    def steps(*overrides: str) -> list[StepReport]:
        trials = make_trials(*overrides)
        reports: list[StepReport] = []
        for step in (check_initial_loss, overfit_sample, find_learning_rate):
            reports.append(step(trials))
            if not reports[-1].passed:
                break
        return reports

    return steps
