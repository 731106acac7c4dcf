"""After a single run that ends worse than it should: the findings with their cause, tried before it is said."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from nnlab.callbacks import Diagnosis
from nnlab.diagnosis import Finding, RunRecord
from nnlab.diagnosis.catalogue import DOUBTS
from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.facts.levels import is_large
from nnlab.runs import launch
from nnlab.runs.advice import effective
from nnlab.runs.references import keeps_up, with_references
from nnlab.runs.result import Result
from nnlab.storage.folder import read_config, write_result
from nnlab.types import Task

log = logging.getLogger(__name__)

GOOD = 0.9  # skill from which a run without a fault is not asked about
BEHIND = 0.1  # skill on the validation split behind that on the training split
NOISIER = 3.0  # standard errors by which training labels agree less with the network than validation labels


def train(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> Result:
    """Train one run, as `nnlab.runs.launch.train` does, and look for the cause where it ends worse than it should.

    Members of populations and runs of sweeps are not followed up; `nnlab diagnose RUN --probe` does that.

    Raises:
        UserError: something in the config, the data or the output folder is not as it must be.
    """
    return followed_up(launch.train(config, overrides, completed))


def completed(result: Result, config: Mapping[str, Any]) -> Result:
    """A result with its references, and marked where experiments follow: a process killed during these leaves the mark.

    None follow on large images from disk: several networks at once may take more memory than there is. What fails here
    costs nothing but the experiments.
    """
    result = with_references(result, config)
    watching = _watching(result)
    if watching is None:
        return result
    try:
        pending = worse_than_it_should(config, watching.records[0], watching.findings[0], keeps_up(result))
    except Exception as error:
        _not_looked_for(error)
        return result
    if pending and _large_on_disk(result):
        log.info("large images from disk: the cause is looked for by `nnlab diagnose %s --probe`", result.directory)
        pending = False
    return dataclasses.replace(result, probe_pending=pending)


def _large_on_disk(result: Result) -> bool:
    assert result.trainer is not None
    inputs = result.trainer.members[0].dataset.train.inputs
    return not isinstance(inputs, Tensor) and is_large(tuple(inputs.shape[1:]))


def followed_up(result: Result) -> Result:
    """A run's result, in its folder too, with findings after experiments where they are called for.

    What fails here costs nothing but its words: the result is there already. One that is interrupted keeps its mark.
    """
    watching = _watching(result)
    if watching is None or not result.probe_pending:
        return result
    config, findings = read_config(result.directory), watching.findings[0]
    followed = dataclasses.replace(result, probe_pending=False)
    try:
        found = follow_up(config, watching.records[0], findings)
    except KeyboardInterrupt:
        log.info("the search for the cause was interrupted; the result of the run stands")
        return result
    except Exception as error:
        _not_looked_for(error)
    else:
        known = {finding.name for finding in (*findings, *found)}
        others = [finding for finding in result.diagnosis if finding["name"] not in known]
        followed.diagnosis = [*effective([finding.to_dict() for finding in found], config), *others]
    write_result(result.directory, followed.content())
    return followed


def _watching(result: Result) -> Diagnosis | None:
    """What followed the only network of a run that has ended, where it asks for experiments."""
    trainer = result.trainer
    if result.status not in ("completed", "diverged") or trainer is None or len(trainer.members) > 1:
        return None
    watching = next((each for each in trainer.callbacks if isinstance(each, Diagnosis)), None)
    return watching if watching is not None and watching.probe and 0 in watching.records else None


def _not_looked_for(error: Exception) -> None:
    log.warning("the cause could not be looked for (%s: %s); the result stands", type(error).__name__, error)


def follow_up(config: Mapping[str, Any], record: RunRecord, findings: Sequence[Finding]) -> list[Finding]:
    """The findings after experiments."""
    from nnlab.probe.run import probe

    if record.tests is not None and not any(finding.fault for finding in findings):
        findings = [*findings, *(finding for finding in record.tests() if finding.fault)]
    return probe(config, record, findings, asked=False)


def worse_than_it_should(
    config: Mapping[str, Any], record: RunRecord, findings: Sequence[Finding], keeps_up: bool = False
) -> bool:
    """Whether the end of a run asks for experiments.

    It does where a rule finds a fault that experiments can say more about; and where the run is far from perfect, as it
    may be for its data, but has unusual settings, stays behind what its training suggests, or answers validation labels
    better than those that it was trained on. With unusual settings that `keeps_up` with boosted trees nothing is wrong.
    """
    faults = [finding for finding in findings if finding.fault]
    doubts = any(finding.name in DOUBTS and finding.overrides for finding in findings)
    if faults:
        return not all(finding.conclusive and not finding.overrides for finding in faults)
    skill = View(record).skill("validation")
    if math.isnan(skill) or skill > GOOD:
        return False
    return doubts or splits_apart(record) or (not keeps_up and _unusual(config, record))


def splits_apart(record: RunRecord) -> bool:
    """Whether a network answers one of the two splits clearly better than the other: its training examples, as if the
    splits differed, or those of the validation, as if training labels were wrong."""
    train, validation, view = record.splits.get("train"), record.splits.get("validation"), View(record)
    if train is None or validation is None:
        return False
    behind = view.skill("train") - view.skill("validation")
    if behind > max(BEHIND, 1.5 * view.margin):
        return True
    error = math.hypot(train.error, validation.error)
    return record.task is not Task.REGRESSION and validation.metric - train.metric > max(0.03, NOISIER * error)


def _unusual(config: Mapping[str, Any], record: RunRecord) -> bool:
    from nnlab.probe.suspects import suspects

    return bool(suspects(dict(config), record.task is Task.REGRESSION))
