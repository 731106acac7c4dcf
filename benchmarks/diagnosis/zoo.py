"""The zoo: training runs with one planted fault each, and healthy ones, as lists of ordinary overrides."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence

from benchmarks.diagnosis.backgrounds import Values, background
from benchmarks.diagnosis.faults import FAULTS, undone
from nnlab.config.overrides import amended

GROUP = 3  # runs that differ in their seed only


@dataclasses.dataclass(frozen=True)
class Case:
    """One run of the zoo.

    Attributes:
        kind: the planted fault, or `healthy`.
        data: the data set, a key of `DATA`.
        overrides: the run's overrides by key.
        causes: names of findings that name the planted cause.
        detected: names that say that something of this kind is wrong (the cause, or its direct symptom).
        repairable: whether an override can mend it.
        harmful: whether the fault must spoil the result to count as planted.
    """

    kind: str
    data: str
    overrides: tuple[str, ...]
    causes: tuple[str, ...] = ()
    detected: tuple[str, ...] = ()
    repairable: bool = False
    harmful: bool = False


def cases(datasets: Sequence[str], seed: int, each: int, healthy: int) -> Iterator[Case]:
    """`each` runs of every fault on every data set where it applies, and `healthy` healthy ones on each data set.

    Runs come in groups of `GROUP` that differ in nothing but their seed, so that they train as one population.
    """
    for data in datasets:
        for fault in FAULTS:
            for number in range(each):
                draw = _draw(seed, data, fault.kind, number)
                values = fault.plant(background(draw, data), draw, data)
                if values is not None:
                    names = (fault.causes, fault.causes + fault.also, fault.repairable, fault.harmful)
                    yield Case(fault.kind, data, _seeded(values, seed, number), *names)
        for number in range(healthy):
            values = background(_draw(seed, data, "healthy", number), data, healthy=True)
            yield Case("healthy", data, _seeded(values, seed, number))


def _draw(seed: int, data: str, kind: str, number: int) -> random.Random:
    return random.Random(f"{seed}/{data}/{kind}/{number // GROUP}")


def _seeded(values: Values, seed: int, number: int) -> tuple[str, ...]:
    return tuple(f"{key}={value}" for key, value in (values | {"seed": str(1000 * seed + number)}).items())


def clean(case: Case) -> list[str]:
    """The overrides of the same run without its fault, to know what it can reach."""
    values = dict(override.split("=", 1) for override in case.overrides)
    return amended(case.overrides, undone(case.kind, case.data, values["optimizer"]))
