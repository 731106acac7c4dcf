"""Races between configurations: all start with one seed, the better third and the present best go on with more.

What is known about a configuration is the mean over its seeds, and where data are few each seed has its own part of
them for validation: more seeds are more evidence, and only those that may win are worth it (as in racing: Maron and
Moore 1994, "Hoeffding races"; here with a fixed share instead of a bound).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nnlab.recipe.candidate import Candidate, best_first
from nnlab.recipe.changes import Changes
from nnlab.recipe.grid import run_grid
from nnlab.recipe.report import TrialRecord
from nnlab.recipe.space import Space

RUNGS = (1, 2, 4)  # further seeds at each rung
SHARE = 3  # one in so many goes on,
FEWEST = 2  # but at least these


@dataclass
class Race:
    """The outcome, in the order of the contestants; the first is the present best.

    Attributes:
        results: with the seeds that each has had.
        finalists: positions of those that have had all seeds, the present best first.
        records: of the finalists' trials.
    """

    results: list[Candidate]
    finalists: list[int]
    records: list[TrialRecord]


def race(space: Space, contestants: Sequence[Changes], names: Sequence[str], first: int) -> Race:
    """Train all with a fresh seed, and the better ones with more.

    Args:
        space: of the configurations.
        contestants: the present best, then what is tried.
        names: of the contestants, for the records.
        first: the first fresh seed.
    """
    results: dict[int, Candidate] = {}
    records: list[TrialRecord] = []
    running = list(range(len(contestants)))
    for rung, seeds in enumerate(RUNGS):
        numbers = range(first, first + seeds)
        points = 60 if rung == len(RUNGS) - 1 else 0
        found, kept = run_grid(space.trials, [contestants[i] for i in running], numbers, points)
        for i, result in zip(running, found, strict=True):
            results[i] = results[i].joined(result) if i in results else result
        records += [replace(r, name=f"{names[running[n // seeds]]} {r.name}") for n, r in enumerate(kept)]
        first += seeds
        if rung < len(RUNGS) - 1:
            others = best_first([results[i] for i in running[1:]], space.rate_key)
            kept_on = others[: max(FEWEST, -(-len(others) // SHARE))]
            running = [0, *(i for i in running[1:] if any(results[i] is each for each in kept_on))]
    return Race([results[i] for i in range(len(contestants))], running, records)


def race_epochs(space: Space, contestants: Sequence[Changes]) -> float:
    """Epochs of the user's network that take as long as a race."""
    epochs = [float(each["trainer.epochs"]) * space.trials.weight(each) for each in contestants]
    running, total = len(contestants), 0.0
    for seeds in RUNGS:
        total += running * seeds
        running = 1 + min(running - 1, max(FEWEST, -(-(running - 1) // SHARE)))
    return total * sum(epochs) / len(epochs)
