"""How much is tried: what fits into the time that is left, from what the trials before have cost.

The unit is an epoch of the user's network. With `recipe.time_limit`, all of it is used: shares of what is left go to
steps 4 and 5, and step 7 goes on until only the training of the chosen configuration is left. Without it, the trials
are the same every time, whatever the machine, unless an epoch takes so long that a few hundred of them are too many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nnlab.errors import UserError
from nnlab.recipe.changes import Changes
from nnlab.recipe.final_budget import FinalBudget, whole
from nnlab.recipe.learning_rate import STEPS
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.time_limit import LAST, TimeLimit
from nnlab.recipe.trials import Trials

FEWEST_STEPS = 10  # of a network of step 3
COARSE_SHARE, REFINE_SHARE = 0.25, 0.15  # of the time left before steps 4 and 5
COARSE_STEPS = 600  # updates that are worth having, where data are small: most of a short trial is not training
COARSE_BATCH, COARSE_AGAIN = 12, 10  # networks of a batch of step 4, and those with a second seed
MOST_BATCHES, USUAL_BATCHES = 96, 4  # of step 4, with and without a time limit
FIRST_BATCH = 1.6  # times the share of step 4, that its first batch may need: else only rates and decays are tried
HALVED = 0.5  # of its length is what a trial of step 4 takes on average
LENGTH_SHARE = 0.22  # of the time before step 5, where it is short, for two configurations of the usual length
REFINE_BATCH, MOST_REFINED = 9, 36  # configurations of step 5 without a time limit, and at most with one
LONGER, MANY = 2.0, 2.0  # times the usual length, where as many times the fewest configurations of step 5 fit
ASKED_SHARE = 0.5  # of the time left, that step 4 or 5 may take with a length that the user asks for
MOST_UPDATES = 1_000_000  # of one network in steps 4 and 5
IMPROVE_WORK = 120.0  # networks of the usual length in step 7 without a time limit
CONTESTANTS, ROUND_BATCHES = 12, 6  # of a batch of step 7, and at most so many a round where there is a time to be used
FIRST_MARGIN = 1.5  # times what step 5 says is what the first round of step 7 may cost: a stopped race is lost


class Budget:
    """What the steps may take of the time that is left.

    Args:
        trials: whose work is counted.
        settings: of the recipe.
        spent: seconds that are over.

    Attributes:
        time: what is left.
        final: what the final training may take.

    Raises:
        UserError: a network of step 4 or 5 has more updates than any needs.
    """

    def __init__(self, trials: Trials, settings: RecipeSettings, spent: float = 0.0) -> None:
        for name in ("coarse_epochs", "refine_epochs"):
            wanted, most = getattr(settings, name) or 0.0, MOST_UPDATES / trials.epoch_steps
            if wanted > most:
                raise UserError(
                    f"`recipe.{name}` = {wanted:g} are {wanted * trials.epoch_steps:,.0f} updates of each of many "
                    f"networks; at most {MOST_UPDATES:,}, which are {most:g} epochs of these data"
                )
        self.trials, self.settings = trials, settings
        self.time = TimeLimit(trials, settings, spent)
        self.final = FinalBudget(self.time)

    def until(self, number: int, chosen: Changes | None = None) -> float:
        """Moment at which the trainings of a step are stopped; without a time limit never.

        Args:
            chosen: the best configuration so far, of whose final training step 7 leaves the most.
        """
        return self.time.until(number, self.final.after_search(chosen) if chosen else 0.0)

    def rates(self, networks: int) -> tuple[int, int]:
        """Seeds and steps of step 3 where so many rates are tried: with little time, first fewer seeds, then steps."""
        seeds, cost = self.settings.seeds, networks * self.trials.costs.per_step
        fit = int((self.until(3) - self.trials.clock()) / cost) if self.time.limited and cost else seeds * STEPS
        return min(max(fit // STEPS, 1), seeds), min(max(fit, FEWEST_STEPS), STEPS)

    def epochs(self, share: float = 1.0) -> float:
        """Epochs of one network that fit into a share of what is left."""
        return share * self.time.left() / self.time.per_epoch if self.time.per_epoch else float("inf")

    def coarse_epochs(self) -> float:
        """Length of step 4: an epoch, and more where so few make few steps."""
        if self.settings.coarse_epochs is not None:
            return self._asked(self.settings.coarse_epochs, COARSE_BATCH)
        wanted = min(max(COARSE_STEPS / self.trials.epoch_steps, 1.0), 80.0)
        return whole(min(wanted, max(self.epochs(COARSE_SHARE) / COARSE_BATCH, 0.1)))

    def _asked(self, epochs: float, networks: int) -> float:
        """The length that the user asks for; of so many networks, where there is a time limit, no more than fits."""
        fits = max(self.epochs(ASKED_SHARE) / networks, 0.1) if self.time.limited else epochs
        return epochs if epochs <= fits else whole(fits)

    def batches(self, epochs: float, usual: float) -> Callable[[int], bool]:
        """Whether, after some batches of step 4 with so many epochs each, there is time for one more.

        The first one may take a larger share, where step 5 has time for the `usual` length after it.
        """
        share, started = COARSE_SHARE * self.time.left(), self.trials.clock()
        before = self.trials.work

        def more(done: int) -> bool:
            spent, work = self.trials.clock() - started, self.trials.work - before
            cost = spent / work * epochs if work else 0.0
            expected = spent + cost * (COARSE_BATCH * HALVED + COARSE_AGAIN)
            after = (self.time.left() - (expected - spent)) * LENGTH_SHARE
            first = not done and work > 0 and after > 2 * self.settings.seeds * usual * spent / work
            most = MOST_BATCHES if self.time.limited else USUAL_BATCHES
            return done < most and expected < (FIRST_BATCH * share if first else share)

        return more

    def refine_epochs(self, usual: float) -> float:
        """Length of step 5, `usual` where there is time for it, and longer where there is time for many."""
        if self.settings.refine_epochs is not None:
            return self._asked(self.settings.refine_epochs, 2 * self.settings.seeds)
        fits, many = (self.epochs(share) / (2 * self.settings.seeds) for share in (LENGTH_SHARE, REFINE_SHARE))
        longer = min(usual * LONGER, many / MANY) if self.time.limited else 0.0
        return whole(max(longer, min(usual, max(fits, 1.0))))

    def refined(self, epochs: float) -> float:
        """Configurations of step 5, as if all were the user's network with all seeds."""
        fits = self.epochs(REFINE_SHARE) / (epochs * self.settings.seeds)
        return min(max(fits, 2.0), MOST_REFINED if self.time.limited else REFINE_BATCH)

    def affords(self, usual: float) -> Callable[[int, float, Sequence[Changes]], bool]:
        """Whether there is time for a round of step 7 with so many epochs, and for the final training of any after."""
        started, before = self.trials.clock(), self.trials.work

        def fits(number: int, epochs: float, contestants: Sequence[Changes]) -> bool:
            spent, work = self.trials.clock() - started, self.trials.work - before
            known = max(self.time.per_epoch or 0.0, self.time.last_per_epoch)
            each = spent / work if work else known * (FIRST_MARGIN if self.time.limited else 1.0)
            short = number <= self.settings.rounds and work + epochs <= IMPROVE_WORK * usual
            final = max((self.final.after_search(each) for each in contestants), default=self.final.for_given())
            return (short or self.time.limited) and each * epochs + final <= self.time.left()

        return fits

    @property
    def round_batches(self) -> int:
        """Batches of contestants that a round of step 7 may have."""
        return ROUND_BATCHES if self.time.limited else 1

    def estimate(self, number: int, usual: float, chosen: Changes | None = None) -> float | None:
        """About how many seconds are left from step `number` on; None before anything is known.

        With a time limit these are what is left of it.
        """
        if self.time.limited:
            return self.time.shown()
        if self.time.per_epoch is None:
            return None
        if number == LAST:
            return self.final.estimate(chosen or {"trainer.epochs": usual})
        costs = {
            4: USUAL_BATCHES * COARSE_BATCH * self.coarse_epochs(),
            5: REFINE_BATCH * self.settings.seeds * usual,
            7: IMPROVE_WORK * usual,
            8: self.settings.final_seeds * 2 * usual,
        }
        return min(self.time.per_epoch * sum(cost for step, cost in costs.items() if step >= number), self.time.left())
