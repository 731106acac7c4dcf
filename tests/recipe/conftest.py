"""What the tests of the recipe share: trials from overrides, as `nnlab recipe` makes them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nnlab.cli import compose
from nnlab.recipe import StepReport, check_initial_loss, find_learning_rate, overfit_sample
from nnlab.recipe.trials import Trials
from nnlab.report.recipe_drawing import Drawing

sys.path.insert(0, str(Path(__file__).parent))  # the faults are named by `_target_: faults...`


@pytest.fixture(scope="module", autouse=True)
def drawn_here() -> Iterator[None]:
    """This process draws figures, which takes less than starting one for them; tests/report has those that do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Drawing, "start", lambda self: None)
        yield


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
