"""The margin of the chosen learning rate to the largest stable one: twice as much has to train as well, for all seeds.

Step 3 measures the largest stable rate of the given network. Another activation, other widths or a rate that decays
bear another one, and so what was chosen is asked itself, where it is beyond that margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nnlab.recipe.changes import Changes
from nnlab.recipe.learning_rate import MARGIN
from nnlab.recipe.rates import rate_key
from nnlab.recipe.trials import Trials

STEPS_DOWN = 2  # halvings of the learning rate at most
LAST = 20  # minibatch losses whose mean is a network's last,
ABOVE = 0.1  # which is unstable so far above a constant answer, in parts of what there is to learn


@dataclass(frozen=True)
class Lowered:
    """A learning rate that was given up, and why."""

    rate: float
    why: str

    @property
    def words(self) -> str:
        """What happened, in a sentence."""
        return f"with the learning rate {self.rate:g}, {self.why}; it was halved"


def with_margin(
    trials: Trials, chosen: Changes, stable: float | None, seeds: Sequence[int]
) -> tuple[Changes, list[Lowered]]:
    """The configuration with a learning rate of which twice as much is stable with every seed, and those given up.

    Args:
        stable: the largest stable rate of step 3; of half of it and less, nothing is asked.
        seeds: numbers of seeds that twice the rate is trained with.
    """
    key, lowered = rate_key(trials), list[Lowered]()
    if key not in chosen or stable is None:
        return chosen, lowered
    while float(chosen[key]) * MARGIN > stable and len(lowered) < STEPS_DOWN:
        rate = float(chosen[key])
        why = _unstable(trials, {**chosen, key: rate * MARGIN}, seeds)
        if not why:
            break
        lowered.append(Lowered(rate, why))
        chosen = {**chosen, key: rate / 2}
    return chosen, lowered


def _unstable(trials: Trials, twice: Changes, seeds: Sequence[int]) -> str:
    """What went wrong with seeds that diverged or lost what they had learned, in words; empty where all were stable."""
    levels, wrong = trials.levels, []
    for trial in trials.run([trials.seeded(twice, seed) for seed in seeds], whole=True):
        last, limit = trial.last_loss(LAST), levels.constant + ABOVE * levels.span
        if trial.diverged or not math.isfinite(last):
            wrong.append(f"diverges with seed {trial.changes['seed']}")
        elif last > limit:
            wrong.append(f"ends above a constant answer with seed {trial.changes['seed']}")
    return f"there is no margin: twice as much {' and '.join(wrong)}" if wrong else ""
