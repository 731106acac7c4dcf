"""The recipe: seven steps from an untested network to a tuned one, each a function of the trials that it may make.

trials = Trials(config)                 # a composed config of `nnlab train`
report = check_initial_loss(trials)     # step 1
report.passed, report.conclusion, report.findings, report.numbers
"""

from nnlab.recipe.changes import Changes
from nnlab.recipe.coarse import coarse_grid
from nnlab.recipe.curves import look_at_curves
from nnlab.recipe.driver import Recipe
from nnlab.recipe.finale import FinalTraining
from nnlab.recipe.given import FinalRun
from nnlab.recipe.improve import improve
from nnlab.recipe.initial_loss import check_initial_loss
from nnlab.recipe.learning_rate import find_learning_rate
from nnlab.recipe.overfit import overfit_sample
from nnlab.recipe.refine import refine_grid
from nnlab.recipe.report import StepReport, Table, TrialRecord
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.space import Space
from nnlab.recipe.trials import Trials
from nnlab.recipe.verdict import conclude

__all__ = [
    "Changes",
    "FinalRun",
    "FinalTraining",
    "Recipe",
    "RecipeSettings",
    "Space",
    "StepReport",
    "Table",
    "TrialRecord",
    "Trials",
    "check_initial_loss",
    "coarse_grid",
    "conclude",
    "find_learning_rate",
    "improve",
    "look_at_curves",
    "overfit_sample",
    "refine_grid",
]
