"""What the final training may take: of the chosen configuration, of the one as given, and of boosted trees beside them.

Seconds are estimated from what trainings have cost so far. Where they do not fit, there are fewer seeds first, then
fewer epochs.
"""

from __future__ import annotations

from nnlab.diagnosis.facts.simple import SECONDS
from nnlab.recipe.changes import Changes
from nnlab.recipe.space import Space
from nnlab.recipe.time_limit import TimeLimit

MARGIN = 1.3  # times what the final training should take: it writes files, too
AROUND = 0.3  # times step 1 is what a final training takes that is not training
GIVEN_SHARE = 0.2  # of all time, that the configuration as given may take at the end in any case
LEAST_SHARE, LEAST, MOST = 0.05, 0.5, 0.15  # of all time, or times step 1, that it has anyway, and of all at most
EARLY_TREES = 10.0  # seconds of all time, from which on boosted trees are fitted before step 7, and not in the end
TREES_SHARE, FEWEST_TREES = 0.1, 0.5  # of all time, and seconds, that boosted trees may take in the end
TOO_LATE, TOO_LATE_SECONDS = 0.1, 0.3  # of all time, and seconds, beyond the limit: then there are no boosted trees


class FinalBudget:
    """What of the final training there is time for.

    Args:
        time: what is left.
    """

    def __init__(self, time: TimeLimit) -> None:
        self.time, self.trials, self.settings = time, time.trials, time.settings

    def training(self, changes: Changes, networks: int) -> float:
        """Seconds that the training of so many networks of a configuration takes, from what a step has cost so far."""
        epochs = float(changes.get("trainer.epochs") or 1.0) * self.trials.weight(changes)
        per_epoch = self.trials.costs.per_step * self.trials.epoch_steps or self.time.per_epoch or 0.0
        return networks * epochs * per_epoch

    def for_chosen(self, changes: Changes) -> float:
        """Seconds that the training of a configuration with all final seeds takes, with the files that it writes."""
        return self._around() + self.training(changes, self.settings.final_seeds)

    def for_given(self) -> float:
        """Seconds that the training of the configuration as given with all final seeds takes."""
        return self.for_chosen(self._given())

    def after_search(self, chosen: Changes) -> float:
        """Seconds that are kept for the training of a configuration with all final seeds, and for that as given."""
        return MARGIN * self.for_chosen(chosen) + min(self.for_given(), GIVEN_SHARE * self.time.seconds())

    def estimate(self, chosen: Changes) -> float:
        """Seconds that all of it takes, if there is no time limit."""
        own = self.for_chosen(chosen)
        return own + min(self.for_given(), max(self.time.left() - own, GIVEN_SHARE * self.time.seconds()))

    def epochs(self, chosen: Changes, usual: float) -> float:
        """Length of a configuration that step 5 had no time to train for long: up to the usual one, if that fits."""
        own = float(chosen.get("trainer.epochs") or usual)
        one = MARGIN * self.training({**chosen, "trainer.epochs": 1.0}, self.settings.final_seeds)
        share = GIVEN_SHARE * self.time.seconds()
        left = max(self.time.left() - min(self.for_given(), share), share) - self._around()
        return max(own, min(usual, whole(max(left, self._least()) / one) if one else usual))

    def plan(self, chosen: Changes, most: int) -> tuple[Changes, int]:
        """The chosen configuration and a number of seeds, at most so many, that fit into the time left.

        Fewer seeds come first, then a shorter training.
        """
        if not self.time.limited:
            return chosen, most
        given = min(self.for_given(), GIVEN_SHARE * self.time.left())
        seconds = max(self.time.left() - given - self._around(), self._least())
        seeds = self._fitting(chosen, most, seconds)
        if seeds:
            return chosen, seeds
        epochs = float(chosen["trainer.epochs"]) * seconds / (MARGIN * self.training(chosen, 1))
        length = whole(max(epochs, 1 / self.trials.epoch_steps))
        return Space(self.trials, length).settled({**chosen, "trainer.epochs": length}), 1

    def given_seeds(self, most: int) -> int:
        """Networks of the configuration as given, at most so many, that there is time for after the chosen ones.

        Without a time limit, its share of all time is its own, though step 7 may have taken longer than expected.
        """
        if self.time.limited:
            return self._fitting(self._given(), most, self.time.left() - self._around())
        cost, left = self.for_given(), max(self.time.left(), GIVEN_SHARE * self.time.seconds())
        return most if cost <= left else int(most * left / cost)

    def affords_again(self, chosen: Changes, networks: int) -> bool:
        """Whether there is time to train so many networks of a configuration once more."""
        cost = self._around() + MARGIN * self.training(chosen, networks)
        return not self.time.limited or cost <= self.time.left()

    def seconds(self) -> float | None:
        """Seconds after which a final training is stopped; None without a time limit."""
        return max(self.time.left(), self._least()) if self.time.limited else None

    @property
    def trees_early(self) -> bool:
        """Whether step 7 begins with boosted trees, so that what they take is known before the rest is planned."""
        return self.time.limited and self.time.seconds() >= EARLY_TREES

    def trees(self) -> float:
        """Seconds that boosted trees may take; 0 where it is too late for them."""
        if not self.time.limited:
            return SECONDS
        every = self.time.seconds()
        if self.time.late() > max(TOO_LATE * every, TOO_LATE_SECONDS):
            return 0.0
        return min(max(TREES_SHARE * every, FEWEST_TREES), SECONDS)

    def _given(self) -> Changes:
        steps, epochs = self.trials.value("trainer.steps"), self.trials.value("trainer.epochs")
        return {"trainer.epochs": epochs if steps is None else steps / self.trials.epoch_steps}

    def _around(self) -> float:
        """Seconds of a final training that are not spent on training."""
        return AROUND * (self.time.around or 0.0) if self.time.limited else 0.0

    def _least(self) -> float:
        """Seconds of training that the last one has in any case: a network that was not trained is of no use."""
        every = self.time.seconds()
        least = min(max(LEAST_SHARE * every, LEAST * (self.time.around or 0.0)), MOST * every)
        return least if self.time.limited else 0.0

    def _fitting(self, changes: Changes, most: int, seconds: float) -> int:
        """How many networks of a configuration fit, at most so many."""
        cost = MARGIN * self.training(changes, 1)
        return most if most * cost <= seconds else max(int(seconds / cost), 0)


def whole(epochs: float) -> float:
    """Whole epochs, where there is at least one."""
    return float(round(epochs)) if epochs >= 1 else round(epochs, 2)
