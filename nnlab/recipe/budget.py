"""How much is tried: what fits into the time that is left, from what the trials before have cost.

The unit is an epoch of the user's network. With `recipe.time_limit`, all of it is used: shares of what is left go to
steps 4 and 5, and step 7 goes on until only the training of the chosen configuration is left. Without it, the trials
are the same every time, whatever the machine, unless an epoch takes so long that a few hundred of them are too many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nnlab.errors import UserError
from nnlab.recipe.changes import Changes
from nnlab.recipe.report import Report
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.trials import Trials

COARSE_SHARE, REFINE_SHARE = 0.25, 0.15  # of the time left before steps 4 and 5
LENGTH_SHARE = 0.22  # of that before step 5, where it is short, for two configurations of the usual length
FIRST_BATCH = (
    1.6  # times that share, which the first batch of step 4 may need: without it there are rates and decays only
)
COARSE_STEPS = 600  # updates that are worth having, where data are small: most of a short trial is not training
EPOCHS = 240.0  # of one network, that a search without a time limit may take,
SHORTEST, LONGEST = 120.0, 560.0  # but at least and at most so many seconds
COARSE_BATCH, COARSE_AGAIN = 12, 10  # networks of a batch of step 4, and those with a second seed
REFINE_BATCH = 9  # configurations of step 5 without a time limit,
IMPROVE_WORK = 120.0  # and networks of the usual length in step 7
MOST_BATCHES, USUAL_BATCHES = 96, 4  # of step 4, with and without a time limit
GIVEN_SHARE = 0.2  # of all time, that the configuration as given may take at the end in any case
CONTESTANTS, ROUND_BATCHES = 12, 6  # of a batch of step 7, and at most so many a round where there is a time to be used
ASKED_SHARE = 0.5  # of the time left, that step 4 or 5 may take with a length that the user asks for
MOST_UPDATES = 1_000_000  # of one network in steps 4 and 5
LONGER, MANY = 2.0, 2.0  # times the usual length, where as many times the fewest configurations of step 5 fit
FINAL_MARGIN = 1.3  # times what the final training should take: it writes files, too
HALVED = 0.5  # of its length is what a trial of step 4 takes on average


class Budget:
    """The time that is left, by the clock of the trials.

    Args:
        trials: whose work is counted.
        settings: of the recipe.
        spent: seconds that earlier processes have used.

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
        self.started = trials.clock() - spent
        self.per_epoch: float | None = None  # seconds of an epoch of one network

    @property
    def timed(self) -> bool:
        """Whether there is a time to be used."""
        return self.settings.time_limit is not None

    def learn(self, report: Report) -> None:
        """Take the cost of an epoch from the report of a step that trained many."""
        if report.work and report.number >= 3:
            self.per_epoch = report.seconds / report.work

    def limit(self) -> float:
        """Seconds for everything."""
        if self.settings.time_limit is not None:
            return self.settings.time_limit
        return min(max(EPOCHS * (self.per_epoch or 0.0), SHORTEST), LONGEST)

    def left(self) -> float:
        """Seconds."""
        return max(self.limit() - (self.trials.clock() - self.started), 0.0)

    def epochs(self, share: float = 1.0) -> float:
        """Epochs of one network that fit into a share of what is left."""
        return share * self.left() / self.per_epoch if self.per_epoch else float("inf")

    def coarse_epochs(self) -> float:
        """Length of step 4: an epoch, and more where so few make few steps."""
        if self.settings.coarse_epochs is not None:
            return self._asked(self.settings.coarse_epochs, COARSE_BATCH)
        wanted = min(max(COARSE_STEPS / self.trials.epoch_steps, 1.0), 80.0)
        return _whole(min(wanted, max(self.epochs(COARSE_SHARE) / COARSE_BATCH, 0.1)))

    def _asked(self, epochs: float, networks: int) -> float:
        """The length that the user asks for; of so many networks, where there is a time limit, no more than fits."""
        fits = max(self.epochs(ASKED_SHARE) / networks, 0.1) if self.timed else epochs
        return epochs if epochs <= fits else _whole(fits)

    def batches(self, epochs: float, usual: float) -> Callable[[int], bool]:
        """Whether, after some batches of step 4 with so many epochs each, there is time for one more.

        The first one may take a larger share, where step 5 has time for the `usual` length after it.
        """
        share, started = COARSE_SHARE * self.left(), self.trials.clock()
        before = self.trials.work

        def more(done: int) -> bool:
            spent, work = self.trials.clock() - started, self.trials.work - before
            cost = spent / work * epochs if work else 0.0
            expected = spent + cost * (COARSE_BATCH * HALVED + COARSE_AGAIN)
            after = (self.left() - (expected - spent)) * LENGTH_SHARE
            first = not done and work > 0 and after > 2 * self.settings.seeds * usual * spent / work
            most = MOST_BATCHES if self.timed else USUAL_BATCHES
            return done < most and expected < (FIRST_BATCH * share if first else share)

        return more

    def refined(self, epochs: float) -> float:
        """Configurations of step 5, as if all were the user's network with all seeds."""
        fits = self.epochs(REFINE_SHARE) / (epochs * self.settings.seeds)
        return min(max(fits, 2.0), 36.0 if self.timed else REFINE_BATCH)

    def affords(self, usual: float) -> Callable[[int, float, Sequence[Changes]], bool]:
        """Whether there is time for a round of step 7 with so many epochs, and for the final training of any after."""
        started, before = self.trials.clock(), self.trials.work

        def fits(number: int, epochs: float, contestants: Sequence[Changes]) -> bool:
            spent, work = self.trials.clock() - started, self.trials.work - before
            each = spent / work if work else self.per_epoch or 0.0
            short = number <= self.settings.rounds and work + epochs <= IMPROVE_WORK * usual
            final = FINAL_MARGIN * max(map(self.for_final, contestants), default=0.0) + min(
                self.for_given(), GIVEN_SHARE * self.limit()
            )
            return (short or self.timed) and each * epochs + final <= self.left()

        return fits

    def final_epochs(self, chosen: Changes, usual: float) -> float:
        """Length of a configuration that step 5 had no time to train for long: up to the usual one, if that fits.

        As for the configuration as given, there is a share of all time for it.
        """
        own = float(chosen.get("trainer.epochs") or usual)
        one = FINAL_MARGIN * self.for_final({**chosen, "trainer.epochs": 1.0})
        share = GIVEN_SHARE * self.limit()
        left = max(self.left() - min(self.for_given(), share), share)
        return max(own, min(usual, _whole(left / one) if one else usual))

    @property
    def round_batches(self) -> int:
        """Batches of contestants that a round of step 7 may have."""
        return ROUND_BATCHES if self.timed else 1

    def refine_epochs(self, usual: float) -> float:
        """Length of step 5, `usual` where there is time for it, and longer where there is time for many."""
        if self.settings.refine_epochs is not None:
            return self._asked(self.settings.refine_epochs, 2 * self.settings.seeds)
        fits, many = (self.epochs(share) / (2 * self.settings.seeds) for share in (LENGTH_SHARE, REFINE_SHARE))
        longer = min(usual * LONGER, many / MANY) if self.timed else 0.0
        return _whole(max(longer, min(usual, max(fits, 1.0))))

    def for_final(self, changes: Changes) -> float:
        """Seconds that the training of a configuration with all final seeds takes."""
        epochs = float(changes.get("trainer.epochs") or 1.0) * self.trials.weight(changes)
        return self.settings.final_seeds * epochs * (self.per_epoch or 0.0)

    def for_given(self) -> float:
        """Seconds that the training of the configuration as given with all final seeds takes."""
        steps, epochs = self.trials.value("trainer.steps"), self.trials.value("trainer.epochs")
        return self.for_final({"trainer.epochs": epochs if steps is None else steps / self.trials.epoch_steps})

    def given_seeds(self, chosen: Changes) -> int:
        """Networks of the configuration as given that there is time for, after those of the chosen one.

        Its share of all time is its own, though step 7 may have taken longer than expected.
        """
        most, cost = self.settings.final_seeds, self.for_given()
        left = max(self.left() - self.for_final(chosen), GIVEN_SHARE * self.limit())
        return most if cost <= left else int(most * left / cost)

    def estimate(self, number: int, usual: float, chosen: Changes | None = None) -> float | None:
        """About how many seconds are left from step `number` on; None before anything is known."""
        if self.per_epoch is None:
            return None
        final = self.for_final(chosen or {"trainer.epochs": usual})
        final += min(self.for_given(), max(self.left() - final, GIVEN_SHARE * self.limit()))  # as `given_seeds` allows
        if number == 8:
            return final
        if self.timed:
            return max(self.left(), final)  # which is trained in any case
        costs = {
            4: USUAL_BATCHES * COARSE_BATCH * self.coarse_epochs(),
            5: REFINE_BATCH * self.settings.seeds * usual,
            7: IMPROVE_WORK * usual,
            8: self.settings.final_seeds * 2 * usual,
        }
        return min(self.per_epoch * sum(cost for step, cost in costs.items() if step >= number), self.left())


def _whole(epochs: float) -> float:
    """Whole epochs, where there is at least one."""
    return float(round(epochs)) if epochs >= 1 else round(epochs, 2)
