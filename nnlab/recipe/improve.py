"""Step 7: back to step 5 with what the curves suggest, in rounds, as long as a gain exceeds half its standard error.

The first round also has the configuration as the user gave it: what the recipe began with is a contestant to the end.
A round is a race between the present best and changes of it, all with the same fresh seeds: the best of many was also
the luckiest, and would be hard to beat on the seeds that chose it. Its contestants enter in batches, which are, where
step 7 begins, single changes that the curves support, and what a Gaussian process picks, which has learned from steps 4
and 5 and from the batches before: of all single changes, of configurations a few changes away, and of the whole space,
from which some are drawn blindly. Most of the time goes to these: what is never tried cannot be found. The one whose
gain exceeds half its standard error by most is adopted. The rounds begin with the user's own schedule of the learning
rate, which steps 3 to 5 had to do without: it stays unless a constant rate is better.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nnlab.console import counted, with_error
from nnlab.metric_names import title
from nnlab.recipe.candidate import Candidate, best_first, gain, mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.numbers import ImproveNumbers
from nnlab.recipe.proposals import Progress, proposals
from nnlab.recipe.race import ENTRY, FEWER_SEEDS, SEEDS, Race, entry_epochs, finish_epochs
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.space import Space
from nnlab.recipe.suggest import Linear, Suggestion, as_given
from nnlab.recipe.surrogate import Surrogate
from nnlab.recipe.trials import Trials

TITLE = "Go to step 5, one change at a time"
ELITE = 3  # configurations whose choices others take over
ADOPTED = "adopted"
SURE = 0.5  # standard errors that a gain must exceed: what is not adopted is lost as surely as what is adopted by luck
NO_TIME = "what time is left is kept for the final training"
MOST_ROUNDS = 100
FEW = 6  # options, than which a race rather has more, and fewer seeds
Fits = Callable[[float, Sequence[Changes]], bool]  # whether there is time for so many epochs, and final training after


def improve(
    space: Space,
    candidates: Sequence[Candidate],
    findings: Sequence[str],
    go_on: Callable[[int, float, Sequence[Changes]], bool],
    linear: Linear | None = None,
    draw: random.Random | None = None,
    most: int = 12,
    seen: Sequence[Candidate] = (),
    batches: int = 1,
    epochs: float = 0.0,
) -> StepReport[ImproveNumbers]:
    """Race changes of the present best against it, round by round.

    Args:
        space: what may be changed.
        candidates: the best configurations of step 5, the best one first.
        findings: names of what step 6 found.
        go_on: whether there is time for a round of a number, with so many epochs of one network, and for the final
            training of any of some configurations after it.
        linear: the linear baseline of step 1.
        draw: source of the samples.
        most: configurations of a batch.
        seen: configurations of step 4, to learn from.
        batches: of a round at most, each of which is picked with what those before have taught.
        epochs: length that the best configuration has at least, where step 5 had time for less.
    """
    trials, draw = space.trials, draw or random.Random(1)
    report = StepReport(7, TITLE, ImproveNumbers())
    first = own_schedule(trials, candidates[0])
    if float(first.changes["trainer.epochs"]) < epochs:
        first = replace(first, changes=space.settled({**first.changes, "trainer.epochs": epochs}))
    at = Progress(first, [each.changes for each in candidates], max(len(candidates[0].scores), 2), Surrogate(space))
    for each in (*seen, *candidates):
        at.surrogate.learn(each, 0)

    def offer(begins: bool, entered: Sequence[Suggestion] = ()) -> list[Suggestion]:
        return proposals(space, at, findings, linear, begins, draw, most, entered)

    stop = "the budget is spent"
    for number in range(1, MOST_ROUNDS + 1):
        if not go_on(number, _least(space, at), [at.present.changes]):
            stop = NO_TIME if number == 1 else stop
            break
        offered = offer(number == 1)
        rungs, options = _affordable(space, at, offered, functools.partial(go_on, number))
        if not options:
            stop = NO_TIME if offered and number == 1 else "nothing left to try" if not offered else stop
            break
        race = Race(space, at.fresh, rungs)
        if not _enter(at, race, number, [Suggestion("as before", "", at.present.changes)]):
            stop = NO_TIME
            break
        options = _enter(at, race, number, options)
        for _ in range(batches - 1):
            more = offer(False, options)
            while more and not go_on(number, *_costs(space, at, [*options, *more], rungs, more)):
                more = more[:-1]
            if not more:
                break
            options += _enter(at, race, number, more)
        _finish(at, race, options, number)
        report.trials += race.records
    _fill(report, at.present, at.history, stop, trials.metric)
    return report


def _least(space: Space, at: Progress) -> float:
    """Epochs of the smallest race, which the present best enters."""
    return ENTRY * entry_epochs(space, [at.present.changes])


def _affordable(
    space: Space, at: Progress, offered: Sequence[Suggestion], fits: Fits
) -> tuple[Sequence[int], list[Suggestion]]:
    """The options that there is time for, and the further seeds of a race: fewer, where few options fit otherwise."""
    options = _fitting(space, at, offered, SEEDS, fits)
    if len(options) >= min(FEW, len(offered)):
        return SEEDS, options
    return FEWER_SEEDS, _fitting(space, at, offered, FEWER_SEEDS, fits)


def _fitting(
    space: Space, at: Progress, offered: Sequence[Suggestion], rungs: Sequence[int], fits: Fits
) -> list[Suggestion]:
    """The options that there is time for, together with those before them."""
    options = list[Suggestion]()
    for each in offered:
        if fits(*_costs(space, at, [*options, each], rungs)):
            options.append(each)
    return options


def _costs(
    space: Space,
    at: Progress,
    options: Sequence[Suggestion],
    rungs: Sequence[int],
    entering: Sequence[Suggestion] | None = None,
) -> tuple[float, list[Changes]]:
    """Epochs that a race between the present best and options still takes, if these are entering; and what may win.

    The configuration as given is not among the latter: there is time for its final training in any case.
    """
    contestants = [at.present.changes, *(option.changes for option in options)]
    new = contestants if entering is None else [option.changes for option in entering]
    given = as_given(space)
    winners = [each for each in contestants if given is None or each != given.changes]
    return ENTRY * entry_epochs(space, new) + finish_epochs(space, contestants, rungs), winners


def _enter(at: Progress, race: Race, number: int, options: Sequence[Suggestion]) -> list[Suggestion]:
    """Train a batch of contestants with the first seed, and learn from them; returns those that there was time for."""
    names = [f"round {number} {option.name}" for option in options]
    found = race.enter([option.changes for option in options], names)
    for each in found:
        at.surrogate.learn(each, race.first)
    if found:
        at.elite = [each.changes for each in best_first(race.results, race.space.rate_key)[:ELITE]]
    return [option for option in options if any(option.changes is each.changes for each in found)]


def _finish(at: Progress, race: Race, options: Sequence[Suggestion], number: int) -> None:
    """Finish a race, and adopt its winner."""
    race.finish()
    for position in race.finalists:
        at.surrogate.learn(race.results[position].after(1), race.first + 1)
    at.fresh += race.seeds
    present, results = race.results[0], race.results[1:]
    finalists = [i - 1 for i in race.finalists if i]
    _, adopted = choose(present, options, results, at.history, number, finalists)
    at.tried += [option.changes for option, result in zip(options, results, strict=True) if result is not adopted]
    at.present = adopted or (present if len(finalists) else at.present)
    ranked = sorted((race.results[i] for i in race.finalists), key=lambda each: each.score)
    at.elite = [each.changes for each in ranked[:ELITE]]


def own_schedule(trials: Trials, best: Candidate) -> Candidate:
    """The best configuration with the schedule that the user configured instead of a constant rate."""
    if trials.option("scheduler") == "constant":
        return best
    return replace(best, changes={key: value for key, value in best.changes.items() if key != "scheduler"})


def choose(
    present: Candidate,
    options: Sequence[Suggestion],
    results: Sequence[Candidate],
    history: list[list[Any]],
    number: int,
    finalists: Sequence[int] | None = None,
) -> tuple[Suggestion | None, Candidate | None]:
    """The finalist whose gain exceeds half its standard error by most, if one does; all go into the history."""
    eligible = range(len(options)) if finalists is None else finalists
    ranked = sorted(range(len(options)), key=lambda i: (i not in eligible, -_sure_gain(results[i], present)))
    chosen: tuple[Suggestion | None, Candidate | None] = (None, None)
    for place, i in enumerate(ranked):
        option, result = options[i], results[i]
        difference, error = gain(result, present)
        adopted = place == 0 and i in eligible and _sure_gain(result, present) > 0
        if adopted:
            chosen = option, result
        outcome = ADOPTED if adopted else _outcome(difference, error, i in eligible)
        values = [result.score, difference, error, mean(result.metrics)]
        history.append([number, option.name, option.reason, *values, len(result.scores), outcome])
    return chosen


def _sure_gain(new: Candidate, old: Candidate) -> float:
    """The gain less half its standard error; minus infinity where one diverged."""
    difference, error = gain(new, old)
    return difference - SURE * error if math.isfinite(difference) and math.isfinite(error) else -math.inf


def _outcome(difference: float, error: float, finalist: bool) -> str:
    """Why a change was not adopted, in a word or two."""
    if not math.isfinite(difference):
        return "diverged"
    if not finalist:
        return "fell behind"
    if difference > SURE * error:
        return "another gave more"
    return "within its error" if difference > -error else "worse"


def _fill(report: StepReport[ImproveNumbers], end: Candidate, history: list[list[Any]], stop: str, metric: str) -> None:
    adopted = [row for row in history if row[-1] == ADOPTED]
    titles = ["round", "change", "why", "validation loss", "gain", "standard error", title(metric), "seeds", "outcome"]
    report.tables.append(Table("Changes tried", titles, history))
    names = [row[1] for row in adopted]
    report.numbers = ImproveNumbers(end, names, len(history), stop)
    words = "; then ".join(f"{row[1]} (gain {with_error(row[4], row[5])})" for row in adopted)
    rounds = max((row[0] for row in history), default=0)
    tried = f"{counted(len(history), 'change')} tried in {counted(rounds, 'round')}"
    report.judged = bool(history) or stop != NO_TIME
    report.conclusion = f"{tried}, adopted: {words or 'none'}; {stop}" if report.judged else f"no change tried: {stop}"
