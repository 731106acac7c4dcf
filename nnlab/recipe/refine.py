"""Step 5: the best few of the coarse grid and finer values around them, trained longer, several seeds each.

The learning rate stays constant: what decay gives is tried in step 7, when rate and regularization are right.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from nnlab.console import counted, with_error
from nnlab.recipe.candidate import Candidate, best_first
from nnlab.recipe.changes import Changes
from nnlab.recipe.grid import described, differences, run_grid, table, with_more
from nnlab.recipe.numbers import GridNumbers
from nnlab.recipe.report import StepReport
from nnlab.recipe.space import Space
from nnlab.recipe.watch import FitWatch

TITLE = "Refine the grid, train longer"
FACTORS = (1.0, 1.7, 0.6)  # around a rate; in order of preference
SAME = 0.1  # relative distance below which two rates are one
POINTS = 400  # of the curves that step 6 looks at
KEPT = 8
FEWEST = 2  # configurations that all seeds are for


def refine_grid(
    space: Space,
    candidates: Sequence[Candidate],
    epochs: float = 15,
    seeds: Sequence[int] = (0, 1, 2),
    most: float = 12,
) -> StepReport[GridNumbers]:
    """Finer rates around the best candidates (best first): all with one seed, the better half with the others.

    Args:
        space: of the configurations.
        candidates: of step 4.
        epochs: length of each trial.
        seeds: of the better half.
        most: trials of the user's network with all seeds that this may take.
    """
    trials = space.trials
    finer = affordable(space, finer_candidates(space, candidates, epochs), most, len(seeds))
    tried, first = run_grid(trials, finer, seeds[:1], POINTS, FitWatch)
    better = best_first(tried, space.rate_key)[: max(math.ceil(len(tried) / 2), FEWEST)]
    further, records = run_grid(trials, [each.changes for each in better], seeds[1:], POINTS, FitWatch, whole=True)
    results = with_more(better, further)
    records = [*first, *records]
    ranked = best_first(results, space.rate_key)
    best = ranked[0]
    levels = trials.levels
    if trials.stopped:
        epochs = min(epochs, max(each.curves["loss/train"][0][-1] for each in records) / trials.epoch_steps)
    numbers = GridNumbers(
        epochs,
        best,
        ranked[:KEPT],
        levels.initial,
        levels.constant,
        levels.floor,
        min((min(r.fits) for r in results if all(map(math.isfinite, r.fits))), default=math.inf),
        differences(results),
    )
    others = [each for each in records if not each.is_of(best.changes)]
    for each in others:
        each.thin()
    report = StepReport(5, TITLE, numbers, trials=records)
    had = max(len(each.scores) for each in results)
    length = f"{epochs:g} epoch{'s' * (epochs != 1)}"
    title = f"{length}, the better {len(results)} of {len(tried)} with {counted(had, 'seed')}, best first"
    report.tables.append(table(title, trials, results))
    among = f"of the better {len(results)}, " if 1 < len(results) < len(tried) else ""
    report.conclusion = (
        f"best of {len(tried)}: {described(trials, best.changes)}, validation loss "
        f"{with_error(best.score, best.spread if len(best.scores) > 1 else math.nan)}; {among}{numbers.differences}"
    )
    return report


def affordable(space: Space, configurations: Sequence[Changes], most: float, seeds: int) -> Sequence[Changes]:
    """The first ones, as many as take the time of `most` of the user's networks with all seeds; two at least."""
    each_takes = (1 + (seeds - 1) / 2) / seeds
    costs = itertools.accumulate(each_takes * space.trials.weight(changes) for changes in configurations)
    return configurations[: max(sum(cost <= most for cost in costs), FEWEST)]


def finer_candidates(space: Space, candidates: Sequence[Candidate], epochs: float) -> list[Changes]:
    """The candidates with finer rates around each, the likeliest first, none twice."""
    key, found = space.rate_key, list[Changes]()
    for factor in FACTORS:
        for each in candidates:
            rate = float(f"{each.changes[key] * factor:.2g}")
            new = space.settled({**each.changes, key: rate, "trainer.epochs": epochs})
            near = [other for other in found if {**other, key: 0} == {**new, key: 0}]
            if rate <= max(space.highest_rate, each.changes[key]) and all(
                abs(math.log(rate / other[key])) >= SAME for other in near
            ):
                found.append(new)
    return found
