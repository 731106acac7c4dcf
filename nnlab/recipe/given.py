"""The configuration as given against the one that was found: key by key, and as networks with the same seeds.

Validation examples decide between the two, as they do everywhere in the recipe; the test split says what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnlab.console import with_error
from nnlab.diagnosis.facts.simple import advantage, comparable
from nnlab.diagnosis.finding import shown
from nnlab.metric_names import title
from nnlab.recipe.candidate import mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.report import Table
from nnlab.recipe.trials import Trials
from nnlab.runs.evaluation import evaluate

HIDDEN = ("seed", "trainer.steps")
CHOSEN = "The configuration: given, and found"
OUT_OF_TIME = "the time limit"  # how a reason begins
EQUAL = "as good, within a standard error"


@dataclass(frozen=True)
class FinalRun:
    """A finished run of the chosen configuration.

    Attributes:
        directory: its folder.
        seed: its own.
        status: how it ended.
        command: the same run, to paste.
        metrics: by split and name, of an ensemble those of its averaged answers.
        members: of an ensemble those of each member alone, by split.
        reason: why it ended as it did, where there is something to say.
    """

    directory: str
    seed: int
    status: str
    command: str
    metrics: dict[str, dict[str, float]]
    members: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    reason: str = ""

    @property
    def stopped(self) -> bool:
        """Whether a time limit ended its training."""
        return self.reason.startswith(OUT_OF_TIME)

    def alone(self, split: str) -> list[dict[str, float]]:
        """The metrics of each network on a split; one that diverged without any has none."""
        return self.members.get(split) or [self.metrics.get(split, {})]


def is_given(trials: Trials, chosen: Changes) -> bool:
    """Whether a configuration is the given one, but for how often it is validated."""

    def essence(changes: Changes) -> dict[str, Any]:
        config = trials.configure(changes)
        trainer = {key: value for key, value in config["trainer"].items() if not key.startswith("validate")}
        return {**config, "trainer": trainer}

    return essence(chosen) == essence({})


def given_gain(trials: Trials, found: Sequence[FinalRun], given: Sequence[FinalRun]) -> tuple[float, float] | None:
    """By how much the given configuration is better on validation, and the standard error of that.

    Args:
        found, given: their runs; those of the same seeds are compared.

    Returns:
        None where no seed has both.
    """
    return paired_advantage(trials, given, found, "validation")


def paired_advantage(
    trials: Trials, first: Sequence[FinalRun], second: Sequence[FinalRun], split: str
) -> tuple[float, float] | None:
    """By how much the first runs are better than the second ones on a split, seed by seed; None without such a pair."""
    both = common(first, second)
    if not both:
        return None
    metric = comparable(trials.metric, trials.dataset, trials.loss)
    own, others = ([evaluate(run.directory, split).prediction for run in runs] for runs in zip(*both, strict=True))
    return advantage(metric, own, others, trials.dataset, split)


def common(first: Sequence[FinalRun], second: Sequence[FinalRun]) -> list[tuple[FinalRun, FinalRun]]:
    """Pairs of runs with the same seed that both have metrics."""
    other = {run.seed: run for run in second if run.metrics}
    return [(run, other[run.seed]) for run in first if run.metrics and run.seed in other]


def averages(runs: Sequence[FinalRun], split: str) -> dict[str, float]:
    """The metrics that all splits have, means over the runs that have metrics."""
    good = [run for run in runs if run.metrics]
    names = [name for name in good[0].metrics["test"] if name in good[0].metrics["validation"]] if good else []
    return {name: mean([run.metrics[split][name] for run in good]) for name in names}


@dataclass(frozen=True)
class Contest:
    """The networks found against those as given.

    Attributes:
        found, given: their runs; `given` is empty without time for it, and where it is the `same` configuration.
        gain: by how much the given one is better on validation, and the standard error of that.
    """

    found: Sequence[FinalRun]
    given: Sequence[FinalRun] = ()
    gain: tuple[float, float] | None = None
    same: bool = False

    @property
    def given_wins(self) -> bool:
        """Whether the given one is better on validation by more than the standard error, or alone did not diverge."""
        if self.gain is not None:
            return self.gain[0] > self.gain[1]
        return any(run.metrics for run in self.given) and not any(run.metrics for run in self.found)

    @property
    def names(self) -> tuple[str, str]:
        """The better one on validation, and its rival."""
        return ("given", "found") if self.given_wins else ("found", "given")

    @property
    def runs(self) -> Sequence[FinalRun]:
        """Of the better one."""
        return self.given if self.given_wins else self.found

    @property
    def rivals(self) -> Sequence[FinalRun]:
        """Of the other one."""
        return self.found if self.given_wins else self.given


def standing(metric: str, contest: Contest) -> str:
    """How the configuration as given stands against the one found, on validation, in words and numbers."""
    if contest.same:
        return "that is the configuration as given"
    if not contest.given:
        return "no time was left for the configuration as given"
    if contest.gain is None:
        of_rival = "the other one diverged" if not any(run.metrics for run in contest.rivals) else "no seed has both"
        return f"the best network is the configuration as {contest.names[0]}: {of_rival}"
    gain, error = contest.gain
    given, found = (averages(runs, "validation")[metric] for runs in (contest.given, contest.found))
    numbers = f"{title(metric)} {shown(given, 4)}, of the one found {shown(found, 4)}"
    if contest.given_wins:
        return (
            f"the best network is the configuration as given (validation {numbers}: better by "
            f"{with_error(gain, error)}), which `experiment=best` runs"
        )
    word = "worse" if gain < -error else EQUAL
    return f"on validation the configuration as given is {word} ({numbers})"


def compare(trials: Trials, chosen: Changes) -> Table:
    """What was chosen, next to what the user gave, key by key."""
    rows = []
    for key, value in chosen.items():
        if key in HIDDEN or key.startswith("trainer.validate"):
            continue
        given = _given(trials, key)
        words = [", ".join(map(str, each)) if isinstance(each, list) else each for each in (given, value)]
        rows.append([key, *("none" if word in (None, "") else word for word in words), "" if given == value else "new"])
    return Table(CHOSEN, ["key", "given", "found", ""], rows)


def _given(trials: Trials, key: str) -> Any:
    """The user's value of a key; of a group the option, or the list of them."""
    if key in ("regularizer", "data/augmentation"):
        return list(trials.value(key.replace("/", "."), {}))
    value = trials.value(key.replace("/", "."))
    return trials.option(key) if isinstance(value, Mapping) else value
