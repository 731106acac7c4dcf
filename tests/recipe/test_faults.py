"""Steps 1 to 3 name every planted fault, and raise no alarm on what is healthy."""

from __future__ import annotations

from collections.abc import Callable

import faults
import pytest

from nnlab.recipe import StepReport

pytestmark = pytest.mark.slow


Walk = Callable[..., list[StepReport]]


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.plant)
def test_a_planted_fault_is_named(walk: Walk, fault: faults.Fault) -> None:
    reports = walk(*fault.overrides)
    faulty = [finding.name for finding in reports[-1].faults]
    named = [faulty[0]] if faulty else [name for report in reports for name in report.names()]
    assert fault.names & set(named), reports[-1].conclusion


@pytest.mark.parametrize("overrides", faults.HEALTHY, ids=" ".join)
def test_a_healthy_configuration_raises_no_alarm(walk: Walk, overrides: list[str]) -> None:
    reports = walk(*overrides)
    alarms = [f for r in reports for f in r.findings if f.fault or f.name.startswith("learning_rate")]
    assert not alarms
    assert len(reports) == 3
