"""Says what is wrong with a run as soon as it is certain, and keeps the findings for `result.json`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from nnlab import console
from nnlab.callbacks.schedule import doubling
from nnlab.diagnosis import DataFacts, Finding, RunRecord, diagnose
from nnlab.diagnosis.diagnose import of_ensemble
from nnlab.diagnosis.measure import facts_of, records
from nnlab.training import Callback, Trainer
from nnlab.validation import check

log = logging.getLogger(__name__)


class Diagnosis(Callback):
    """Looks at curves and statistics after the 1st, 2nd, 4th, 8th, ... validation, and at everything in the end.

    What further steps cannot change is written to the run's log, and its name printed, at once; the rest is logged at
    the end.

    Args:
        most: members of a population that are looked at while training; all are at the end. [0, inf)
        probe: whether a single run that ends worse than it should is followed by experiments (`nnlab.probe`).

    Attributes:
        findings: of each member, once training has ended.
        records: of a network that is trained alone, once training has ended.
    """

    def __init__(self, most: int = 16, probe: bool = True) -> None:
        self.most, self.probe = check("most", most, "[0, inf)"), probe
        self.findings: dict[int, list[Finding]] = {}
        self.records: dict[int, RunRecord] = {}
        self._said: dict[int, list[str]] = {}

    def fit_start(self, trainer: Trainer) -> None:
        self._facts: dict[int, DataFacts] | None = None

    def evaluated(self, trainer: Trainer) -> None:
        if trainer.step >= trainer.total_steps or not doubling(trainer.validations):
            return
        chosen = [member for member in trainer.active if member < self.most]
        with self._harmless():
            for member, record in zip(chosen, records(trainer, self._known(trainer), False, chosen), strict=True):
                for finding in diagnose(record):
                    if finding.certain and finding.fault:
                        self._say(trainer, member, finding, printed=True)

    def fit_end(self, trainer: Trainer) -> None:
        if trainer.interrupted:
            return
        with self._harmless():
            for member, record in enumerate(records(trainer, self._known(trainer))):
                if len(trainer.members) == 1:  # those of a population would take more memory than its networks
                    self.records[member] = record
                self.findings[member] = diagnose(record)
                for finding in self.findings[member]:
                    self._say(trainer, member, finding)

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """A diagnosis that fails costs the run nothing but its words."""
        try:
            yield
        except Exception as error:
            log.warning("the run could not be diagnosed (%s: %s); its results stand", type(error).__name__, error)

    def _known(self, trainer: Trainer) -> dict[int, DataFacts]:
        """Facts about the data, computed when they are first needed."""
        if self._facts is None:
            self._facts = facts_of(trainer)
        return self._facts

    def _say(self, trainer: Trainer, member: int, finding: Finding, printed: bool = False) -> None:
        said = self._said.setdefault(member, [])
        if finding.name in said:
            return
        said.append(finding.name)
        for run in trainer.runs:
            if member in run.members:
                who = f"member {run.members.index(member)}: " if len(run.members) > 1 else ""
                run.say(f"diagnosis at step {trainer.step}: {who}{finding.line()}")
        # A live progress bar would be torn by a line in the middle of it.
        if printed and len(trainer.members) == 1 and trainer.runs and not console.is_live():
            log.info(f"diagnosis at step {trainer.step}: {finding.where()}")

    def state(self, member: int) -> dict[str, Any]:
        return {"said": list(self._said.get(member, []))}

    def load_state(self, member: int, state: dict[str, Any]) -> None:
        self._said[member] = list(state["said"])


def findings_of(callbacks: list[Callback], members: list[int]) -> list[dict[str, Any]]:
    """The findings about a run's members as plain values, each name once; see `of_ensemble`."""
    each = [
        callback.findings.get(member, [])
        for callback in callbacks
        if isinstance(callback, Diagnosis)
        for member in members
    ]
    return [finding.to_dict() for finding in of_ensemble(each)]
