"""Step 7: try what the curves suggest, one change at a time, as long as the gain exceeds the seeds' spread.

The first round also has the configuration as the user gave it: what the recipe began with is a contestant to the end.
Every round trains the present best and a handful of supported changes of it, with the same fresh seeds: the best of
many was also the luckiest, and would be hard to beat on the seeds that chose it. The change whose gain exceeds its
standard error by most is adopted. The rounds begin with the user's own schedule of the learning rate, which steps 3 to
5 had to do without: it stays unless a constant rate is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nnlab.diagnosis.finding import shown
from nnlab.recipe.candidate import Candidate, gain, mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.grid import DECAY_KEY, run_grid
from nnlab.recipe.numbers import ImproveNumbers
from nnlab.recipe.rates import configured_rate, rate_key
from nnlab.recipe.report import StepReport, Table, TrialRecord
from nnlab.recipe.trials import Trials

TITLE = "Go to step 5, one change at a time"
WIDEST = 1024
LONGEST = 80.0  # epochs
HANDFUL = 4  # changes in a round
ADOPTED = "adopted"


@dataclass(frozen=True)
class Suggestion:
    """A change with the reason for it; `whole` where it stands alone, and not on top of the present best."""

    name: str
    reason: str
    changes: dict[str, Any]
    whole: bool = False


@dataclass(frozen=True)
class Linear:
    """The linear baseline: its loss on validation, and its weight decay."""

    loss: float
    decay: float


def improve(
    trials: Trials,
    best: Candidate,
    findings: Sequence[str],
    rounds: int = 3,
    seeds: int = 3,
    go_on: Callable[[float], bool] = lambda _: True,
    linear: Linear | None = None,
) -> StepReport[ImproveNumbers]:
    """Adopt suggestions one by one.

    Args:
        best: the configuration to start from.
        findings: names of what step 6 found.
        rounds: how often to try a handful of changes, of which one at most is adopted.
        seeds: networks of each configuration.
        go_on: whether there is time for trials of so many epochs in all; otherwise fewer changes are tried.
        linear: the linear baseline of step 1.
    """
    report = StepReport(7, TITLE, ImproveNumbers())
    history: list[list[Any]] = []
    tried: set[str] = set()
    present, fresh, stop = own_schedule(trials, best), len(best.scores), "no rounds left"
    for number in range(1, rounds + 1):
        options = [s for s in suggest(trials, present, findings, linear) if s.name not in tried][:HANDFUL]
        if number == 1 and configured_rate(trials) is not None:
            options.insert(0, as_given(trials))
        wanted = len(options)
        while options and not go_on(cost(present, options) * seeds):
            alone = go_on(cost(present, options[:1]) * seeds)  # the first is the dearest, where it is what was given
            options.pop(-1 if alone else 0)
        if not options:
            stop = "no time left" if wanted else "nothing left to try"
            break
        configurations = [present.changes, *(apply(present.changes, option) for option in options)]
        results, records = run_grid(trials, configurations, range(fresh, fresh + seeds))
        fresh += seeds
        names = ["as before", *(option.name for option in options)]
        report.trials += [
            replace(r, name=f"round {number} {name} {r.name}")
            for name, group in zip(names, _chunks(records, seeds), strict=True)
            for r in group
        ]
        chosen, adopted = choose(results[0], options, results[1:], history, number)
        tried |= {option.name for option in options if option is chosen or adopted is None}
        tried |= {o.name for o, r in zip(options, results[1:], strict=True) if not gain(r, results[0])[0] > 0}
        present = adopted or results[0]
    _fill(report, present, history, stop, trials.metric)
    return report


def own_schedule(trials: Trials, best: Candidate) -> Candidate:
    """The best configuration with the schedule that the user configured instead of a constant rate."""
    if trials.option("scheduler") == "constant":
        return best
    return replace(best, changes={key: value for key, value in best.changes.items() if key != "scheduler"})


def as_given(trials: Trials) -> Suggestion:
    """The user's own configuration, with a validation after every epoch as the others have."""
    names = list(trials.value("regularizer", {}))
    given: dict[str, Any] = {"regularizer": names, rate_key(trials): configured_rate(trials)}
    steps, epochs = trials.value("trainer.steps"), trials.value("trainer.epochs")
    per_epoch = math.ceil(len(trials.dataset.train) / batch_size(trials))
    length = {"trainer.epochs": epochs if steps is None else steps / per_epoch, "trainer.steps": None}
    often = {"trainer.validate_unit": "epoch", "trainer.validate_every": 1}
    decay = {DECAY_KEY: trials.value(DECAY_KEY, 0.0)} if "weight_decay" in names else {}
    return Suggestion("as given", "what the recipe began with", {**given, **decay, **length, **often}, whole=True)


def batch_size(trials: Trials) -> int:
    """Examples of a minibatch."""
    size = trials.value("trainer.batch_size")
    return len(trials.dataset.train) if size == "full" else int(size)


def apply(changes: Changes, suggestion: Suggestion) -> Changes:
    """Changes with a suggestion on top; another architecture has no use for the values of the one before."""
    if suggestion.whole:
        return suggestion.changes
    exchanged = "architecture" in suggestion.changes
    kept = {key: value for key, value in changes.items() if not (exchanged and key.startswith("architecture."))}
    return {**kept, **suggestion.changes}


def cost(present: Candidate, options: Sequence[Suggestion]) -> float:
    """Epochs of one seed for the present configuration and its changes; wide networks count twice, linear ones less."""
    own = float(present.changes["trainer.epochs"])
    sizes = {"architecture.widths": 2.0, "architecture": 0.2}
    factors = [next((size for key, size in sizes.items() if key in option.changes), 1.0) for option in options]
    epochs = [float(option.changes.get("trainer.epochs", own)) for option in options]
    return own + sum(factor * each for factor, each in zip(factors, epochs, strict=True))


def suggest(trials: Trials, best: Candidate, findings: Sequence[str], linear: Linear | None = None) -> list[Suggestion]:
    """Changes that the findings support; what is always worth a try comes last."""
    changes, found = best.changes, set(findings)
    epochs = float(changes["trainer.epochs"])
    names = list(changes.get("regularizer", []))
    suggestions = []
    if (
        linear is not None
        and trials.option("architecture") != "perceptron"
        and changes.get("architecture") != "perceptron"
        and linear.loss <= best.score + best.spread / math.sqrt(len(best.scores))
    ):
        # With the decay that suits it, and long enough: it needs more steps than a network.
        own = {"architecture": "perceptron", DECAY_KEY: linear.decay, "trainer.epochs": LONGEST, "scheduler": "cosine"}
        suggestions.append(Suggestion("linear model", "a linear model does as well on validation", own))
    if changes.get("scheduler") == "constant":
        suggestions.append(Suggestion("cosine decay", "noise of a constant rate", {"scheduler": "cosine"}))
    if found & {"overfitting", "generalization_gap"}:
        suggestions += _regularizers(trials, changes, names)
    if epochs < LONGEST:
        longer: dict[str, Any] = {"trainer.epochs": min(2 * epochs, LONGEST)}
        if changes.get("scheduler") == "constant":
            longer["scheduler"] = "cosine"
        reason = "still improving" if "still_improving" in found else "more steps"
        position = 0 if "still_improving" in found else len(suggestions)
        suggestions.insert(position, Suggestion(f"{longer['trainer.epochs']:g} epochs", reason, longer))
    widths = trials.value("architecture.widths")
    if widths and not any(key.startswith("architecture") for key in changes) and max(widths) * 2 <= WIDEST:
        wider = [2 * int(width) for width in widths]
        suggestions.insert(
            min(2, len(suggestions)), Suggestion(f"widths {wider}", "capacity", {"architecture.widths": wider})
        )
    if "scheduler" not in changes:
        reason = f"whether the {trials.option('scheduler')} schedule pays"
        suggestions.append(Suggestion("constant rate", reason, {"scheduler": "constant"}))
    rate = float(changes[rate_key(trials)])
    for factor, word in ((0.5, "lower"), (2.0, "higher")):
        new = float(f"{rate * factor:.2g}")
        suggestions.append(Suggestion(f"learning rate {new:g}", f"a {word} rate", {rate_key(trials): new}))
    return suggestions


def _regularizers(trials: Trials, changes: Changes, names: Sequence[str]) -> list[Suggestion]:
    found = []
    hidden = trials.value("architecture.widths", [1]) != [] and trials.option("architecture") != "perceptron"
    if "dropout" not in names and hidden and "architecture" not in changes:
        for p in (0.2, 0.5):
            found.append(
                Suggestion(
                    f"dropout {p}",
                    "the gap to validation",
                    {"regularizer": [*names, "dropout"], "regularizer.dropout.p": p},
                )
            )
    decay = 10 * max(float(changes.get(DECAY_KEY, 0.0)), 1e-5)
    found.append(Suggestion(f"weight decay {decay:g}", "the gap to validation", {DECAY_KEY: decay}))
    augmentation = changes.get("data/augmentation", list(trials.value("data.augmentation", {})))
    if len(trials.dataset.input_shape) == 3 and "shift" not in augmentation:
        found.append(
            Suggestion("shifted images", "the gap to validation", {"data/augmentation": [*augmentation, "shift"]})
        )
    return found


def choose(
    present: Candidate,
    options: Sequence[Suggestion],
    results: Sequence[Candidate],
    history: list[list[Any]],
    number: int,
) -> tuple[Suggestion | None, Candidate | None]:
    """The option whose gain exceeds its standard error by most, if one does; all go into the history."""
    ranked = sorted(zip(options, results, strict=True), key=lambda pair: -_sure_gain(pair[1], present))
    chosen: tuple[Suggestion | None, Candidate | None] = (None, None)
    for position, (option, result) in enumerate(ranked):
        difference, error = gain(result, present)
        adopted = position == 0 and math.isfinite(difference) and difference > error
        if adopted:
            chosen = option, result
        outcome = ADOPTED if adopted else _outcome(difference, error)
        values = [result.score, difference, error, mean(result.metrics)]
        history.append([number, option.name, option.reason, *values, outcome])
    return chosen


def _sure_gain(new: Candidate, old: Candidate) -> float:
    """The gain less its standard error; minus infinity where one diverged."""
    difference, error = gain(new, old)
    return difference - error if math.isfinite(difference) and math.isfinite(error) else -math.inf


def _outcome(difference: float, error: float) -> str:
    """Why a change was not adopted, in a word or two."""
    if not math.isfinite(difference):
        return "diverged"
    if difference > error:
        return "another gave more"
    return "within its error" if difference > -error else "worse"


def _chunks(records: list[TrialRecord], size: int) -> list[list[TrialRecord]]:
    return [records[i : i + size] for i in range(0, len(records), size)]


def _fill(report: StepReport[ImproveNumbers], end: Candidate, history: list[list[Any]], stop: str, metric: str) -> None:
    adopted = [row for row in history if row[-1] == ADOPTED]
    report.tables.append(
        Table(
            "Changes tried",
            ["round", "change", "why", "validation loss", "gain", "standard error", metric, "outcome"],
            history,
        )
    )
    names = [row[1] for row in adopted]
    report.numbers = ImproveNumbers(end, names, len(history), stop)
    words = ", ".join(f"{row[1]} (gain {shown(row[4])} ± {shown(row[5])})" for row in adopted)
    report.conclusion = f"{len(history)} changes tried, adopted: {words or 'none'}; {stop}"
