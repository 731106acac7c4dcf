"""Step 7: back to step 5 with what the curves suggest, in rounds, as long as a gain exceeds half its standard error.

The first round also has the configuration as the user gave it: what the recipe began with is a contestant to the end.
A round is a race between the present best and changes of it, all with the same fresh seeds: the best of many was also
the luckiest, and would be hard to beat on the seeds that chose it. Its contestants are, in the first round, single
changes that the curves support, and what a Gaussian process picks, which has learned from steps 4 and 5, too: of all
single changes, of configurations a few changes away, and of the whole space. The one whose gain exceeds half its
standard error by most is adopted. The rounds begin with the user's own schedule of the learning rate, which steps 3 to
5 had to do without: it stays unless a constant rate is better.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nnlab.diagnosis.finding import shown
from nnlab.recipe.candidate import Candidate, gain, mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.numbers import ImproveNumbers
from nnlab.recipe.race import RUNGS, race, race_epochs
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.space import Space
from nnlab.recipe.suggest import Linear, Suggestion, as_given, suggest
from nnlab.recipe.surrogate import Surrogate
from nnlab.recipe.trials import Trials
from nnlab.sweep.driver import counted

TITLE = "Go to step 5, one change at a time"
ELITE = 3  # configurations whose choices others take over
ADOPTED = "adopted"
SURE = 0.5  # standard errors that a gain must exceed: what is not adopted is lost as surely as what is adopted by luck
MOST_ROUNDS = 100
POOL, ANYWHERE = 200, 100  # configurations a few changes away, and anywhere: a round takes the most promising


@dataclass
class Progress:
    """Where the rounds are.

    Attributes:
        present: the best so far.
        elite: configurations that did well in the last race.
        fresh: the first seed that nothing has been trained with.
        surrogate: what was learned about the space.
        tried: configurations that have lost against the present best.
        history: rows of the table.
    """

    present: Candidate
    elite: list[Changes]
    fresh: int
    surrogate: Surrogate
    tried: list[Changes] = field(default_factory=list)
    history: list[list[Any]] = field(default_factory=list)


def improve(
    space: Space,
    candidates: Sequence[Candidate],
    findings: Sequence[str],
    go_on: Callable[[int, float], bool],
    linear: Linear | None = None,
    draw: random.Random | None = None,
    most: int = 12,
    seen: Sequence[Candidate] = (),
) -> StepReport[ImproveNumbers]:
    """Race changes of the present best against it, round by round.

    Args:
        space: what may be changed.
        candidates: the best configurations of step 5, the best one first.
        findings: names of what step 6 found.
        go_on: whether there is time for a round of a number, with so many epochs of one network.
        linear: the linear baseline of step 1.
        draw: source of the samples.
        most: configurations that a round tries.
        seen: configurations of step 4, to learn from.
    """
    trials, draw = space.trials, draw or random.Random(1)
    report = StepReport(7, TITLE, ImproveNumbers())
    first = own_schedule(trials, candidates[0])
    at = Progress(first, [each.changes for each in candidates], max(len(candidates[0].scores), 2), Surrogate(space))
    for each in (*seen, *candidates):
        at.surrogate.learn(each, 0)
    stop = "the budget is spent"
    for number in range(1, MOST_ROUNDS + 1):
        options = proposals(space, at, findings, linear, number, draw, most)
        wanted = len(options)
        while options and not go_on(number, _epochs(space, at, options)):
            alone = go_on(
                number, _epochs(space, at, options[:1])
            )  # the first is the dearest, where it is what was given
            options = options[: len(options) // 2] if alone else options[1:]
        if not options:
            stop = "no time left" if wanted and number == 1 else "nothing left to try" if not wanted else stop
            break
        report.trials += _round(space, at, options, number)
    _fill(report, at.present, at.history, stop, trials.metric)
    return report


def _epochs(space: Space, at: Progress, options: Sequence[Suggestion]) -> float:
    return race_epochs(space, [at.present.changes, *(option.changes for option in options)])


def _round(space: Space, at: Progress, options: Sequence[Suggestion], number: int) -> list[Any]:
    """One race; returns its records."""
    contestants = [at.present.changes, *(option.changes for option in options)]
    names = [f"round {number} {name}" for name in ("as before", *(option.name for option in options))]
    done = race(space, contestants, names, at.fresh)
    for each in done.results:
        at.surrogate.learn(each, at.fresh)
    at.fresh += sum(RUNGS)
    present, results = done.results[0], done.results[1:]
    finalists = [i - 1 for i in done.finalists if i]
    _, adopted = choose(present, options, results, at.history, number, finalists)
    at.tried += [option.changes for option, result in zip(options, results, strict=True) if result is not adopted]
    at.present = adopted or present
    ranked = sorted((done.results[i] for i in done.finalists), key=lambda each: each.score)
    at.elite = [each.changes for each in ranked[:ELITE]]
    return done.records


def proposals(
    space: Space,
    at: Progress,
    findings: Sequence[str],
    linear: Linear | None,
    number: int,
    draw: random.Random,
    most: int,
) -> list[Suggestion]:
    """At most so many contestants of a round: in the first as given and what the curves suggest, and what is picked."""
    options = [each for each in suggest(space, at.present, findings, linear, draw) if each.changes not in at.tried]
    first = begin_with(space, at.present) if number == 1 else []
    supported = [each for each in options if each.supported and number == 1]  # by the curves of step 5's best
    found = [*first, *supported][: most // 2 + 1]
    pool = [each for each in options if each.changes not in [other.changes for other in found]]
    known = [at.present.changes, *at.tried, *(each.changes for each in options)]
    near = [space.several_changes(draw.choice([at.present.changes, *at.elite]), draw, at.elite) for _ in range(POOL)]
    reasons = [*["several changes"] * POOL, *["anywhere"] * ANYWHERE]
    for reason, changes in zip(reasons, [*near, *(space.anywhere(draw) for _ in range(ANYWHERE))], strict=True):
        if changes not in known:
            known.append(changes)
            words = space.difference(at.present.changes, changes)
            pool.append(Suggestion(", ".join(words), reason, changes))
    picked = at.surrogate.pick([each.changes for each in pool], most - len(found), draw)
    turns = itertools.zip_longest(found[1:], (pool[i] for i in picked))  # so that a short round has some of both
    return [*found[:1], *(each for pair in turns for each in pair if each is not None)]


def begin_with(space: Space, present: Candidate) -> list[Suggestion]:
    """What the first round tries in any case: the configuration as given, and what the own schedule asks for."""
    given = as_given(space)
    found = [given] if given else []
    if present.changes.get("scheduler") is None and space.trials.option("scheduler") != "constant":
        rate = float(f"{2 * float(present.changes[space.rate_key]):.2g}")
        found.append(Suggestion("constant rate", "as in step 5", {**present.changes, "scheduler": "constant"}, True))
        if rate <= space.highest_rate:
            higher = {**present.changes, space.rate_key: rate}
            found.append(Suggestion(f"learning rate {rate:g}", "it decays, and may begin higher", higher, True))
    return found


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
    titles = ["round", "change", "why", "validation loss", "gain", "standard error", metric, "seeds", "outcome"]
    report.tables.append(Table("Changes tried", titles, history))
    names = [row[1] for row in adopted]
    report.numbers = ImproveNumbers(end, names, len(history), stop)
    words = "; then ".join(f"{row[1]} (gain {shown(row[4])} ± {shown(row[5])})" for row in adopted)
    rounds = max((row[0] for row in history), default=0)
    tried = f"{counted(len(history), 'change')} tried in {counted(rounds, 'round')}"
    report.conclusion = f"{tried}, adopted: {words or 'none'}; {stop}"
