"""Diagnosis by experiment: which setting of a run keeps it from learning, found by taking settings back, one by one.

The run's configuration is compared with one that is known to be healthy (`suspects`). Networks are trained as they are,
with all suspects taken back, and with each of them taken back alone; where no single one restores the result, sets of
them are halved, as in delta debugging (Zeller and Hildebrandt 2002, doi:10.1109/32.988498). The advice of the rules is
tried in the same way, and a remedy is shown with what it gave.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from nnlab.diagnosis import Finding, RunRecord, diagnose, records
from nnlab.diagnosis.facts.curves import View
from nnlab.errors import UserError
from nnlab.recipe.candidate import deviation, mean
from nnlab.recipe.changes import Changes
from nnlab.recipe.suspects import Suspect, all_back, suspects
from nnlab.recipe.trials import Trials
from nnlab.runs.diagnosing import records_of
from nnlab.storage.folder import read_config, read_overrides, read_result
from nnlab.types import Task

log = logging.getLogger(__name__)

SEEDS = 2
LONGEST = 60.0  # seconds, unless said otherwise
SHORTEST = 10.0  # seconds that a probe may take, however short the run was
NOISE = 0.04  # skill that is put down to chance, besides the spread of the seeds
RESTORED = 0.7  # share of the lost skill that a cause restores
AS_LOW = 3.0  # times the lowest validation loss among them, up to which a change may be the cause
USUAL_EPOCHS = 30
DIVERGED = (-1.0, math.nan, math.inf)


@dataclass(frozen=True)
class Outcome:
    """What networks with some changes reach on validation, over seeds.

    Attributes:
        skills: see `View.skill`; -1 where a network diverged.
        metric: the mean of the metric that a table shows.
        loss: mean validation loss.
    """

    skills: tuple[float, ...]
    metric: float
    loss: float

    @property
    def skill(self) -> float:
        """Mean over seeds."""
        return mean(self.skills)

    @property
    def shown(self) -> str:
        """The metric in words."""
        return f"{self.metric:.3g}" if math.isfinite(self.metric) else "nothing (diverged)"


@dataclass(frozen=True)
class Tried:
    """A suspect taken back, or advice followed, with what it gave."""

    suspect: Suspect
    outcome: Outcome


class Probe:
    """Experiments on one configuration.

    Args:
        trials: of the run's config.
        seconds: how long a single network of the run took, with the number of its steps: what a step costs.
        steps: of the run.
        budget: seconds for all experiments.

    Attributes:
        spent: seconds so far.
    """

    def __init__(self, trials: Trials, seconds: float, steps: int, budget: float) -> None:
        self.trials, self.budget = trials, budget
        self.started = time.perf_counter()
        self.metric = trials.loss.primary_metric(trials.dataset.task)
        # As long as the run, or so short that about thirty networks fit; populations are faster than single networks.
        affordable = int(budget * steps / (15 * max(seconds, 1e-3)))
        self.steps = max(min(steps, affordable), min(steps, 100))
        self.seed = int(trials.value("seed", 0))

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.started

    def run(self, settings: Sequence[Changes]) -> list[Outcome]:
        """What networks with each of the settings reach; in populations where possible."""
        every = [{**self._length(each), "seed": self.seed + k} for each in settings for k in range(SEEDS)]
        found: dict[int, tuple[float, float, float]] = {}
        for group in self._groups(every):
            try:
                found |= zip(group, self._train([every[i] for i in group]), strict=True)
            except (UserError, RuntimeError, ValueError) as error:
                log.debug("a trial was refused: %s", error)
                found |= dict.fromkeys(group, DIVERGED)
        return [
            Outcome(
                tuple(found[i * SEEDS + k][0] for k in range(SEEDS)),
                *(mean([found[i * SEEDS + k][part] for k in range(SEEDS)]) for part in (1, 2)),
            )
            for i in range(len(settings))
        ]

    def _groups(self, every: Sequence[Changes]) -> list[list[int]]:
        groups = []
        for position, each in enumerate(every):
            try:
                self.trials.configure(each)
            except (KeyError, TypeError, UserError):
                groups.append([position])  # refused where it is trained
        usable = [i for i in range(len(every)) if [i] not in groups]
        return groups + [[usable[i] for i in group] for group in self.trials.groups([every[i] for i in usable])]

    def _length(self, changes: Changes) -> dict[str, Any]:
        """The changes with a length that fits the budget; a suspect may ask for more epochs than the run had."""
        steps, longest = self.steps, 4 * self.steps + 400
        if changes.get("trainer.epochs") is not None:
            per_epoch = max(1, len(self.trials.dataset.train) // 32)
            steps = min(int(changes["trainer.epochs"] * per_epoch), longest)
        elif changes.get("trainer.steps"):
            steps = min(int(changes["trainer.steps"]), longest)
        common = {"trainer.epochs": None, "trainer.steps": steps, "trainer.validate_unit": "step"}
        return {**changes, **common, "trainer.validate_every": max(1, steps // 8)}

    def _train(self, changes: Sequence[Changes]) -> list[tuple[float, float, float]]:
        trainer = self.trials.make(changes)
        trainer.fit()
        return [_judged(record) for record in records(trainer)]


def _judged(record: RunRecord) -> tuple[float, float, float]:
    """Skill, metric and loss on validation at the last weights."""
    facts = record.splits.get("validation")
    skill = View(record).skill("validation")
    if record.status == "diverged" or facts is None or not math.isfinite(skill):
        return DIVERGED
    return max(skill, -1.0), facts.metric, facts.loss


def probe_run(directory: str | Path, budget: float | None = None) -> list[Finding]:
    """The findings about a run's first member after experiments on its configuration; see `probe`.

    Raises:
        UserError: `directory` is no run, or what it needs (data, a checkpoint) is not there.
    """
    folder = Path(directory)
    record = records_of(folder)[0]
    seconds = float((read_result(folder) or {}).get("seconds") or 0.0)
    trials = Trials(read_config(folder), read_overrides(folder) or [])
    return probe(trials, record, diagnose(record), seconds, budget)


def probe(
    trials: Trials, record: RunRecord, findings: Sequence[Finding], seconds: float, budget: float | None = None
) -> list[Finding]:
    """The findings about a run after experiments: the cause first, or that it was not found, then what the rules said.

    Args:
        trials: of the run's config.
        record: of the run.
        findings: of the rules.
        seconds: that the run took.
        budget: seconds; by default as long as the run took, 10 to 60 s.
    """
    limit = min(max(seconds, SHORTEST), LONGEST) if budget is None else budget
    probing = Probe(trials, seconds, max(record.steps, 1), limit)
    own = suspects(trials.config, trials.dataset.task is Task.REGRESSION)
    if record.total_steps < USUAL_EPOCHS * record.steps_per_epoch:
        length = f"{record.total_steps / record.steps_per_epoch:.3g} epochs"
        own.append(Suspect("trainer.epochs", {"trainer.steps": None, "trainer.epochs": USUAL_EPOCHS}, length))
    advised = _advice(findings, {suspect.label for suspect in own})
    log.info("trying %d changes, two networks each, within about %.0f s", len(own) + len(advised), limit)
    before, healthy = probing.run([{}, all_back(own)])
    if before.skill > _judged(record)[0] + 2 * NOISE and probing.steps < record.steps:
        probing.steps = record.steps  # what is wrong shows only in the whole run
        before, healthy = probing.run([{}, all_back(own)])
    noise = NOISE + max(deviation(before.skills), deviation(healthy.skills))
    first = [Tried(each, out) for each, out in zip(own, probing.run([s.changes for s in own]), strict=True)]
    rest = [Tried(each, out) for each, out in zip(advised, probing.run([s.changes for s in advised]), strict=True)]
    best = max((*first, *rest), key=lambda each: each.outcome.skill, default=None)
    lost = max(healthy.skill, best.outcome.skill if best else -1.0) - before.skill
    heard = [_answered(finding, [*first, *rest], before, noise, probing) for finding in findings]
    if lost <= noise and not any(finding.fault for finding in findings):
        return heard  # unusual settings that cost nothing
    if lost <= noise:
        return [_not_found(own, before, healthy, probing, [*first, *rest]), *heard]
    cause = _cause(first, before, lost, noise) or _cause(rest, before, lost, noise)
    if cause is not None:
        causes, outcome = [cause.suspect], cause.outcome
    else:
        causes, outcome = _smallest(probing, own, before, lost, noise)
    return _beneath(_found(causes, outcome, before, healthy, [*first, *rest], probing), heard)


def _beneath(found: Finding, heard: Sequence[Finding]) -> list[Finding]:
    """The cause with what it explains beneath it; facts of the data stand for themselves."""
    below = [finding for finding in heard if finding.fault and not (finding.step == 0 and finding.certain)]
    return [replace(found, symptoms=tuple(below)), *(finding for finding in heard if finding not in below)]


def _advice(findings: Sequence[Finding], known: set[str]) -> list[Suspect]:
    """The remedies of the rules that are not among the suspects."""
    found = []
    for finding in findings:
        changes = {key: yaml.safe_load(value) for key, _, value in (line.partition("=") for line in finding.overrides)}
        suspect = Suspect(finding.title, changes, "")
        if changes and suspect.label not in known:
            found.append(suspect)
            known = known | {suspect.label}
    return found


def _cause(tried: Sequence[Tried], before: Outcome, lost: float, noise: float) -> Tried | None:
    """The smallest change that restores most of what was lost: single values come before whole options."""
    gains = [(each, each.outcome.skill - before.skill) for each in tried]
    most = max((gain for _, gain in gains), default=0.0)
    good = [each for each, gain in gains if gain > noise and gain >= RESTORED * lost and gain >= most - noise]
    # Of those that mend the answers, some leave the loss much higher: they make up for the cause, and are not it.
    lowest = min((each.outcome.loss for each in good), default=0.0)
    right = [each for each in good if each.outcome.loss <= AS_LOW * max(lowest, 0.01)]
    return next(iter(right or good), None)


def _smallest(
    probing: Probe, own: Sequence[Suspect], before: Outcome, lost: float, noise: float
) -> tuple[list[Suspect], Outcome]:
    """A small set of suspects that restores the result together, by halving; all of them where there is no time."""
    present, parts = list(own), 2
    outcome = probing.run([all_back(present)])[0]
    while len(present) > 1 and probing.spent < probing.budget:
        size = -(-len(present) // parts)
        pieces = [present[i : i + size] for i in range(0, len(present), size)]
        sets = [*pieces, *([s for s in present if s not in piece] for piece in pieces if parts > 2)]
        outcomes = probing.run([all_back(each) for each in sets])
        good = [
            (each, out)
            for each, out in zip(sets, outcomes, strict=True)
            if out.skill - before.skill > max(noise, RESTORED * lost)
        ]
        if good:
            present, outcome = min(good, key=lambda pair: len(pair[0]))
            parts = 2
        elif parts >= len(present):
            break
        else:
            parts = min(2 * parts, len(present))
    return present, outcome


def _found(
    causes: Sequence[Suspect],
    outcome: Outcome,
    before: Outcome,
    healthy: Outcome,
    tried: Sequence[Tried],
    probing: Probe,
) -> Finding:
    foreign = [suspect.foreign for suspect in causes if suspect.foreign]
    words = tuple(word for suspect in causes for word in suspect.words)
    now = " ".join(suspect.before for suspect in causes if suspect.before)
    instead = f" instead of `{now}`" if now else ""
    name = "component_at_fault" if foreign else "setting_at_fault"
    return Finding(
        name,
        f"`{' '.join(words)}`{instead} takes the validation {probing.metric} from {before.shown} to {outcome.shown}",
        {"skill before": before.skill, "skill after": outcome.skill, "spread": deviation(before.skills)}
        | {"all taken back": healthy.skill},
        words,
        why=f"Look into `{foreign[0]}`." if foreign else "",
        tried=_summary(tried, probing, {suspect.label for suspect in causes}),
        layer=None,
    )


def _not_found(
    own: Sequence[Suspect], before: Outcome, healthy: Outcome, probing: Probe, tried: Sequence[Tried]
) -> Finding:
    usual = (
        f"with all unusual settings ({len(own)}) taken back it is {healthy.shown}"
        if own
        else "there is no unusual setting to take back"
    )
    return Finding(
        "cause_not_found",
        f"The validation {probing.metric} of such networks is {before.shown}, and {usual}",
        {"skill before": before.skill, "all taken back": healthy.skill},
        tried=_summary(tried, probing, set()),
    )


def _summary(tried: Sequence[Tried], probing: Probe, causes: set[str]) -> str:
    """What else was tried, and what it gave."""
    others = sorted((each for each in tried if each.suspect.label not in causes), key=lambda t: -t.outcome.skill)
    shown = "; ".join(f"`{each.suspect.label}` {each.outcome.shown}" for each in others[:4])
    more = f" and {len(others) - 4} more" if len(others) > 4 else ""
    length = f"{SEEDS} networks each, {probing.steps} steps, {probing.spent:.0f} s"
    return f"Tried besides: {shown}{more} ({length})." if others else f"Measured with {length}."


def _answered(finding: Finding, tried: Sequence[Tried], before: Outcome, noise: float, probing: Probe) -> Finding:
    """A rule's finding with what its remedy gave; a remedy that gave nothing is taken back."""
    label = " ".join(finding.overrides)
    own = next((each for each in tried if " ".join(each.suspect.words) == label), None)
    if own is None or not label:
        return finding
    gained = own.outcome.skill - before.skill > noise
    sentence = f"Tried: `{label}` takes the validation {probing.metric} from {before.shown} to {own.outcome.shown}."
    return replace(finding, tried=sentence, overrides=finding.overrides if gained else ())
