"""How much is tried: what fits into the time that is left, from what the trials before have cost.

The unit is an epoch of the user's network. With `recipe.time_limit`, all of it is used: shares of what is left go to
steps 4 and 5, and step 7 goes on until only the training of the chosen configuration is left. Without it, the trials
are the same every time, whatever the machine, unless an epoch takes so long that a few hundred of them are too many.

What is planned may take longer, on a machine that others begin to load. So each step of a recipe with a time limit also
has a moment at which its trainings are stopped (`until`), such that all after it have a share; see `Trials.run`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nnlab.diagnosis.facts.simple import SECONDS
from nnlab.errors import UserError
from nnlab.recipe.changes import Changes
from nnlab.recipe.learning_rate import STEPS
from nnlab.recipe.report import Report
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.space import Space
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
KEPT = 0.5  # of what the steps before have taken and done, at each step: the cost of an epoch is not that of one alone
UNTIL = {2: 0.3, 3: 0.5, 4: 0.75, 5: 0.8}  # of the time left before a step, after which its trainings are stopped,
FINAL_SHARE = 0.15  # but for this part of all time, which is that of the final training
CLOSING = 2.0  # times step 1, which trains nothing either, is what follows the last training: evaluation and report,
MOST_CLOSING = 0.2  # of all time at most, that is kept for it
LATE_SHARE, LATE = 0.1, 1.5  # of all time, and seconds: by so much it may end later than the limit
TOO_LATE, TOO_LATE_SECONDS = 0.1, 0.3  # of all time, and seconds, beyond the limit: then there are no boosted trees
LONG_STEP = 0.5  # of all time, from which on the end says how long step 1 was
EARLY_TREES = 10.0  # seconds of all time, from which on they are fitted before step 7, and not in the end
TREES_SHARE, FEWEST_TREES = 0.1, 0.5  # of all time, and seconds, that boosted trees may take in the end
AROUND = 0.3  # times step 1 is what a final training takes that is not training
LEAST_STEP, LEAST_FINAL = 0.2, 0.5  # times step 1, that the trainings of a step and the last one have in any case,
MOST_STEP, MOST_FINAL = 0.05, 0.15  # but no more than these parts of all time
LEAST_SHARE = 0.05  # of all time, that a final training has in any case
FIRST_MARGIN = 1.5  # times what step 5 says is what the first round of step 7 may cost: a stopped race is lost
SEARCH_LATE = 0.5  # of the time kept for the final training, that step 7 may take if it is slower than planned
LAST = 8  # step, the final training
FEWEST_STEPS = 10  # of a network of step 3


class Budget:
    """The time that is left, by the clock of the trials.

    Args:
        trials: whose work is counted.
        settings: of the recipe.
        spent: seconds that are over.

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
        self.around: float | None = None  # seconds of step 1, but for the linear model
        self.last_per_epoch = 0.0  # as `per_epoch`, of the last step alone
        self._seconds = self._work = 0.0  # of the steps that trained many

    @property
    def timed(self) -> bool:
        """Whether there is a time to be used."""
        return self.settings.time_limit is not None

    @property
    def per_epoch(self) -> float | None:
        """Seconds of an epoch of one network, with all that is around it; None before anything is known."""
        return self._seconds / self._work if self._work else None

    def learn(self, report: Report) -> None:
        """Take the cost of an epoch from the report of a step that trained many, of which the last count most."""
        if report.number == 1:
            self.around = report.seconds - self.trials.linear_seconds
        if report.work and report.number >= 3:
            self.last_per_epoch = report.seconds / report.work
            self._seconds, self._work = KEPT * self._seconds + report.seconds, KEPT * self._work + report.work

    def limit(self) -> float:
        """Seconds for everything."""
        if self.settings.time_limit is not None:
            return self.settings.time_limit
        return min(max(EPOCHS * (self.per_epoch or 0.0), SHORTEST), LONGEST)

    def left(self) -> float:
        """Seconds of trainings."""
        return max(self.end() - self.trials.clock(), 0.0)

    def end(self) -> float:
        """Moment at which the last training ends: at the limit, or before it where what follows takes long."""
        early = min(max(self._closing() - self._lateness(), 0.0), MOST_CLOSING * self.limit())
        return self.started + self.limit() - (early if self.timed else 0.0)

    def _closing(self) -> float:
        """Seconds that follow the last training."""
        return CLOSING * (self.around or 0.0)

    def _lateness(self) -> float:
        """Seconds by which the recipe may end later than its limit."""
        return max(LATE_SHARE * self.limit(), LATE)

    def until(self, number: int, chosen: Changes | None = None) -> float:
        """Moment at which the trainings of a step are stopped; without a time limit never.

        Args:
            chosen: the best configuration so far, of whose final training step 7 leaves the most.
        """
        if not self.timed:
            return math.inf
        if number == LAST:
            return self.end()
        if number not in UNTIL:
            kept = min(self.after_search(chosen), FINAL_SHARE * self.limit()) if chosen else 0.0
            spare = max(self._lateness() - self._closing(), 0.0)
            return self.end() - SEARCH_LATE * (kept - min(spare, FINAL_SHARE * self.limit()))
        left = max(self.left() - FINAL_SHARE * self.limit(), 0.0)
        least = min(LEAST_STEP * (self.around or 0.0), MOST_STEP * self.limit())
        return self.trials.clock() + max(UNTIL[number] * left, least)

    def late(self) -> list[str]:
        """What made the recipe late although nothing could be stopped, in words."""
        if not self.timed or (self.around or 0.0) < LONG_STEP * self.limit():
            return []
        return [f"step 1, of which nothing is left out, took {self.around:.1f} of the {self.limit():g} seconds"]

    @property
    def trees_early(self) -> bool:
        """Whether step 7 begins with boosted trees, so that what they take is known before the rest is planned."""
        return self.timed and self.limit() >= EARLY_TREES

    def trees(self) -> float:
        """Seconds that boosted trees may take; 0 where it is too late for them."""
        late = self.trials.clock() - self.started - self.limit()
        if self.timed and late > max(TOO_LATE * self.limit(), TOO_LATE_SECONDS):
            return 0.0
        return min(max(TREES_SHARE * self.limit(), FEWEST_TREES), SECONDS) if self.timed else SECONDS

    def rates(self, networks: int) -> tuple[int, int]:
        """Seeds and steps of step 3 where so many rates are tried: with little time, first fewer seeds, then steps."""
        seeds, cost = self.settings.seeds, networks * self.trials.costs.per_step
        fit = int((self.until(3) - self.trials.clock()) / cost) if self.timed and cost else seeds * STEPS
        return min(max(fit // STEPS, 1), seeds), min(max(fit, FEWEST_STEPS), STEPS)

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
            before_any = max(self.per_epoch or 0.0, self.last_per_epoch) * (FIRST_MARGIN if self.timed else 1.0)
            each = spent / work if work else before_any
            short = number <= self.settings.rounds and work + epochs <= IMPROVE_WORK * usual
            final = max((self.after_search(each) for each in contestants), default=self.for_given())
            return (short or self.timed) and each * epochs + final <= self.left()

        return fits

    def after_search(self, chosen: Changes) -> float:
        """Seconds that are kept for the training of a configuration with all final seeds, and for that as given."""
        return FINAL_MARGIN * self.for_final(chosen) + min(self.for_given(), GIVEN_SHARE * self.limit())

    def final_epochs(self, chosen: Changes, usual: float) -> float:
        """Length of a configuration that step 5 had no time to train for long: up to the usual one, if that fits."""
        own = float(chosen.get("trainer.epochs") or usual)
        one = FINAL_MARGIN * self.training({**chosen, "trainer.epochs": 1.0}, self.settings.final_seeds)
        share = GIVEN_SHARE * self.limit()
        left = max(self.left() - min(self.for_given(), share), share) - self._around()
        return max(own, min(usual, _whole(max(left, self._least()) / one) if one else usual))

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

    def training(self, changes: Changes, networks: int) -> float:
        """Seconds that the training of so many networks of a configuration takes, from what a step has cost so far."""
        epochs = float(changes.get("trainer.epochs") or 1.0) * self.trials.weight(changes)
        per_epoch = self.trials.costs.per_step * self.trials.epoch_steps or self.per_epoch or 0.0
        return networks * epochs * per_epoch

    def for_final(self, changes: Changes) -> float:
        """Seconds that the training of a configuration with all final seeds takes, with the files that it writes."""
        return self._around() + self.training(changes, self.settings.final_seeds)

    def for_given(self) -> float:
        """Seconds that the training of the configuration as given with all final seeds takes."""
        return self.for_final(self._given())

    def _given(self) -> Changes:
        steps, epochs = self.trials.value("trainer.steps"), self.trials.value("trainer.epochs")
        return {"trainer.epochs": epochs if steps is None else steps / self.trials.epoch_steps}

    def _around(self) -> float:
        """Seconds of a final training that are not spent on training."""
        return AROUND * (self.around or 0.0) if self.timed else 0.0

    def _least(self) -> float:
        """Seconds of training that the last one has in any case: a network that was not trained is of no use."""
        least = min(max(LEAST_SHARE * self.limit(), LEAST_FINAL * (self.around or 0.0)), MOST_FINAL * self.limit())
        return least if self.timed else 0.0

    def given_seeds(self, most: int) -> int:
        """Networks of the configuration as given, at most so many, that there is time for after the chosen ones.

        Without a time limit, its share of all time is its own, though step 7 may have taken longer than expected.
        """
        if self.timed:
            return self._fitting(self._given(), most, self.left() - self._around())
        cost, left = self.for_given(), max(self.left(), GIVEN_SHARE * self.limit())
        return most if cost <= left else int(most * left / cost)

    def _fitting(self, changes: Changes, most: int, seconds: float) -> int:
        """How many networks of a configuration fit, at most so many."""
        cost = FINAL_MARGIN * self.training(changes, 1)
        return most if most * cost <= seconds else max(int(seconds / cost), 0)

    def final_plan(self, chosen: Changes, most: int) -> tuple[Changes, int]:
        """The chosen configuration and a number of seeds, at most so many, that fit into the time left.

        Fewer seeds come first, then a shorter training.
        """
        if not self.timed:
            return chosen, most
        given = min(self.for_given(), GIVEN_SHARE * self.left())
        seconds = max(self.left() - given - self._around(), self._least())
        seeds = self._fitting(chosen, most, seconds)
        if seeds:
            return chosen, seeds
        epochs = float(chosen["trainer.epochs"]) * seconds / (FINAL_MARGIN * self.training(chosen, 1))
        length = _whole(max(epochs, 1 / self.trials.epoch_steps))
        return Space(self.trials, length).settled({**chosen, "trainer.epochs": length}), 1

    def affords_again(self, chosen: Changes, networks: int) -> bool:
        """Whether, in the final training, there is time to train so many networks of a configuration once more."""
        cost = self._around() + FINAL_MARGIN * self.training(chosen, networks)
        return not self.timed or cost <= self.left()

    def final_seconds(self) -> float | None:
        """Seconds after which a final training is stopped; None without a time limit."""
        return max(self.left(), self._least()) if self.timed else None

    def estimate(self, number: int, usual: float, chosen: Changes | None = None) -> float | None:
        """About how many seconds are left from step `number` on; None before anything is known.

        With a time limit these are what is left of it.
        """
        if self.timed:
            return max(self.started + self.limit() - self.trials.clock(), 0.0)
        if self.per_epoch is None:
            return None
        if number == LAST:
            final = self.for_final(chosen or {"trainer.epochs": usual})
            return final + min(self.for_given(), max(self.left() - final, GIVEN_SHARE * self.limit()))
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
