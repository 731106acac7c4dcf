"""Step 5: the best few of the coarse grid and finer values around them, trained longer, several seeds each.

The learning rate stays constant: what decay gives is tried in step 7, when rate and regularization are right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnlab.diagnosis.facts.levels import measure_levels
from nnlab.diagnosis.finding import shown
from nnlab.recipe.candidate import Candidate, best_first
from nnlab.recipe.changes import Changes
from nnlab.recipe.grid import columns, described, differences, rows, run_grid
from nnlab.recipe.numbers import GridNumbers
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.space import Space
from nnlab.recipe.watch import FitWatch

TITLE = "Refine the grid, train longer"
FACTORS = (1.0, 1.7, 0.6)  # around a rate; in order of preference
SAME = 0.1  # relative distance below which two rates are one
POINTS = 400  # of the curves that step 6 looks at
KEPT = 4


def refine_grid(
    space: Space, candidates: Sequence[Candidate], epochs: float = 15, seeds: Sequence[int] = (0, 1, 2), most: int = 12
) -> StepReport[GridNumbers]:
    """Finer rates around the best candidates (best first), at most `most` configurations."""
    trials = space.trials
    finer = finer_candidates(space, candidates, epochs)[:most]
    results, records = run_grid(trials, finer, seeds, POINTS, FitWatch)
    ranked = best_first(results, space.rate_key)
    best = ranked[0]
    levels = measure_levels(trials.dataset, trials.loss)
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
    report.tables.append(
        Table(f"{epochs:g} epochs, {len(seeds)} seeds, best first", columns(trials), rows(trials, results))
    )
    report.conclusion = (
        f"best of {len(results)}: {described(trials, best.changes)}, validation loss {shown(best.score)} ± "
        f"{shown(best.spread)}; {numbers.differences}"
    )
    return report


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
