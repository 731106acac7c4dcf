"""The last word: what the final networks reach on the test split, next to simple models and what the recipe began with.

A network that a constant, a linear model or boosted trees beat is told so: the same test examples judge all of them. A
seed that ended apart from the others is named. The test split is looked at here, once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nnlab.console import counted, with_error
from nnlab.diagnosis.catalogue import Severity
from nnlab.diagnosis.facts.simple import SimpleModel, advantage, comparable
from nnlab.diagnosis.finding import Finding, shown
from nnlab.metric_names import title
from nnlab.recipe.candidate import deviation, mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.given import EQUAL, Contest, FinalRun, averages, compare, paired_advantage, standing
from nnlab.recipe.margin import Lowered
from nnlab.recipe.nothing_found import CLEAR, nothing_on_test
from nnlab.recipe.numbers import FinalNumbers
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.seeds import apart, findings
from nnlab.recipe.trials import Trials
from nnlab.runs.evaluation import evaluate

TITLE = "Train the chosen configuration"
NUMBER = 8
UNKNOWN = "not to be told from a single example"
WORDS = {
    "constant": "the constant",
    "linear": "a linear model",
    "trees": "boosted trees",
    "given": "the configuration as given",
    "found": "the configuration found",
}
Judged = Mapping[str, tuple[float, float]]  # by how much the networks are better than each, and the error of that


def conclude(
    trials: Trials,
    chosen: Changes,
    contest: Contest,
    experiment: str,
    lowered: Sequence[Lowered] = (),
    remarks: Sequence[str] = (),
) -> StepReport[FinalNumbers]:
    """What the better networks achieved on the test split, against the others and simple models on the same examples.

    Args:
        chosen: what distinguishes the configuration found from the one that was given.
        contest: the final runs of both.
        experiment: the command that reproduces the first run.
        lowered: learning rates that were given up before.
        remarks: what there was no time for.
    """
    report = StepReport(NUMBER, TITLE, FinalNumbers())
    metric = comparable(trials.metric, trials.dataset, trials.loss)
    good = [run for run in contest.runs if run.metrics]
    if not good:
        report.conclusion = f"all {len(contest.runs)} networks diverged before their first validation"
        report.findings = [Finding("all_diverged", report.conclusion)]
        report.numbers = FinalNumbers(metric, lowered=[each.rate for each in lowered], experiment=experiment)
        return report
    test = averages(good, "test")
    alone = [metrics for run in good for metrics in run.alone("test")]
    spreads = {each: deviation([metrics[each] for metrics in alone if metrics.get(each) is not None]) for each in test}
    simple = trials.simple()
    others, judged = _opponents(trials, metric, contest, simple)
    rows = _rows_of_networks(good, test, spreads)
    rows += [[WORDS[each.name], *(each.metrics["test"].get(key, math.nan) for key in test)] for each in others]
    report.tables += [
        Table("Test split, at the best validation weights", ["", *map(title, test)], rows),
        compare(trials, chosen),
    ]
    report.numbers = FinalNumbers(
        metric,
        test,
        spreads,
        {each.name: each.metrics["test"] for each in simple},
        {each.name: each.metrics["validation"] for each in simple},
        {key: gain for key, (gain, _) in judged.items()},
        {key: error for key, (_, error) in judged.items()},
        winner(judged, "given" if contest.given_wins else "network"),
        contest.names[0],
        list(contest.gain or ()),
        averages(contest.rivals, "test"),
        [asdict(run) for run in contest.rivals],
        [each.rate for each in lowered],
        experiment,
        [asdict(run) for run in contest.runs],
    )
    bad = apart(trials, contest.runs, next(each for each in simple if each.name == "constant"))
    nothing = nothing_on_test(trials, metric, contest, simple, judged["constant"])
    report.findings = [
        *nothing,
        *findings(bad),
        *_better_models(metric, test, others, judged),
        *([Finding("given_configuration_better", standing(metric, contest))] if contest.given_wins else []),
        *(Finding("rate_lowered", each.words) for each in lowered),
    ]
    parts = [
        _reached(metric, good, test[metric], spreads[metric]),
        *remarks,
        *(each.words for each in bad),
        *(each.words for each in lowered),
        standing(metric, contest),
        verdict(metric, others, judged),
        *(each.observed for each in nothing),
    ]
    report.conclusion = "; ".join(parts)
    return report


def _opponents(
    trials: Trials, metric: str, contest: Contest, simple: Sequence[SimpleModel]
) -> tuple[list[SimpleModel], Judged]:
    """The simple models and the rival, if there is one, and how the networks stand against each on the test split."""
    runs = [run for run in contest.runs if run.metrics]
    predictions = [evaluate(run.directory, "test").prediction for run in runs]
    judged = {
        each.name: advantage(metric, predictions, each.predictions["test"], trials.dataset, "test") for each in simple
    }
    against = paired_advantage(trials, runs, contest.rivals, "test")
    if against is None:
        return list(simple), judged
    rival = contest.names[1]
    metrics = {split: averages(contest.rivals, split) for split in ("validation", "test")}
    return [*simple, SimpleModel(rival, {}, metrics)], {**judged, rival: against}


def _rows_of_networks(
    runs: Sequence[FinalRun], test: Mapping[str, float], spreads: Mapping[str, float]
) -> list[list[Any]]:
    """Each network on the test split, what they reach together or on average, and how far they are apart."""
    ensemble = runs[0].members
    alone = [(f"seed {run.seed}", run.metrics["test"]) for run in runs]
    if ensemble:
        alone = [(f"member {position} alone", metrics) for position, metrics in enumerate(ensemble["test"])]
    rows = [[name, *(metrics.get(each, math.nan) for each in test)] for name, metrics in alone]
    together, spread = ("ensemble", "members") if ensemble else ("mean", "seeds")
    return [*rows, [together, *test.values()], [f"spread of the {spread}", *spreads.values()]]


def _reached(metric: str, runs: Sequence[FinalRun], value: float, spread: float) -> str:
    """What the networks reach on the test split, in words."""
    if not runs[0].members:
        spread = spread if len(runs) > 1 else math.nan
        return f"test {title(metric)} {with_error(value, spread)} over {counted(len(runs), 'run')}"
    alone = [metrics[metric] for metrics in runs[0].members["test"] if metrics.get(metric) is not None]
    return (
        f"test {title(metric)} {shown(value, 4)} as an ensemble of {len(runs[0].members['test'])} "
        f"(each alone {with_error(mean(alone), spread)})"
    )


def winner(judged: Judged, network: str = "network") -> str:
    """What is ahead of the network by most, of all that is ahead by more than a standard error; else the network."""
    ahead = {name: -gain for name, (gain, error) in judged.items() if gain < -error}
    return max(ahead, key=lambda name: ahead[name]) if ahead else network


def verdict(metric: str, simple: Sequence[SimpleModel], judged: Judged) -> str:
    """How the networks stand against each simple model and their rival on the test split, in words and numbers."""
    words = ["better", "perhaps better", EQUAL, "perhaps worse", "worse", UNKNOWN]
    found: dict[str, list[str]] = {word: [] for word in words}
    for each in simple:
        found[_standing(*judged[each.name])].append(f"{WORDS[each.name]} ({shown(each.metrics['test'][metric], 4)})")
    parts = [f"{', '.join(models)} {word}" for word, models in found.items() if models]
    doubtful = any(models for word, models in found.items() if word.startswith("perhaps"))
    how = f"; what is perhaps so differs by less than {CLEAR:g} standard errors" if doubtful else ""
    return f"compared with it on these test examples: {'; '.join(parts)}{how}"


def _standing(gain: float, error: float) -> str:
    """What an opponent is, which the networks are better than by `gain` with a standard error."""
    if math.isnan(error):
        return UNKNOWN
    if abs(gain) <= error:
        return EQUAL
    word = "better" if gain < 0 else "worse"
    return word if abs(gain) > CLEAR * error else f"perhaps {word}"


def _better_models(
    metric: str,
    averages: Mapping[str, float],
    simple: Sequence[SimpleModel],
    judged: Judged,
) -> list[Finding]:
    found = []
    for each in simple:
        gain, error = judged[each.name]
        if gain < -error and each.name != "found":
            verb = "have" if each.name == "trees" else "has"
            observed = (
                f"{WORDS[each.name]} {verb} test {title(metric)} {shown(each.metrics['test'][metric], 4)}, the network "
                f"{shown(averages[metric], 4)}: {_standing(gain, error)} by {with_error(-gain, error)}"
            )
            level: Severity | None = "fault" if each.name == "constant" and gain < -CLEAR * error else None
            kind = "given_configuration_better" if each.name == "given" else "simple_model_better"
            found.append(Finding(kind, observed, level=level))
    return found
