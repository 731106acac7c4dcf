"""Races between configurations: all start with one seed, the best few and the present best go on with more.

Those in the worse part of all that have entered, at some points of their training, are not trained further; nor are
those that are clearly behind the present best with the seeds that both have had.

What is known about a configuration is the mean over its seeds, and where data are few each seed has its own part of
them for validation: more seeds are more evidence, and only those that may win are worth it (as in racing: Maron and
Moore 1994, "Hoeffding races"; here with a fixed share instead of a bound).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nnlab.recipe.candidate import Candidate, best_first, gain
from nnlab.recipe.changes import Changes
from nnlab.recipe.grid import run_grid, with_more
from nnlab.recipe.halving import Halving
from nnlab.recipe.report import TrialRecord
from nnlab.recipe.space import Space

SEEDS, FEWER_SEEDS = (2, 2), (2,)  # further ones of those that go on, at each rung; where there is little time
SHARE = 3  # one in so many goes on,
FEWEST, MOST = (2, 2), (4, 2)  # but at least and at most these
ENDED_AT, BETTER = (0.3, 0.6), 0.6  # parts of the training of the first seed after which only the better part goes on
ENTRY = 0.62  # of the training of a contestant's first seed, that it takes on average then
BEHIND = 1.0  # standard errors behind the present best with the same seeds, from which none goes on


@dataclass
class Race:
    """Contestants enter with the first seed, in any number of batches, before the best of them go on with more.

    Args:
        space: of the configurations.
        first: the first fresh seed.
        rungs: further seeds of those that go on, at each rung.

    Attributes:
        names: of the contestants; the first is the present best.
        results: in their order, with the seeds that each has had.
        finalists: positions of those that have had all seeds, the present best first.
        records: of the finalists' trials.
    """

    space: Space
    first: int
    rungs: Sequence[int] = SEEDS
    names: list[str] = field(default_factory=list)
    results: list[Candidate] = field(default_factory=list)
    finalists: list[int] = field(default_factory=list)
    records: list[TrialRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._halving = Halving(self.space.trials.levels.constant, ENDED_AT, BETTER)

    @property
    def seeds(self) -> int:
        """Fresh seeds that a whole race takes."""
        return 1 + sum(self.rungs)

    def enter(self, contestants: Sequence[Changes], names: Sequence[str]) -> list[Candidate]:
        """Train configurations with the first seed; those that enter first, and so the present best, to their end.

        Those that there was no time for are not among the results.
        """
        watch = (lambda: self._halving) if self.results else None
        found, _ = run_grid(self.space.trials, contestants, [self.first], 0, watch, whole=True)
        self.results += found
        name_of = {id(changes): name for changes, name in zip(contestants, names, strict=True)}
        self.names += [name_of[id(each.changes)] for each in found]
        return found

    def finish(self) -> None:
        """Train the better ones, and the present best, with more seeds, as long as there is anything to decide."""
        first = self.first + 1
        self.finalists = list(range(len(self.results)))
        for rung, seeds in enumerate(self.rungs):
            self.finalists = [0, *self._going_on(rung)]
            if len(self.finalists) == 1:
                break
            numbers, points = range(first, first + seeds), 60 if rung == len(self.rungs) - 1 else 0
            going = [self.results[i].changes for i in self.finalists]
            found, records = run_grid(self.space.trials, going, numbers, points, whole=True)
            had = [i for i in self.finalists if any(each.changes is self.results[i].changes for each in found)]
            if had[:1] != [0]:  # the clock has stopped it
                self.finalists = self.finalists if rung else [0]
                break
            names = [name for i, more in zip(had, found, strict=True) for name in [self.names[i]] * len(more.scores)]
            self.records += [replace(r, name=f"{name} {r.name}") for name, r in zip(names, records, strict=False)]
            self.results, self.finalists = with_more(self.results, found), had
            first += seeds

    def _going_on(self, rung: int) -> list[int]:
        """Positions of the challengers that have further seeds."""
        others = best_first([self.results[i] for i in self.finalists[1:]], self.space.rate_key)
        kept = others[: _going_on(len(others), rung)]
        return [
            i
            for i in self.finalists[1:]
            if any(self.results[i] is each for each in kept) and not self._behind(self.results[i])
        ]

    def _behind(self, result: Candidate) -> bool:
        difference, error = gain(result, self.results[0])
        return not difference >= -BEHIND * error


def _going_on(count: int, rung: int) -> int:
    """How many of so many contestants have further seeds."""
    return min(max(FEWEST[rung], -(-count // SHARE)), MOST[rung], count)


def entry_epochs(space: Space, contestants: Sequence[Changes]) -> float:
    """Epochs of the user's network that take as long as one seed of each, if all of it is trained."""
    return sum(float(each["trainer.epochs"]) * space.trials.weight(each) for each in contestants)


def finish_epochs(space: Space, contestants: Sequence[Changes], rungs: Sequence[int] = SEEDS) -> float:
    """Epochs of the user's network that take as long as the further seeds of a race with these contestants."""
    running, total = len(contestants) - 1, 0
    for rung, seeds in enumerate(rungs):
        running = _going_on(running, rung)
        total += (running + 1) * seeds
    return total * entry_epochs(space, contestants) / len(contestants)
