"""The probe: which setting, component or part of the data keeps a run from learning, found by experiment.

The run's configuration is compared with one that is known to be healthy (`suspects`). Networks are trained as they are,
with all suspects taken back, and with each of them taken back alone (`cause`). The advice of the rules is tried in the
same way, and a remedy is shown with what it gave.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from nnlab.config.dotted import exists
from nnlab.config.kept import kept_config
from nnlab.console import counted
from nnlab.diagnosis import Finding, RunRecord, diagnose
from nnlab.diagnosis.catalogue import DOUBTS
from nnlab.diagnosis.diagnose import arranged, faults_first
from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.rules.fit import longer
from nnlab.probe.cause import NOISE, Evidence, Tried, acquitting, chance, single_cause, smallest_set
from nnlab.probe.data import data_findings, targets_related
from nnlab.probe.experiments import LONGEST, Experiments, Outcome, judged
from nnlab.probe.suspects import Suspect, all_back, suspects
from nnlab.probe.words import answered, better_still, cause_found, cause_unknown
from nnlab.recipe.changes import Changes, Config
from nnlab.runs.diagnosing import records_of
from nnlab.storage.directories import run_at
from nnlab.types import Task

log = logging.getLogger(__name__)

USUAL_EPOCHS, USUAL_BATCH = 30, 32
FEW_STEPS = 300  # of large batches, which more steps of smaller ones are tried against
DOUBTFUL = 0.1  # skill that is put down to chance where no rule found a fault
BETTER = 0.02  # skill gained by further changes that is worth a note
SAMPLE = 1 << 28  # bytes of inputs in single precision
FEWEST = 200  # examples, however large they are
SPLITS = ("data.validation", "data.test", "data.groups")  # keys whose change is judged on other examples
LEAKS = ("leakage_between_splits", "target_among_inputs", "validation_easier")  # make a run look better, not worse


def probe_run(directory: str | Path, budget: float | None = None) -> list[Finding]:
    """The findings about a run's first member after experiments; see `probe`.

    Raises:
        UserError: `directory` is no run, what it needs (data, a checkpoint) is not there, or memory is short.
    """
    folder = run_at(directory)
    record = records_of(folder)[0]
    findings = diagnose(record)
    record = replace(record, tests=None)  # which hold the run's network, whose memory the experiments take
    return probe(kept_config(folder), record, findings, budget)


def probe(
    config: Mapping[str, Any],
    record: RunRecord,
    findings: Sequence[Finding],
    budget: float | None = None,
    asked: bool = True,
) -> list[Finding]:
    """The findings about a run after experiments: the cause first, or that it was not found, then what the rules said.

    Args:
        config: of the run, plain and checked.
        record: of the run.
        findings: of the rules.
        budget: seconds that the experiments may take; by default about as many steps as fit into the run's own time.
        asked: whether somebody asked for them; otherwise they are left out where even short ones take minutes.
    """
    experiments = Experiments(config, max(record.total_steps, 1), budget, LONGEST if budget is None else budget)
    own = _suspects(experiments, record)
    changes = len(own) + len(_advice(findings, {suspect.label for suspect in own})) + 2
    experiments.plan(changes)
    seconds = experiments.expected(changes)
    if budget is None and seconds > LONGEST:
        if not asked:
            log.info(f"the cause is not looked for: experiments would take about {math.ceil(seconds / 60)} minutes")
            return list(findings)
        experiments.cap = 2 * seconds
    healthy = _sound(experiments, own)
    if any(finding.name == "targets_unrelated" for finding in findings) and targets_related(healthy):
        findings = [finding for finding in findings if finding.name != "targets_unrelated"]
    advised = _advice(findings, {suspect.label for suspect in own})
    # A fault of the data without a remedy says nothing about settings.
    sure = any(
        finding.overrides if finding.of_data or finding.name in DOUBTS else finding.fault for finding in findings
    )
    evidence = _evidence(experiments, record, own, advised, NOISE if sure else DOUBTFUL)
    if not (evidence.before.known and evidence.healthy.known):
        failure = evidence.before.failure or evidence.healthy.failure
        reason = f"networks of this run could not be tried ({failure})" if failure else "there was no time to look"
        log.info(f"the cause was not found: {reason}")
        return list(findings)
    heard = [answered(finding, evidence, experiments) for finding in findings]
    if evidence.lost <= evidence.noise:
        of_data = data_findings(healthy)
        faulty = any(finding.fault for finding in heard)
        found = [*of_data, *heard] if not faulty else _unknown(of_data, heard, evidence, own, experiments)
        if not any(finding.fault for finding in found):
            log.info("no cause was found: usual settings come no further, but for chance")
        return faults_first(found)

    def named(suspect: Suspect) -> bool:
        return any(finding.fault and _same(finding, [suspect]) for finding in findings)

    cause = single_cause(evidence.own, evidence, named) or single_cause(evidence.advised, evidence)
    if cause is not None:
        causes, outcome = [cause.suspect], cause.outcome
    else:
        causes, outcome = smallest_set(experiments, own, evidence)
    accused = [suspect for suspect in causes if suspect.foreign and not named(suspect)]
    if accused:
        evidence = _with_more_training(evidence, experiments, record)
    remedy = acquitting(accused, outcome, evidence) if accused else None
    if remedy is not None:
        cause, causes, outcome = remedy, [remedy.suspect], remedy.outcome
    if cause is not None:
        healthy = _sound(experiments, own, cause.suspect.changes)  # data are asked of networks that can learn
    of_data = data_findings(healthy)
    foreign = any(
        suspect.foreign for suspect in causes
    )  # what is not nnlab's own is named, and what rules saw explained
    rule = None if foreign else next((finding for finding in heard if _same(finding, causes)), None)
    culprit = cause_found(causes, outcome, evidence, experiments, rule)
    others = [finding for finding in heard if finding is not rule]
    facts = [finding for finding in others if finding.of_data and finding.name not in LEAKS]
    rest = _beneath(culprit, [finding for finding in others if finding not in facts])
    notes = [finding for finding in of_data if not finding.fault]
    of_data = [finding for finding in of_data if finding.fault and finding.name not in culprit.kind.explains]
    better = _better(evidence, outcome, own, experiments, accused if remedy is not None else ())
    if foreign:  # without it the result is there: what else is said about the data is no cause
        return faults_first([*facts, *rest, *of_data, *better, *notes])
    return faults_first([*of_data, *facts, *rest, *better, *notes])


def _unknown(
    of_data: Sequence[Finding],
    heard: Sequence[Finding],
    evidence: Evidence,
    own: Sequence[Suspect],
    experiments: Experiments,
) -> list[Finding]:
    """The findings where the configuration is not the cause: the data, what no change can test, or nobody knows."""
    if any(finding.fault for finding in of_data) or any(finding.of_data for finding in heard):
        return arranged([*of_data, *heard])
    untested = [f for f in heard if f.fault and not f.kind.symptom and not f.overrides and not f.tried]
    rest = [finding for finding in heard if finding not in untested]
    doubts = ("labels_wrong_or_chance", "targets_unrelated")
    doubt = next((finding for finding in (*of_data, *untested) if finding.name in doubts), None)
    return [*untested, cause_unknown(evidence, own, experiments, doubt), *rest, *of_data]


def _sound(experiments: Experiments, own: Sequence[Suspect], more: Changes | None = None) -> Config:
    """A config for questions about the data: any sound network does, of vectors one that trains in compiled code.

    Of large examples a sample is asked about, so many as `SAMPLE` bytes hold.
    """
    trials = experiments.trials
    foreign = len(trials.dataset.input_shape) == 1 and trials.option("architecture") != "mlp"
    quick: dict[str, Any] = {"architecture": "mlp"} if foreign else {}
    most = max(FEWEST, SAMPLE // (4 * math.prod(trials.dataset.input_shape)))
    if len(trials.dataset.train) > most:
        quick["data.limit"] = most
    back = all_back([*own, Suspect("", dict(more or {}), "")])
    length = {key: value for key, value in experiments.length_of(more or {}).items() if key.startswith("trainer.")}
    return trials.configure({**back, **length, **quick})


def _suspects(experiments: Experiments, record: RunRecord) -> list[Suspect]:
    trials = experiments.trials
    own = suspects(trials.config, trials.dataset.task is Task.REGRESSION)
    batch, epochs = record.batch_size, record.total_steps / record.steps_per_epoch
    if record.total_steps < FEW_STEPS and batch > USUAL_BATCH:  # as many epochs of smaller batches are more steps
        changes = {"trainer.batch_size": USUAL_BATCH, "trainer.steps": None, "trainer.epochs": math.ceil(epochs)}
        own.insert(0, Suspect("trainer.batch_size", changes, f"{record.total_steps} steps with batches of {batch}"))
    if record.total_steps < USUAL_EPOCHS * record.steps_per_epoch:
        length = f"{epochs:.3g} epochs"
        own.append(Suspect("trainer.epochs", {"trainer.steps": None, "trainer.epochs": USUAL_EPOCHS}, length))
    return own


def _evidence(
    experiments: Experiments, record: RunRecord, own: Sequence[Suspect], advised: Sequence[Suspect], least: float
) -> Evidence:
    """What the changes give; single ones are tried only where all together give more than `least`, or advice may."""
    changes, steps = counted(len(own) + len(advised), "change"), counted(experiments.length, "step")
    log.info(f"looking for the cause: {changes}, two networks each, {steps}")
    before, healthy = experiments.run([{}, all_back(list(own))])
    if before.skill > judged(record)[0] + 2 * NOISE and experiments.length < experiments.steps:
        experiments.length = experiments.steps  # what is wrong shows only in the whole run
        before, healthy = experiments.run([{}, all_back(list(own))])
    noise = chance(least, healthy.spread, View(record).margin)
    run = judged(record)[0]
    if least > NOISE and healthy.skill - max(min(before.skills), run) <= noise:
        own = advised = ()
    found = [_tried(experiments, changes) for changes in (own, advised)]
    known = [[each for each in tried if each.outcome.known] for tried in found]
    failed = [each for tried in found for each in tried if each.outcome.failure]
    return Evidence(before, healthy, known[0], known[1], noise, run, failed)


def _tried(experiments: Experiments, changes: Sequence[Suspect]) -> list[Tried]:
    """Each change with what it gave, which is unknown where there was no time, or it failed."""
    outcomes = experiments.run([each.changes for each in changes])
    return [Tried(each, out) for each, out in zip(changes, outcomes, strict=True)]


def _with_more_training(evidence: Evidence, experiments: Experiments, record: RunRecord) -> Evidence:
    """The evidence with a longer run at a higher rate: a component that only learns more slowly has no fault."""
    if any(key in each.suspect.changes for each in evidence.tried for key in ("trainer.epochs", "trainer.steps")):
        return evidence
    changes = _changes(longer(View(record)))
    if not exists(experiments.trials.config, "optimizer.learning_rate"):  # one from outside, with names of its own
        changes.pop("optimizer.learning_rate", None)
    more = Suspect("trainer", changes, counted(record.total_steps, "step"))
    [found] = _tried(experiments, [more])
    return replace(evidence, advised=[*evidence.advised, found]) if found.outcome.known else evidence


def _better(
    evidence: Evidence,
    outcome: Outcome,
    own: Sequence[Suspect],
    experiments: Experiments,
    kept: Sequence[Suspect],
) -> list[Finding]:
    """That something else restores more than the cause alone, where it does; components with no fault are `kept`."""
    changes = [Tried(Suspect("", all_back(list(own)), ""), evidence.healthy), *evidence.tried]
    changes = [each for each in changes if not any(each.suspect.exchanges(component) for component in kept)]
    best = max(changes, key=lambda each: each.outcome.skill)
    return [] if best.outcome.skill <= outcome.skill + BETTER else [better_still(best, outcome, experiments)]


def _same(finding: Finding, causes: Sequence[Suspect]) -> bool:
    """Whether a rule's fault is about what was taken back: the key that its remedy begins with, or an option's own.

    A note is, where its own remedy mends the run.
    """
    if finding.kind.symptom or not finding.overrides:
        return False
    if not finding.fault:
        return any(suspect.words == finding.overrides for suspect in causes)
    key = finding.overrides[0].partition("=")[0]
    return any(own == key or own.startswith(f"{key}.") for suspect in causes for own in suspect.changes)


def _beneath(found: Finding, heard: Sequence[Finding]) -> list[Finding]:
    """The cause with what it explains beneath it; facts of the data stand for themselves."""
    below = [finding for finding in heard if finding.fault and not finding.of_data]
    return [replace(found, symptoms=tuple(below)), *(finding for finding in heard if finding not in below)]


def _advice(findings: Sequence[Finding], known: set[str]) -> list[Suspect]:
    """The remedies of the rules that are not among the suspects.

    No network is better without a leak, and those that are judged on other examples cannot be compared.
    """
    found = []
    for finding in findings:
        if finding.name in LEAKS:
            continue
        changes = _changes(finding.overrides)
        suspect = Suspect(finding.title, changes, "")
        if not changes.keys().isdisjoint(SPLITS):
            continue
        if changes and suspect.label not in known:
            found.append(suspect)
            known = known | {suspect.label}
    return found


def _changes(overrides: Sequence[str]) -> dict[str, Any]:
    return {key: yaml.safe_load(value) for key, _, value in (line.partition("=") for line in overrides)}
