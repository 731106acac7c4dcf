"""Step 4: a coarse grid of learning rates around that of step 3, and of weight decays; a few epochs each.

A winner at the edge of the grid says that the grid is in the wrong place, so it grows beyond such an edge. Where an
epoch costs little, other networks take part: other widths, activations and dropout, each with rates and decays of its
own. Hundreds of these are trained for a few epochs and halved by their curves on the way; the best are trained again
with another seed, and on another part of the data where that is few, before they are ranked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nnlab.diagnosis.finding import Finding, shown
from nnlab.recipe.candidate import Candidate, best_first
from nnlab.recipe.changes import Changes
from nnlab.recipe.grid import described, run_grid, table, with_more
from nnlab.recipe.halving import Halving
from nnlab.recipe.numbers import GridNumbers
from nnlab.recipe.rates import merged, rate_key, rung
from nnlab.recipe.report import StepReport, TrialRecord
from nnlab.recipe.space import DECAY_KEY, Space
from nnlab.recipe.trials import Trials

TITLE = "Coarse grid"
EXTENSIONS = 2
STRUCTURE = ("architecture", "activation", "preprocessing")  # dimensions of which populations have one choice
NETWORKS = 3  # of one structure, with rates and decays of their own
STRUCTURES = 4  # of a batch
AGAIN = 10  # of the best, that are trained with another seed
KEPT = 10  # candidates that the report hands on,
SEEN = 240  # and the last of the others, for step 7 to learn from
ROWS = 30  # of the table
RATES_FACTOR = 30.0  # around a third of the stable rate


@dataclass
class Coarse:
    """What has been tried: results, best seen when, and how many were ended early."""

    results: list[Candidate]
    records: list[TrialRecord]
    ended: int = 0


def coarse_grid(
    space: Space,
    stable: float,
    epochs: float = 3,
    batches: Callable[[int], bool] = lambda done: False,
    draw: random.Random | None = None,
) -> StepReport[GridNumbers]:
    """Rates from the largest stable one down times decays, each edge that wins extended; then other networks.

    Args:
        space: what may be changed.
        stable: the largest stable rate of step 3.
        epochs: length of each trial.
        batches: asked after each batch, with their number, whether there is time for one of other networks.
        draw: source of the samples.
    """
    trials, draw = space.trials, draw or random.Random(0)
    report = StepReport(4, TITLE, GridNumbers(epochs))
    rates = merged([stable, *(rung(stable, -i) for i in (1, 2, 3))])
    found = Coarse(*_grid(space, rates, space.grid_decays, epochs))
    _extend(report, space, found, epochs)
    halving, done = Halving(trials.levels.constant), 0
    while batches(done):
        results, _ = run_grid(trials, sampled(space, stable, epochs, draw), [0], 0, lambda: halving)
        found.results += results
        done += 1
    found.ended = halving.ended
    best = best_first(found.results, space.rate_key)[:AGAIN]
    further, records = run_grid(trials, [each.changes for each in best], [1], whole=True)
    found.records += records
    judged = with_more(best, further)
    _fill(report, trials, found, best_first(judged, space.rate_key), epochs)
    return report


def sampled(space: Space, stable: float, epochs: float, draw: random.Random) -> list[Changes]:
    """A batch of configurations: a few structures at random, each with rates, decays and dropout of its own."""
    found: list[Changes] = []
    structures = [each for each in space.dimensions if each.name in STRUCTURE]
    dropout, decay = space.dimension("dropout"), space.dimension("weight decay")
    for _ in range(STRUCTURES):
        chosen = [draw.choice(each.choices) for each in structures]
        for _ in range(NETWORKS):
            rate = space.rate(draw, stable / 3, RATES_FACTOR)
            own = [draw.choice(each.choices) for each in (dropout, decay) if each is not None]
            found.append(space.put(space.plain(rate, 0.0, epochs), *chosen, *own))
    return found


def _grid(
    space: Space, rates: Sequence[float], decays: Sequence[float], epochs: float
) -> tuple[list[Candidate], list[TrialRecord]]:
    return run_grid(space.trials, [space.plain(rate, decay, epochs) for rate in rates for decay in decays], [0])


def _extend(report: StepReport[GridNumbers], space: Space, found: Coarse, epochs: float) -> None:
    """Grow the grid beyond an edge that wins."""
    for _ in range(EXTENSIONS):
        more = _beyond(space, found.results)
        if not more:
            break
        for rate_list, decay_list, words in more:
            report.findings.append(Finding("edge_of_grid", words))
            results, records = _grid(space, rate_list, decay_list, epochs)
            found.results += results
            found.records += records


def _beyond(space: Space, results: Sequence[Candidate]) -> list[tuple[list[float], list[float], str]]:
    """Rates and decays beyond the edges at which the best result lies, with a sentence about each."""
    key = space.rate_key
    best = best_first(results, key)[0]
    rates = sorted({r.changes[key] for r in results})
    decays = sorted({r.changes[DECAY_KEY] for r in results})
    rate, decay = best.changes[key], best.changes[DECAY_KEY]
    more = []
    if rate == rates[-1] and rung(rate, 1) <= space.highest_rate:
        more.append(([rung(rate, 1)], [decay], f"the largest rate, {rate:g}, was ahead: {rung(rate, 1):g} tried"))
    elif rate == rates[0]:
        more.append(([rung(rate, -1)], [decay], f"the smallest rate, {rate:g}, was ahead: {rung(rate, -1):g} tried"))
    if decay == decays[-1] and decay > 0:
        more.append(([rate], [10 * decay], f"the largest weight decay, {decay:g}, was ahead: {10 * decay:g} tried"))
    return more


def _fill(
    report: StepReport[GridNumbers], trials: Trials, found: Coarse, judged: list[Candidate], epochs: float
) -> None:
    best, count = judged[0], len(found.results)
    report.trials = found.records
    again = sum(len(each.scores) > 1 for each in judged)
    length = f"{epochs:g} epoch{'s' * (epochs != 1)}"
    title = f"{length}, {f'the best {again}' if again else 'none'} of {count} with a second seed"
    report.tables.append(table(title, trials, judged[:ROWS]))
    report.numbers.best, report.numbers.candidates = best, judged[:KEPT]
    known = [each.changes for each in judged[:KEPT]]
    others = [each for each in found.results if each.changes not in known]
    report.numbers.seen = [replace(each, examples=None) for each in others[-SEEN:]]
    key = rate_key(trials)
    report.numbers.tried = [[each.changes[key], each.changes[DECAY_KEY], each.score] for each in found.results]
    if best.score == float("inf"):
        report.findings.append(
            Finding("all_diverged", f"all {count} configurations diverged", overrides=("trainer.clip_norm=1",))
        )
    searched = f", {found.ended} of them ended early by their curves" if found.ended else ""
    report.conclusion = (
        f"best of {count}{searched}: {described(trials, best.changes)}, validation loss {shown(best.score)}"
    )
