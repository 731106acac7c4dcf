"""A small part of the zoo of benchmarks/diagnosis: planted faults are found, and healthy runs left alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def zoo() -> tuple[dict[str, object], dict[str, int], list[str]]:
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.diagnosis.run import evaluate
        from benchmarks.diagnosis.zoo import cases

        return evaluate(list(cases(["digits"], seed=3, each=1, healthy=6)), repair=False)
    finally:
        sys.path.remove(str(ROOT))


@pytest.mark.slow
def test_every_planted_fault_is_detected(zoo) -> None:  # type: ignore[no-untyped-def]
    rows, _, misses = zoo
    assert len(rows) >= 20
    assert sum(row.effective for row in rows.values()) >= 18
    assert [kind for kind, row in rows.items() if row.detected < row.effective] == [], misses


def test_the_right_cause_comes_first(zoo) -> None:  # type: ignore[no-untyped-def]
    rows, _, misses = zoo
    assert [kind for kind, row in rows.items() if row.first < row.effective] == [], misses


def test_healthy_runs_raise_no_alarm(zoo) -> None:  # type: ignore[no-untyped-def]
    _, healthy, misses = zoo
    assert healthy["runs"] >= 4
    assert healthy["findings"] == 0, misses
