"""Step 4: a coarse grid of learning rates around that of step 3, and of weight decays; a few epochs each.

A winner at the edge of the grid says that the grid is in the wrong place, so it grows beyond such an edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnlab.diagnosis.finding import Finding, shown
from nnlab.recipe.candidate import Candidate
from nnlab.recipe.changes import Changes
from nnlab.recipe.grid import DECAY_KEY, columns, rows, run_grid
from nnlab.recipe.numbers import GridNumbers
from nnlab.recipe.rates import merged, rate_key, rung
from nnlab.recipe.report import StepReport, Table, TrialRecord
from nnlab.recipe.trials import Trials

TITLE = "Coarse grid"
DECAYS = (1e-4, 1e-5, 0.0)
EXTENSIONS = 2
KEPT = 5  # candidates that the report hands on


def coarse_grid(
    trials: Trials, stable: float, epochs: float = 3, seeds: Sequence[int] = (0, 1)
) -> StepReport[GridNumbers]:
    """Rates from the largest stable one down times `DECAYS`, each edge that wins extended."""
    report = StepReport(4, TITLE, GridNumbers(epochs))
    rates = merged([stable, *(rung(stable, -i) for i in (1, 2, 3))])
    results, records = _grid(trials, rates, DECAYS, epochs, seeds)
    grown: list[str] = []
    for _ in range(EXTENSIONS):
        more = _beyond(trials, results)
        if not more:
            break
        for rate_list, decay_list, words in more:
            grown.append(words)
            further, further_records = _grid(trials, rate_list, decay_list, epochs, seeds)
            results += further
            records += further_records
    best = min(results, key=lambda r: r.score)
    _fill(report, trials, results, records, best, epochs, len(seeds))
    report.findings += [Finding("edge_of_grid", words) for words in grown]
    return report


def _grid(
    trials: Trials, rates: Sequence[float], decays: Sequence[float], epochs: float, seeds: Sequence[int]
) -> tuple[list[Candidate], list[TrialRecord]]:
    candidates = [candidate(trials, rate, decay, epochs) for rate in rates for decay in decays]
    return run_grid(trials, candidates, seeds)


def candidate(trials: Trials, rate: float, decay: float, epochs: float) -> Changes:
    """A configuration with the user's own regularizers, constant learning rate, and validation after every epoch."""
    names = list(trials.value("regularizer", {}))
    changes: dict[str, Any] = {
        "regularizer": [*names, *(["weight_decay"] if "weight_decay" not in names else [])],
        DECAY_KEY: decay,
        "scheduler": "constant",
        rate_key(trials): rate,
        "trainer.steps": None,
        "trainer.epochs": epochs,
        "trainer.validate_unit": "epoch",
        "trainer.validate_every": 1,
    }
    return changes


def _beyond(trials: Trials, results: Sequence[Candidate]) -> list[tuple[list[float], list[float], str]]:
    """Rates and decays beyond the edges at which the best result lies, with a sentence about each."""
    key = rate_key(trials)
    best = min(results, key=lambda r: r.score)
    rates = sorted({r.changes[key] for r in results})
    decays = sorted({r.changes[DECAY_KEY] for r in results})
    rate, decay = best.changes[key], best.changes[DECAY_KEY]
    more = []
    if rate == rates[-1]:
        more.append(([rung(rate, 1)], [decay], f"the largest rate, {rate:g}, won: {rung(rate, 1):g} tried"))
    elif rate == rates[0]:
        more.append(([rung(rate, -1)], [decay], f"the smallest rate, {rate:g}, won: {rung(rate, -1):g} tried"))
    if decay == decays[-1] and decay > 0:
        more.append(([rate], [10 * decay], f"the largest weight decay, {decay:g}, won: {10 * decay:g} tried"))
    return more


def _fill(
    report: StepReport[GridNumbers],
    trials: Trials,
    results: list[Candidate],
    records: list[TrialRecord],
    best: Candidate,
    epochs: float,
    seeds: int,
) -> None:
    ranked = sorted(results, key=lambda r: r.score)
    report.trials = records
    report.tables.append(Table(f"{epochs:g} epochs, {seeds} seeds, best first", columns(trials), rows(trials, results)))
    report.numbers.best, report.numbers.candidates = best, ranked[:KEPT]
    if best.score == float("inf"):
        report.findings.append(
            Finding(
                "all_diverged",
                f"all {len(results)} configurations diverged",
                overrides=("trainer.clip_norm=1",),
            )
        )
    report.conclusion = (
        f"best of {len(results)}: learning rate {best.changes[rate_key(trials)]:g}, weight decay "
        f"{best.changes[DECAY_KEY]:g}, validation loss {shown(best.score)}"
    )
