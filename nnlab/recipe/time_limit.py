"""The time of a recipe: what is left of it, and the moments at which trainings are stopped.

What is planned may take longer, on a machine that others begin to load. So each step of a recipe with a time limit also
has a moment at which its trainings are stopped (`until`), such that all after it have a share; see `Trials.run`.
Without a time limit nothing is stopped, and there is time for a few hundred epochs of the user's network.
"""

from __future__ import annotations

import math

from nnlab.recipe.report import Report
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.trials import Trials

EPOCHS = 240.0  # of one network, that a search without a time limit may take,
SHORTEST, LONGEST = 120.0, 560.0  # but at least and at most so many seconds
KEPT = 0.5  # of what the steps before have taken and done, at each step: the cost of an epoch is not that of one alone
UNTIL = {2: 0.3, 3: 0.5, 4: 0.75, 5: 0.8}  # of the time left before a step, after which its trainings are stopped,
FINAL_SHARE = 0.15  # but for this part of all time, which is that of the final training
SEARCH_LATE = 0.5  # of the time kept for the final training, that step 7 may take if it is slower than planned
CLOSING = 2.0  # times step 1, which trains nothing either, is what follows the last training: evaluation and report,
MOST_CLOSING = 0.2  # of all time at most, that is kept for it
LATE_SHARE, LATE = 0.1, 1.5  # of all time, and seconds: by so much it may end later than the limit
LONG_STEP = 0.5  # of all time, from which on the end says how long step 1 was
LEAST_STEP, MOST_STEP = 0.2, 0.05  # times step 1, that the trainings of a step have anyway, and of all time at most
LAST = 8  # step, the final training


class TimeLimit:
    """The time that is left, by the clock of the trials.

    Args:
        trials: whose clock counts.
        settings: of the recipe.
        spent: seconds that are over.

    Attributes:
        around: seconds of step 1, but for the linear model; None before it.
        first: seconds of step 1.
        last_per_epoch: as `per_epoch`, of the last step alone.
    """

    def __init__(self, trials: Trials, settings: RecipeSettings, spent: float = 0.0) -> None:
        self.trials, self.settings = trials, settings
        self.started = trials.clock() - spent
        self.around: float | None = None
        self.first = 0.0
        self.last_per_epoch = 0.0
        self._seconds = self._work = 0.0  # of the steps that trained many

    @property
    def limited(self) -> bool:
        """Whether there is a limit, and so a time to be used."""
        return self.settings.time_limit is not None

    @property
    def per_epoch(self) -> float | None:
        """Seconds of an epoch of one network, with all that is around it; None before anything is known."""
        return self._seconds / self._work if self._work else None

    def learn(self, report: Report) -> None:
        """Take the cost of an epoch from the report of a step that trained many, of which the last count most."""
        if report.number == 1:
            self.first = report.seconds
            self.around = report.seconds - self.trials.linear_seconds
        if report.work and report.number >= 3:
            self.last_per_epoch = report.seconds / report.work
            self._seconds, self._work = KEPT * self._seconds + report.seconds, KEPT * self._work + report.work

    def seconds(self) -> float:
        """Seconds for everything."""
        if self.settings.time_limit is not None:
            return self.settings.time_limit
        return min(max(EPOCHS * (self.per_epoch or 0.0), SHORTEST), LONGEST)

    def shown(self) -> float:
        """Seconds until the limit."""
        return max(self.started + self.seconds() - self.trials.clock(), 0.0)

    def late(self) -> float:
        """Seconds beyond the limit; negative before it."""
        return self.trials.clock() - self.started - self.seconds()

    def left(self) -> float:
        """Seconds of trainings."""
        return max(self.end() - self.trials.clock(), 0.0)

    def end(self) -> float:
        """Moment at which the last training ends: at the limit, or before it where what follows takes long."""
        early = min(max(self._closing() - self._lateness(), 0.0), MOST_CLOSING * self.seconds())
        return self.started + self.seconds() - (early if self.limited else 0.0)

    def _closing(self) -> float:
        """Seconds that follow the last training."""
        return CLOSING * (self.around or 0.0)

    def _lateness(self) -> float:
        """Seconds by which the recipe may end later than its limit."""
        return max(LATE_SHARE * self.seconds(), LATE)

    def until(self, number: int, kept: float = 0.0) -> float:
        """Moment at which the trainings of a step are stopped; without a time limit never.

        Args:
            kept: seconds that a search is to leave for the final training; of them it leaves the most.
        """
        if not self.limited:
            return math.inf
        if number == LAST:
            return self.end()
        share = FINAL_SHARE * self.seconds()
        if number not in UNTIL:
            spare = max(self._lateness() - self._closing(), 0.0)
            return self.end() - SEARCH_LATE * (min(kept, share) - min(spare, share))
        left = max(self.left() - share, 0.0)
        least = min(LEAST_STEP * (self.around or 0.0), MOST_STEP * self.seconds())
        return self.trials.clock() + max(UNTIL[number] * left, least)

    def remarks(self) -> list[str]:
        """What made the recipe late although nothing could be stopped, in words."""
        if not self.limited or self.first < LONG_STEP * self.seconds():
            return []
        return [f"step 1, of which nothing is left out, took {self.first:.1f} of the {self.seconds():g} seconds"]
