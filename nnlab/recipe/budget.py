"""How much of a step fits into the time that is left, from what steps 3 to 5 cost.

The unit is an epoch of one network. Shares of the remaining time: 15% for step 4, 35% for step 5, what is left of 60%
for step 7; the rest trains the chosen configuration.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from nnlab.recipe.changes import Changes
from nnlab.recipe.report import Report
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.trials import Trials

COARSE_SHARE, REFINE_SHARE, IMPROVE_SHARE = 0.15, 0.35, 0.6
COARSE_NETWORKS, REFINE_CONFIGURATIONS = 14, 12  # of a grid with one seed
COARSE_STEPS, REFINE_STEPS = 200, 600  # updates that are worth having, where data are small
LEARNED_FROM = (3, 4, 5)  # steps whose time tells what an update costs


def epoch_steps(trials: Trials) -> int:
    """Minibatches in an epoch."""
    size = trials.value("trainer.batch_size", 32)
    examples = len(trials.dataset.train)
    return 1 if size == "full" else -(-examples // min(int(size), examples))


class Budget:
    """The time that is left.

    Args:
        limit: seconds for the whole recipe, or None.
        spent: seconds that earlier processes have used.

    Attributes:
        per_step: seconds of one update of one network, once it is known.
    """

    def __init__(self, limit: float | None, spent: float = 0.0) -> None:
        self.limit = limit
        self.started = time.perf_counter() - spent
        self.per_step: float | None = None

    def learn(self, report: Report, trials: Trials) -> None:
        """Take the cost of an update, with its share of validation, from the report of a step that trained many."""
        if report.number not in LEARNED_FROM or not report.trials:
            return
        steps = report.numbers.steps if report.number == 3 else report.numbers.epochs * epoch_steps(trials)
        self.per_step = report.seconds / (steps * len(report.trials))

    def left(self) -> float:
        """Seconds."""
        return float("inf") if self.limit is None else max(self.limit - (time.perf_counter() - self.started), 0.0)

    def epochs(self, share: float, trials: Trials) -> float:
        """Epochs of one network that fit into a share of what is left."""
        if self.per_step is None:
            return float("inf")
        return share * self.left() / (self.per_step * epoch_steps(trials))

    def coarse(self, settings: RecipeSettings, trials: Trials) -> tuple[float, Sequence[int]]:
        """Epochs and seeds of step 4."""
        wanted = settings.coarse_epochs or min(max(COARSE_STEPS / epoch_steps(trials), 1.0), 5.0)
        fits = self.epochs(COARSE_SHARE, trials) / COARSE_NETWORKS
        seeds = 2 if 2 * wanted <= fits else 1
        return (wanted if settings.coarse_epochs else _whole(min(wanted, max(fits, 0.1)))), range(seeds)

    def refine(self, settings: RecipeSettings, trials: Trials) -> tuple[float, Sequence[int], int]:
        """Epochs, seeds and number of configurations of step 5."""
        wanted = settings.refine_epochs or min(max(REFINE_STEPS / epoch_steps(trials), 10.0), 20.0)
        fits = self.epochs(REFINE_SHARE, trials)
        most = int(min(max(fits / (wanted * settings.seeds), 2), REFINE_CONFIGURATIONS))
        epochs = min(wanted, max(fits / (most * settings.seeds), 1.0))
        return (wanted if settings.refine_epochs else _whole(epochs)), range(settings.seeds), most

    def affords(self, epochs: float, settings: RecipeSettings, trials: Trials) -> bool:
        """Whether so many epochs of one network fit, and still leave time for the chosen configuration."""
        return epochs <= self.epochs(IMPROVE_SHARE, trials)

    def estimate(
        self, number: int, settings: RecipeSettings, trials: Trials, chosen: Changes | None = None
    ) -> float | None:
        """About how many seconds are left from step `number` on; None before anything is known.

        `chosen` is the configuration that step 8 trains, once it is known.
        """
        if self.per_step is None:
            return None
        epoch = self.per_step * epoch_steps(trials)
        coarse, seeds = self.coarse(settings, trials)
        refine, _, most = self.refine(settings, trials)
        costs = {
            4: coarse * COARSE_NETWORKS * len(seeds),
            5: refine * settings.seeds * most,
            6: 0.0,
            7: settings.rounds * 6 * settings.seeds * 1.5 * refine,
            8: settings.final_seeds * (3 * refine if chosen is None else epochs_of(chosen)),
        }
        seconds = epoch * sum(cost for step, cost in costs.items() if step >= number)
        return min(seconds, self.left())


def epochs_of(changes: Changes) -> float:
    """Epochs of one network with some changes, in those of the user's: twice as wide ones take twice as long."""
    return float(changes["trainer.epochs"]) * (2.0 if "architecture.widths" in changes else 1.0)


def _whole(epochs: float) -> float:
    """Whole epochs, where there is at least one."""
    return float(round(epochs)) if epochs >= 1 else round(epochs, 2)
