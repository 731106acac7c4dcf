"""Grids of configurations, each trained with several seeds, and the table of their outcomes."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence

import torch

from nnlab import metric_names
from nnlab.recipe.candidate import Candidate, gain, mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.rates import rate_key
from nnlab.recipe.report import Table, TrialRecord
from nnlab.recipe.space import DECAY_KEY
from nnlab.recipe.trial import Trial
from nnlab.recipe.trials import Trials
from nnlab.training import Callback
from nnlab.types import Task


def run_grid(
    trials: Trials,
    candidates: Sequence[Changes],
    seeds: Sequence[int],
    points: int = 60,
    watch: Callable[[], Callback] | None = None,
    whole: bool = False,
) -> tuple[list[Candidate], list[TrialRecord]]:
    """Train every candidate with every seed; results in the order of the candidates.

    Where the clock allows for no more, candidates have fewer seeds, and those without any are left out.

    Args:
        trials: makes them; where data are few, each seed has its own part of the data for validation.
        candidates: without seeds.
        seeds: numbers of seeds.
        points: of a curve that a record keeps; 0 keeps no records.
        watch: makes what looks at the trials.
        whole: whether a training that the clock stops is of no use.
    """
    changes = [trials.seeded(candidate, seed) for candidate in candidates for seed in seeds]
    done = {id(each.changes): each for each in trials.run(changes, watch, held_out=True, fastest=True, whole=whole)}
    results, records = [], []
    for position, candidate in enumerate(candidates):
        asked = changes[position * len(seeds) : (position + 1) * len(seeds)]
        own = [done[id(each)] for each in itertools.takewhile(lambda each: id(each) in done, asked)]
        if own:
            results.append(_candidate(trials, candidate, own))
        records += [trials.record(t, name_of(trials, t.changes), points) for t in own if points]
    return results, records


def with_more(first: Sequence[Candidate], more: Sequence[Candidate]) -> list[Candidate]:
    """Candidates joined with what further seeds gave, which there was time for with some of them."""
    further = {id(each.changes): each for each in more}
    return [each.joined(further[id(each.changes)]) if id(each.changes) in further else each for each in first]


def _candidate(trials: Trials, candidate: Changes, own: Sequence[Trial]) -> Candidate:
    metric = trials.metric
    best = [trial.best("loss/validation") for trial in own]
    held_out = [t.held_out for t in own if t.held_out is not None]
    return Candidate(
        candidate,
        [score for _, score in best],
        [t.at(f"{metric}/validation", step) for t, (step, _) in zip(own, best, strict=True)],
        [t.at("loss/fit", step) for t, (step, _) in zip(own, best, strict=True)],
        [step / t.batches for t, (step, _) in zip(own, best, strict=True)],
        torch.stack(held_out),
        trials.folds,
        trials.dataset.task is not Task.REGRESSION,
    )


def name_of(trials: Trials, changes: Changes) -> str:
    """A short name: the rate, the decay, what else distinguishes it, and the seed."""
    words = {rate_key(trials): "rate", DECAY_KEY: "decay", "trainer.epochs": "epochs"}
    parts = [f"{word} {changes[key]:g}" for key, word in words.items() if changes.get(key) is not None]
    hidden = (*words, "seed", "regularizer", "trainer.", "scheduler", "data/augmentation", "data.validation_fold")
    parts += [f"{re.split('[./]', key)[-1]} {value}" for key, value in changes.items() if not key.startswith(hidden)]
    parts += [str(changes[key]) for key in ("scheduler",) if changes.get(key, "constant") != "constant"]
    parts += [str(name) for name in changes.get("data/augmentation", [])]
    parts += [
        f"{name} {changes.get(f'regularizer.{name}.p', '')}".strip()
        for name in changes.get("regularizer", [])
        if name != "weight_decay"
    ]
    return " ".join([*parts, *([f"seed {changes['seed']}"] if "seed" in changes else [])])


def described(trials: Trials, changes: Changes) -> str:
    """A configuration in words: its rate, its decay, and what else is not as it was given."""
    return name_of(trials, {key: value for key, value in changes.items() if key != "trainer.epochs"})


def besides(trials: Trials, changes: Changes) -> str:
    """What is not as it was given, but for rate, decay and length."""
    hidden = (rate_key(trials), DECAY_KEY, "trainer.epochs")
    return name_of(trials, {key: value for key, value in changes.items() if key not in hidden})


def table(title: str, trials: Trials, results: Sequence[Candidate]) -> Table:
    """A table of configurations, best first; without a column for what no trial has measured."""
    ranked = sorted(results, key=lambda r: r.score)
    columns = {
        "learning rate": [r.changes[rate_key(trials)] for r in ranked],
        "weight decay": [r.changes[DECAY_KEY] for r in ranked],
        "validation loss": [r.score for r in ranked],
        "spread": [r.spread if len(r.scores) > 1 else math.nan for r in ranked],
        metric_names.title(trials.metric): [mean(r.metrics) for r in ranked],
        "training loss": [mean(r.fits) for r in ranked],
        "best epoch": [mean(r.epochs) for r in ranked],
        "besides": [besides(trials, r.changes) for r in ranked],
    }
    for name in ("spread", "training loss"):
        if not any(map(math.isfinite, columns[name])):
            del columns[name]
    return Table(title, list(columns), [list(row) for row in zip(*columns.values(), strict=True)])


def differences(results: Sequence[Candidate]) -> str:
    """Which differences from the best are larger than the seeds' spread, in a sentence."""
    ranked = sorted(results, key=lambda r: r.score)
    best, others = ranked[0], ranked[1:]
    behind = [other for other in others if _clearly(best, other)]
    if not others:
        return ""
    if len(others) == 1:
        how = "is worse by more than twice the standard error" if behind else "cannot be told from it"
        return f"the other {how}{'' if behind else ' (twice the standard error)'}"
    if not behind:
        return f"none of the {len(others)} others can be told from it (twice the standard error)"
    rest = ", the rest cannot be told from it" if len(behind) < len(others) else ""
    return f"{len(behind)} of {len(others)} others are worse by more than twice the standard error{rest}"


def _clearly(best: Candidate, other: Candidate) -> bool:
    difference, error = gain(best, other)
    return not math.isfinite(difference) or difference > 2 * error
