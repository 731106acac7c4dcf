"""Whether anything was found that is better than a constant answer: on columns that say nothing, nothing is.

A difference that chance gives is none. On validation, for which choices are made, the seeds' spread and the number of
examples give its standard error; on the test split the paired bootstrap does. What is not better by the metric may say
something all the same: of rare classes, answers that are all the common one can have the right order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from nnlab.diagnosis.facts.chance import CHANCE, association
from nnlab.diagnosis.facts.levels import Levels, held_out_constant_loss
from nnlab.diagnosis.facts.references import measure_references
from nnlab.diagnosis.facts.simple import SimpleModel, advantage
from nnlab.diagnosis.finding import Finding, shown
from nnlab.recipe.candidate import Candidate
from nnlab.recipe.given import Contest, FinalRun
from nnlab.recipe.trials import Trials
from nnlab.runs.evaluation import evaluate

CLEAR = 2.0  # standard errors from which one is called better: of several, chance puts some one error ahead
LEAST = 4.0  # of what there is to learn, over the validation examples: see `nothing_on_validation`
NOTHING = "nothing was found that the inputs say about the targets"


def nothing_on_validation(trials: Trials, best: Candidate, levels: Levels) -> list[Finding]:
    """A note where neither the best network nor simple methods are better than a constant answer on validation.

    A network that explains a part p of the variance gains p of what there is to learn, with a standard error of about
    2 sqrt(p / n) on n examples; the gain exceeds it from p = 4 / n on. The constant is that of the training split, and
    its loss that on validation; folds are validation in turn, so that it is about the same on all of them together.
    """
    data, constant = trials.dataset, levels.constant
    examples = len(data.validation) * (len(best.scores) if trials.folds > 1 else 1)
    if trials.folds <= 1:
        targets = data.train.targets, data.validation.targets
        constant = held_out_constant_loss(trials.loss, *targets, data.target_size)
    gained = constant - best.score
    error = max(best.spread / math.sqrt(len(best.scores)), LEAST * levels.span / examples)
    if not gained <= error < math.inf or measure_references(trials.dataset, trials.loss).order.association >= CHANCE:
        return []
    seen = (
        f"validation loss {shown(best.score)} is not below that of a constant answer, {shown(constant)}, by "
        f"more than its standard error ({shown(error, 2)}), and neighbors and a linear fit are no better than chance: "
        f"{NOTHING}"
    )
    return [Finding("targets_unrelated", seen, level="note")]


def nothing_on_test(
    trials: Trials, metric: str, contest: Contest, simple: Sequence[SimpleModel], gain: tuple[float, float]
) -> list[Finding]:
    """A note where no network and no simple model is clearly better than the constant on the test split, in any order.

    Args:
        metric: what decides.
        contest: the final runs; where validation is sure of them, a small test split has no say.
        simple: the simple models, the constant first.
        gain: by how much the better networks are better than the constant on the test split, and the error of that.
    """
    constant, *others = simple

    def beat(answers: Sequence[Tensor], split: str = "test", errors: float = CLEAR) -> bool:
        """Whether the answers of several networks, or of one model, are clearly better than the constant's."""
        dataset, rival = trials.dataset, constant.predictions[split]
        return bool(answers) and _clear(advantage(metric, answers, rival, dataset, split), errors)

    def answers(runs: Sequence[FinalRun], split: str) -> list[Tensor]:
        return [evaluate(run.directory, split).prediction for run in runs if run.metrics]

    if _clear(gain) or any(beat([each.predictions["test"]]) for each in others):
        return []
    own, rivals = (answers(runs, "test") for runs in (contest.runs, contest.rivals))
    if beat(answers(contest.runs, "validation"), "validation", CHANCE) or beat(rivals):
        return []
    ordered = [*own, *rivals, *(each.predictions["test"] for each in others)]
    if any(association(each, trials.dataset.test.targets) >= CHANCE for each in ordered):
        return []
    names = {"linear": "a linear model", "trees": "boosted trees"}
    contestants = " nor ".join(["neither the networks", *(names[each.name] for each in others)])
    seen = (
        f"{contestants} are better than the constant on these {len(trials.dataset.test)} test examples by more than "
        f"{CLEAR:g} standard errors: {NOTHING}"
    )
    return [Finding("targets_unrelated", seen, level="note")]


def _clear(gain: tuple[float, float], errors: float = CLEAR) -> bool:
    """Whether a gain exceeds so many of its standard errors, or is not known."""
    return not gain[0] <= errors * gain[1]
