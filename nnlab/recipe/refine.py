"""Step 5: the best few of the coarse grid and finer values around them, trained longer, several seeds each.

The learning rate stays constant: what decay gives is tried in step 7, when rate and regularization are right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnlab.diagnosis.facts.levels import measure_levels
from nnlab.diagnosis.finding import shown
from nnlab.recipe.candidate import Candidate
from nnlab.recipe.changes import Changes
from nnlab.recipe.grid import DECAY_KEY, columns, differences, rows, run_grid
from nnlab.recipe.numbers import GridNumbers
from nnlab.recipe.rates import rate_key
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.trials import Trials

TITLE = "Refine the grid, train longer"
FACTORS = (1.0, 1.7, 0.6)  # around a rate; in order of preference
POINTS = 400  # of the curves that step 6 looks at
KEPT = 3


def refine_grid(
    trials: Trials,
    candidates: Sequence[Candidate],
    epochs: float = 15,
    seeds: Sequence[int] = (0, 1, 2),
    most: int = 12,
) -> StepReport[GridNumbers]:
    """Finer rates around the best candidates (best first), at most `most` configurations."""
    finer = finer_candidates(trials, candidates, epochs)[:most]
    results, records = run_grid(trials, finer, seeds, POINTS)
    ranked = sorted(results, key=lambda r: r.score)
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
    report = StepReport(5, TITLE, numbers, trials=records)
    report.tables.append(
        Table(f"{epochs:g} epochs, {len(seeds)} seeds, best first", columns(trials), rows(trials, results))
    )
    report.conclusion = (
        f"best of {len(results)}: learning rate {best.changes[rate_key(trials)]:g}, weight decay "
        f"{best.changes[DECAY_KEY]:g}, validation loss {shown(best.score)} ± {shown(best.spread)}; "
        f"{numbers.differences}"
    )
    return report


def finer_candidates(trials: Trials, candidates: Sequence[Candidate], epochs: float) -> list[Changes]:
    """The candidates with finer rates around each, the likeliest first, none twice."""
    key = rate_key(trials)
    found: dict[tuple[float, float], Changes] = {}
    for factor in FACTORS:
        for each in candidates:
            rate = float(f"{each.changes[key] * factor:.2g}")
            decay = float(each.changes[DECAY_KEY])
            near = any(abs(math.log(rate / other)) < 0.1 and decay == d for other, d in found)
            if not near:
                found[rate, decay] = {**each.changes, key: rate, "trainer.epochs": epochs}
    return list(found.values())
